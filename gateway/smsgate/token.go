package smsgate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opToken = "smsgate: token"

	// tokenTTL is the life that tokens are asked for; the server may give less.
	tokenTTL = time.Hour

	// tokenMargin is how long before its end a token is renewed, or a fifth of
	// its life if that is less.
	tokenMargin = time.Minute

	// tokenless is how long a server that has no tokens is not asked for one: a
	// proxy may have said so while the server was away.
	tokenless = 15 * time.Minute
)

// tokenScopes are the least that the channel needs.
var tokenScopes = []string{"messages:send", "messages:read", "messages:cancel", "devices:list"}

var errToken = errors.New("the server's token cannot be used")

// fetchToken gets a token by the refresh token or, without it or if the server
// refuses it, by the password.
func (c *Channel) fetchToken(ctx context.Context, refresh string) (token.Token, error) {
	if refresh != "" {
		t, err := c.requestToken(ctx, request{
			op: opToken, method: http.MethodPost, path: "auth/token/refresh", bearer: refresh,
		})
		if err == nil || ctx.Err() != nil {
			return t, err
		}
	}
	body, err := json.Marshal(map[string]any{"ttl": int(tokenTTL / time.Second), "scopes": tokenScopes})
	if err != nil {
		return token.Token{}, err
	}
	return c.requestToken(ctx, request{
		op: opToken, method: http.MethodPost, path: "auth/token", body: body, basic: true,
	})
}

// requestToken makes one request for a token. If the server has none, the token
// is empty and the password is used.
func (c *Channel) requestToken(ctx context.Context, r request) (token.Token, error) {
	now := time.Now()
	resp, err := c.do(ctx, r)
	switch {
	case err != nil:
		return token.Token{}, web.NotSent(err)
	case lacksTokens(resp.Status, r.basic):
		c.config.Logger.WarnContext(ctx, "smsgate: the server has no tokens, the password is used instead")
		until := now.Add(tokenless)
		return token.Token{Renew: until, Expires: until}, nil
	case !resp.OK():
		return token.Token{}, web.NotSent(refusal(opToken, resp, now))
	}
	var pair struct {
		AccessToken  string    `json:"access_token"`
		RefreshToken string    `json:"refresh_token"`
		ExpiresAt    time.Time `json:"expires_at"`
	}
	if err := decode(opToken, resp, &pair); err != nil {
		return token.Token{}, err
	}
	if pair.AccessToken == "" || !headerSafe(pair.AccessToken) || !headerSafe(pair.RefreshToken) {
		return token.Token{}, &channel.Error{Class: channel.Misconfigured, Op: opToken, Err: errToken}
	}
	life := lifetime(resp, pair.ExpiresAt, now)
	return token.Token{
		Access: pair.AccessToken, Refresh: pair.RefreshToken,
		Renew: now.Add(life - min(tokenMargin, life/5)), Expires: now.Add(life),
	}, nil
}

// lacksTokens reports whether a status says that the server has no tokens. 404
// and 405 say so only of the request with the password.
func lacksTokens(status int, basic bool) bool {
	switch status {
	case http.StatusNotImplemented:
		return true
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return basic
	}
	return false
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

// headerSafe reports whether a token may stand in a header.
func headerSafe(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
