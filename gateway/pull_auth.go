package gateway

import (
	"crypto/md5" //nolint:gosec // multiOTP's choice
	"encoding/hex"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// authenticate returns the phone that a request comes from. Otherwise it has
// answered.
func (p *Pull) authenticate(w http.ResponseWriter, r *http.Request) (phone PullPhone, ok bool) {
	now := time.Now()
	who := []string{"remote " + p.config.Remote(r)}
	id, password, basic := r.BasicAuth()
	given, want := password, ""
	if basic {
		phone = p.phones[id]
		want = phone.Password
	} else {
		id, given = r.URL.Query().Get("id"), r.URL.Query().Get("h")
		phone = p.phones[id]
		if phone.WeakHashSecret != "" {
			want = weakHash(phone.WeakHashSecret, id)
			who = append(who, "id "+id)
		}
	}
	if wait := p.guard.blocked(now, who...); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		refusePoll(w, http.StatusTooManyRequests, "too many failed attempts")
		return PullPhone{}, false
	}
	// An id that nobody has takes the same way as one with a wrong password.
	if inbound.OneOf([]string{want}, given) && want != "" {
		return phone, true
	}
	p.guard.failed(now, who...)
	p.config.Logger.WarnContext(r.Context(), "gateway: poll refused: wrong credentials", "basic", basic)
	w.Header().Set("WWW-Authenticate", `Basic realm="sms", charset="UTF-8"`)
	refusePoll(w, http.StatusUnauthorized, "wrong credentials")
	return PullPhone{}, false
}

// weakHash is multiOTP's. See [PullPhone].
func weakHash(secret, id string) string {
	sum := md5.Sum([]byte(secret + "#salt@" + id)) //nolint:gosec // multiOTP's choice
	return hex.EncodeToString(sum[:])[:6]
}

// remoteHost is the address of a request, of IPv6 the network: who has one
// address of a /64 has them all.
func remoteHost(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := at.Addr().Unmap()
	if network, err := addr.Prefix(64); err == nil && addr.Is6() {
		return network.String()
	}
	return addr.String()
}

const (
	guardPer  = time.Minute
	guardMost = 10     // failures
	guardKeys = 10_000 // who is counted by themselves
)

// A pullGuard counts failed attempts per minute.
type pullGuard struct {
	mu     sync.Mutex
	since  time.Time
	counts map[string]int
}

func (g *pullGuard) turn(now time.Time) {
	if g.counts == nil || now.Sub(g.since) >= guardPer {
		g.since, g.counts = now, make(map[string]int)
	}
}

// blocked returns how long one of the names has to wait.
func (g *pullGuard) blocked(now time.Time, names ...string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	for _, name := range names {
		if g.counts[name] >= guardMost {
			return g.since.Add(guardPer).Sub(now)
		}
	}
	return 0
}

func (g *pullGuard) failed(now time.Time, names ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	for _, name := range names {
		// Ids are few. A flood of remotes must not shut out those that come new.
		if _, known := g.counts[name]; known || len(g.counts) < guardKeys || strings.HasPrefix(name, "id ") {
			g.counts[name]++
		}
	}
}
