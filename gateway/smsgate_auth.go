package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opToken = "gateway: token"

	// tokenTTL is the life that tokens are asked for; the server may give less.
	tokenTTL = time.Hour

	// tokenMargin is how long before its end a token is renewed, or a fifth of
	// its life if that is less.
	tokenMargin = time.Minute

	// tokenPause is how long a token that still holds is used after no new one
	// could be had.
	tokenPause = 10 * time.Second

	// tokenless is how long a server that has no tokens is not asked for one: a
	// proxy may have said so while the server was away.
	tokenless = 15 * time.Minute
)

// tokenScopes are the least that the channel needs.
var tokenScopes = []string{"messages:send", "messages:read", "messages:cancel", "devices:list"}

var errToken = errors.New("the server's token cannot be used")

// tokens keeps the access token. Its turn is a lock that may be waited for with
// a context, because it is held during requests: the refresh token holds for
// one use.
type tokens struct {
	g    *SMSGate
	turn chan struct{}

	// guarded by turn
	access, refresh string
	renew           time.Time // when access is to be renewed
	expires         time.Time // when it ends
	none            time.Time // until when the server counts as one that has no tokens
}

func newTokens(g *SMSGate) *tokens { return &tokens{g: g, turn: make(chan struct{}, 1)} }

func (t *tokens) lock(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &channel.Error{Class: channel.Temporary, Op: opToken, Err: context.Cause(ctx)}
	}
}

func (t *tokens) unlock() { <-t.turn }

// get returns an access token, or "" where the server has none to give. Its
// errors are never of class Unknown: no message was sent.
func (t *tokens) get(ctx context.Context) (string, error) {
	if err := t.lock(ctx); err != nil {
		return "", err
	}
	defer t.unlock()
	now := time.Now()
	if now.Before(t.none) || t.access != "" && now.Before(t.renew) {
		return t.access, nil
	}
	if t.access == "" || !now.Before(t.expires) {
		err := t.obtain(ctx)
		return t.access, err
	}
	// The token at hand will do if no other can be had in good time.
	asking, cancel := share(ctx, 3)
	defer cancel()
	err := t.obtain(asking)
	now = time.Now()
	if err == nil || channel.ClassOf(err) == channel.Misconfigured || ctx.Err() != nil || !now.Before(t.expires) {
		return t.access, err
	}
	t.renew = now.Add(min(tokenPause, t.expires.Sub(now)))
	return t.access, nil
}

// obtain replaces the access token, by the refresh token or by the password.
func (t *tokens) obtain(ctx context.Context) error {
	if t.refresh != "" {
		refresh := t.refresh
		t.refresh = "" // whatever comes of it, it was used
		done, err := t.fetch(ctx, call{op: opToken, method: http.MethodPost, path: "auth/token/refresh", bearer: refresh})
		if done || ctx.Err() != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"ttl": int(tokenTTL / time.Second), "scopes": tokenScopes})
	if err != nil {
		return err
	}
	_, err = t.fetch(ctx, call{op: opToken, method: http.MethodPost, path: "auth/token", body: body, basic: true})
	return err
}

// reject forgets an access token that the server does not know any more, and
// the refresh token that came with it.
func (t *tokens) reject(ctx context.Context, access string) {
	if t.lock(ctx) != nil {
		return // the next one to try it is told the same
	}
	defer t.unlock()
	if t.access == access {
		t.access, t.refresh = "", ""
	}
}

// fetch gets a pair of tokens and reports whether it has.
func (t *tokens) fetch(ctx context.Context, c call) (bool, error) {
	now := time.Now()
	resp, err := t.g.do(ctx, c)
	if err != nil {
		return false, notSent(err)
	}
	switch {
	case resp.Status == http.StatusNotImplemented, c.basic && (resp.Status == http.StatusNotFound || resp.Status == http.StatusMethodNotAllowed):
		t.g.config.Logger.WarnContext(ctx, "gateway: the server has no tokens, the password is used instead")
		t.none, t.access = now.Add(tokenless), ""
		return true, nil
	case !resp.OK():
		return false, notSent(refusal(opToken, resp, now))
	}
	var pair struct {
		AccessToken  string    `json:"access_token"`
		RefreshToken string    `json:"refresh_token"`
		ExpiresAt    time.Time `json:"expires_at"`
	}
	if err := decode(opToken, resp, &pair); err != nil {
		return false, err
	}
	if pair.AccessToken == "" || !headerSafe(pair.AccessToken) || !headerSafe(pair.RefreshToken) {
		return false, &channel.Error{Class: channel.Misconfigured, Op: opToken, Err: errToken}
	}
	life := lifetime(resp, pair.ExpiresAt, now)
	t.access, t.refresh = pair.AccessToken, pair.RefreshToken
	t.renew, t.expires = now.Add(life-min(tokenMargin, life/5)), now.Add(life)
	return true, nil
}

// lifetime is how long a token holds by the server's own clock, which need not
// be ours.
func lifetime(r web.Response, expires, now time.Time) time.Duration {
	if expires.IsZero() {
		return 5 * time.Minute // it does not say; a refusal will
	}
	if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		now = at
	}
	return min(max(expires.Sub(now), 0), 24*time.Hour)
}

// notSent corrects the class of a failure before any message was submitted.
func notSent(err error) error {
	e, ok := err.(*channel.Error) //nolint:errorlint // it is changed, not looked for
	if ok && e.Class == channel.Unknown {
		e.Class = channel.Temporary
	}
	return err
}

// headerSafe reports whether a token may stand in a header.
func headerSafe(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
