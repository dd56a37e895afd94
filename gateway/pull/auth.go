package pull

import (
	"crypto/md5" //nolint:gosec // multiOTP's choice
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// authenticate returns the phone that a request comes from. Otherwise it has
// answered.
func (c *Channel) authenticate(w http.ResponseWriter, r *http.Request) (phone Phone, ok bool) {
	now := time.Now()
	who := []string{"remote " + c.config.Remote(r)}
	id, given, basic := r.BasicAuth()
	want := make([]string, 2) // as many for an unknown id, so that it takes as long
	if basic {
		id, given = fromLatin1(id), fromLatin1(given)
		phone = c.phones[id]
		want[0], want[1] = phone.Password, uriEncode(phone.Password)
	} else {
		id, given = r.URL.Query().Get("id"), r.URL.Query().Get("h")
		phone = c.phones[id]
		if phone.WeakHashSecret != "" {
			want[0] = weakHash(phone.WeakHashSecret, id)
			who = append(who, "id "+id)
		}
	}
	if wait := c.throttle.blocked(now, who...); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		refusePoll(w, http.StatusTooManyRequests, "too many failed attempts")
		return Phone{}, false
	}
	// An unknown id takes the same way as an id with a wrong password.
	if inbound.OneOf(want, given) && given != "" {
		return phone, true
	}
	c.throttle.failed(now, who...)
	c.warn(r, "poll refused: wrong credentials", "basic", basic)
	w.Header().Set("WWW-Authenticate", `Basic realm="sms", charset="UTF-8"`)
	refusePoll(w, http.StatusUnauthorized, "wrong credentials")
	return Phone{}, false
}

// weakHash is multiOTP's. See [Phone].
func weakHash(secret, id string) string {
	sum := md5.Sum([]byte(secret + "#salt@" + id)) //nolint:gosec // multiOTP's choice
	return hex.EncodeToString(sum[:])[:6]
}

// unreserved are the octets that Android's Uri.encode leaves alone.
const unreserved = pollLetters + pollDigits + "_-!.~'()*"

// uriEncode encodes a password as CHT Gateway does (SimpleJsonClient2.uriEncodeAuth)
// before it puts the password into a URL, from which it takes the password for Basic
// authentication without decoding it.
func uriEncode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(unreserved, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// fromLatin1 reads a user name or password that is not in UTF-8 as ISO 8859-1, in
// which both apps send Basic authentication.
func fromLatin1(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// remoteHost is the address of a request, of IPv6 the network: the holder of one
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
	throttlePer  = time.Minute
	throttleMost = 10     // failures
	throttleKeys = 10_000 // names that are counted
)

// A throttle counts failed attempts per minute.
type throttle struct {
	mu     sync.Mutex
	since  time.Time
	counts map[string]int
}

func (t *throttle) turn(now time.Time) {
	if t.counts == nil || now.Sub(t.since) >= throttlePer {
		t.since, t.counts = now, make(map[string]int)
	}
}

// blocked returns how long one of the names has to wait.
func (t *throttle) blocked(now time.Time, names ...string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	for _, name := range names {
		if t.counts[name] >= throttleMost {
			return t.since.Add(throttlePer).Sub(now)
		}
	}
	return 0
}

func (t *throttle) failed(now time.Time, names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	for _, name := range names {
		// Ids are few. A flood of remotes must not shut out those that come new.
		if _, known := t.counts[name]; known || len(t.counts) < throttleKeys || strings.HasPrefix(name, "id ") {
			t.counts[name]++
		}
	}
}
