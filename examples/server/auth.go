package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/store"
)

const (
	keyPrefix = "otpk_" // lets scanners for leaked secrets find API keys

	// An address that failed maxFailures times is blocked until blockFor after
	// the first of these.
	maxFailures = 10
	blockFor    = 15 * time.Minute
)

// newKey returns an API key, otpk_ID_ and 43 characters, and what is kept of it.
func newKey(id string) (secret string, kept apiKey, err error) {
	if !idForm.MatchString(id) {
		return "", kept, fmt.Errorf("%q is no name for a key: it needs 1 to 16 of a-z and 0-9", id)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	secret = keyPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	return secret, apiKey{ID: id, SHA256: fmt.Sprintf("%x", sum), Scopes: slices.Clone(scopes)}, nil
}

// printKey prints a new API key for the client, and the entry for the file.
func printKey(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("key needs the name of the key, such as shop1, and may have scopes after it")
	}
	secret, kept, err := newKey(args[0])
	if err != nil {
		return err
	}
	if len(args) > 1 {
		kept.Scopes = args[1:]
	}
	entry, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "for the client, once:   %s\nfor the file:           %s\n", secret, entry)
	return err
}

// A gate lets requests in by their API key.
type gate struct {
	keys    atomic.Pointer[map[string]*apiKey] // by ID
	limiter store.Limiter
	proxies otphttp.Proxies
	tokens  *tokens // nil: none of our own
	issuers []*issuer
}

// setKeys takes the place of the keys before.
func (g *gate) setKeys(c *config) {
	keys := map[string]*apiKey{}
	for _, a := range c.Applications {
		for i := range a.Keys {
			keys[a.Keys[i].ID] = &a.Keys[i]
		}
	}
	g.keys.Store(&keys)
}

// close ends what loads the keys of issuers.
func (g *gate) close() {
	for _, i := range g.issuers {
		i.set.close()
	}
}

// find returns the key of a token, nil if there is none. It takes as long for an
// unknown ID as for a wrong secret.
func (g *gate) find(token string, now time.Time) *apiKey {
	id, _, _ := strings.Cut(strings.TrimPrefix(token, keyPrefix), "_")
	k := (*g.keys.Load())[id]
	want := make([]byte, sha256.Size)
	if k != nil {
		want = k.sum
	}
	got := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(got[:], want) != 1 || k == nil || !k.Expires.IsZero() && !now.Before(k.Expires) {
		return nil
	}
	return k
}

// admit returns the key of a request that may make it: known, from its networks,
// with the scope, and within its rate.
func (g *gate) admit(r *http.Request, scope string) (*apiKey, *otphttp.Problem) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 §11.1
		return nil, refusal(http.StatusUnauthorized, "unauthorized", "An API key is needed.", `Bearer realm="otp"`)
	}
	now, from := time.Now(), g.proxies.ClientAddr(r)
	failures := store.Limit{Key: "auth/" + network(from), Most: maxFailures, Per: blockFor}
	k := g.find(token, now)
	var err error
	if k == nil {
		k, err = g.byToken(r.Context(), token, now)
	}
	if k == nil {
		failures.Peek = !errors.Is(err, errOtherIssuer) && !errors.Is(err, errSignature) // it is no guess
		if _, p := g.take(r.Context(), now, failures); p != nil {
			return nil, p
		}
		return nil, invalid(err)
	}
	failures.Peek = true
	if over, p := g.take(r.Context(), now, failures, k.limit()); p != nil {
		if len(over) > 0 && !slices.Contains(over, 0) {
			p.Title = "Too many requests with this API key."
			p.Header = http.Header{"Ratelimit-Policy": {k.policy()}}
		}
		return nil, p
	}
	switch {
	case len(k.Networks) > 0 && !slices.ContainsFunc(k.Networks, func(n netip.Prefix) bool { return n.Contains(from) }):
		return nil, refusal(http.StatusForbidden, "forbidden", "The API key is not for this address.", "")
	case !k.may(scope):
		return nil, refusal(http.StatusForbidden, "forbidden", "The API key is not for this call.",
			`Bearer realm="otp", error="insufficient_scope", scope="`+scope+`"`)
	}
	return k, nil
}

// invalid is the answer to a key or token that is not valid, or cannot be told to be.
func invalid(err error) *otphttp.Problem {
	if errors.Is(err, errKeysDown) {
		p := refusal(http.StatusServiceUnavailable, "unavailable", "Please try again in a moment.", "")
		p.RetryAfter, p.Detail = 5, err.Error()
		return p
	}
	p := refusal(http.StatusUnauthorized, "unauthorized", "The API key is not valid.",
		`Bearer realm="otp", error="invalid_token"`)
	if !errors.Is(err, errOtherIssuer) {
		p.Detail = err.Error()
	}
	return p
}

// limit counts the requests of a key, those for a token, too.
func (k *apiKey) limit() store.Limit {
	return store.Limit{Key: "key/" + k.ID, Most: k.Rate, Per: time.Minute}
}

// policy is RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-11.
func (k *apiKey) policy() string { return fmt.Sprintf(`"key";q=%d;w=60`, k.Rate) }

// take returns a Problem, and which of the limits are over, if one is.
func (g *gate) take(ctx context.Context, now time.Time, limits ...store.Limit) ([]int, *otphttp.Problem) {
	d, err := g.limiter.Take(ctx, now, limits...)
	switch {
	case err != nil:
		p := refusal(http.StatusServiceUnavailable, "unavailable", "Please try again in a moment.", "")
		p.RetryAfter = 5
		return nil, p
	case !d.Allowed:
		p := refusal(http.StatusTooManyRequests, "rate_limited", "Too many wrong API keys from this address.", "")
		p.RetryAfter = int((d.RetryAfter + time.Second - 1) / time.Second)
		return d.Over, p
	}
	return nil, nil
}

// network is what shares a count of failures: an address, or a /64 of IPv6.
func network(a netip.Addr) string {
	if a.Is6() {
		p, _ := a.Prefix(64) // of an address that has 128 bits
		return p.String()
	}
	return a.String()
}

func refusal(status int, reason, title, authenticate string) *otphttp.Problem {
	p := &otphttp.Problem{Status: status, Reason: reason, Title: title}
	if authenticate != "" {
		p.Header = http.Header{"Www-Authenticate": {authenticate}}
	}
	return p
}
