// Package token keeps the access token of an account. [Cache] fetches it once
// for all callers and renews it. The channel says how: OAuth 2.0's client
// credentials in gateway/provider, password and refresh token in
// gateway/smsgate.
package token

import (
	"context"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// A Token is the outcome of a fetch.
type Token struct {
	Access  string    // empty: the server has no tokens, which holds until Expires
	Refresh string    // a token for the next fetch, good for one use; empty: none
	Renew   time.Time // when to fetch the next token
	Expires time.Time // when to stop using this one; Renew or later
}

// Config describes a Cache.
type Config struct {
	// Op is the Op of the Cache's own errors.
	Op string

	// Fetch gets a token, with the refresh token of the last one unless that is
	// empty. Fetch runs once at a time. The class of its errors must not be
	// Unknown: no message was sent.
	Fetch func(ctx context.Context, refresh string) (Token, error)

	// Pause is how long the Cache does not fetch after it failed to renew a
	// token that has not expired. Default 10 s.
	Pause time.Duration
}

// renewShare is the part of a caller's time that renewing may take, because the
// token at hand still holds.
const renewShare = 3

// A Cache keeps a token. It is safe for concurrent use.
type Cache struct {
	config Config
	turn   chan struct{} // holds one element while a caller fetches

	mu    sync.Mutex
	token Token
}

// New returns an empty Cache.
func New(c Config) *Cache {
	if c.Pause == 0 {
		c.Pause = 10 * time.Second
	}
	return &Cache{config: c, turn: make(chan struct{}, 1)}
}

// Get returns an access token, and whether it was kept from an earlier call. An
// empty one means that the server has no tokens. The error is that of Fetch, or
// of class Temporary if ctx ends while another caller fetches.
//
// From Renew to Expires, Get returns the token at hand if Fetch fails, unless
// the class of the failure is Misconfigured.
func (c *Cache) Get(ctx context.Context) (access string, kept bool, err error) {
	if t, due := c.current(); !due {
		return t.Access, true, nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return "", false, &channel.Error{Class: channel.Temporary, Op: c.config.Op, Err: context.Cause(ctx)}
	}
	t, due := c.current() // another caller may have fetched meanwhile
	if !due {
		return t.Access, true, nil
	}
	if !time.Now().Before(t.Expires) {
		access, err = c.fetch(ctx)
		return access, false, err
	}
	return c.renew(ctx, t)
}

func (c *Cache) current() (t Token, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token, !time.Now().Before(c.token.Renew)
}

// renew replaces t, which has not expired.
func (c *Cache) renew(ctx context.Context, t Token) (access string, kept bool, err error) {
	asking, cancel := web.Share(ctx, renewShare)
	defer cancel()
	if access, err = c.fetch(asking); err == nil {
		return access, false, nil
	}
	now := time.Now()
	if channel.ClassOf(err) == channel.Misconfigured || ctx.Err() != nil || !now.Before(t.Expires) {
		return "", false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token.Access == t.Access {
		c.token.Renew = now.Add(min(c.config.Pause, t.Expires.Sub(now)))
	}
	return t.Access, true, nil
}

// fetch gets a token and keeps it. The refresh token counts as used, whether
// or not that fails.
func (c *Cache) fetch(ctx context.Context) (access string, err error) {
	c.mu.Lock()
	refresh := c.token.Refresh
	c.token.Refresh = ""
	c.mu.Unlock()
	t, err := c.config.Fetch(ctx, refresh)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = t
	return t.Access, nil
}

// Drop forgets an access token that the server has refused, and the refresh
// token that came with it. If another token has replaced it, Drop does nothing.
func (c *Cache) Drop(access string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if access != "" && c.token.Access == access {
		c.token = Token{}
	}
}
