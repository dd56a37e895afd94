package token_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
)

// A server issues the tokens "token 1", "token 2" and so on, each to be renewed
// after 50 minutes and expiring after an hour.
type server struct {
	mu      sync.Mutex
	fetches []string // the refresh tokens that were used
	fail    error
	none    bool          // it has no tokens
	slow    time.Duration // before an answer
}

func (s *server) fetch(ctx context.Context, refresh string) (token.Token, error) {
	s.mu.Lock()
	s.fetches = append(s.fetches, refresh)
	n, fail, none, slow := len(s.fetches), s.fail, s.none, s.slow
	s.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return token.Token{}, refused(channel.Temporary)
	}
	now := time.Now()
	switch {
	case fail != nil:
		return token.Token{}, fail
	case none:
		return token.Token{Renew: now.Add(15 * time.Minute), Expires: now.Add(15 * time.Minute)}, nil
	}
	return token.Token{
		Access: fmt.Sprint("token ", n), Refresh: fmt.Sprint("refresh ", n),
		Renew: now.Add(50 * time.Minute), Expires: now.Add(time.Hour),
	}, nil
}

func refused(class channel.Class) error { return &channel.Error{Class: class, Op: "carrier: token"} }

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// inBubble runs f in virtual time.
func inBubble(t *testing.T, f func(*testing.T, *server, *token.Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		f(t, s, token.New(token.Config{Op: "carrier: token", Fetch: s.fetch}))
	})
}

func want(t *testing.T, c *token.Cache, access string, kept bool) {
	t.Helper()
	got, old, err := c.Get(t.Context())
	if err != nil || got != access || old != kept {
		t.Errorf("%q, kept %t, %v; want %q, kept %t", got, old, err, access, kept)
	}
}

func wantFailure(t *testing.T, c *token.Cache, class channel.Class) {
	t.Helper()
	got, _, err := c.Get(t.Context())
	if err == nil || channel.ClassOf(err) != class || got != "" {
		t.Errorf("%q, %v, want class %v", got, err, class)
	}
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		s.slow = time.Second
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if got, _, err := c.Get(t.Context()); got != "token 1" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		all.Wait()
		want(t, c, "token 1", true)
		if d := cmp.Diff([]string{""}, s.fetches); d != "" {
			t.Errorf("fetches (-want +got):\n%s", d)
		}
	})
}

func TestWaitingForAnotherCallerEndsWithTheContext(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		s.slow = time.Minute
		go func() { _, _, _ = c.Get(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.Get(ctx); err == nil || channel.ClassOf(err) != channel.Temporary {
			t.Errorf("%v, want class %v", err, channel.Temporary)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, c, "token 1", true)
	})
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		want(t, c, "token 1", false)
		time.Sleep(50*time.Minute - 1)
		want(t, c, "token 1", true)
		time.Sleep(time.Nanosecond)
		want(t, c, "token 2", false)
		if d := cmp.Diff([]string{"", "refresh 1"}, s.fetches); d != "" {
			t.Errorf("fetches (-want +got):\n%s", d)
		}
	})
}

// A token that holds is used while no other can be had; the next fetch comes
// after a pause, without the refresh token, which counts as used.
func TestTokenIsKeptWhileRenewingFails(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		want(t, c, "token 1", false)
		time.Sleep(50 * time.Minute)
		s.set(func() { s.fail = refused(channel.Temporary) })
		want(t, c, "token 1", true)
		time.Sleep(9 * time.Second)
		want(t, c, "token 1", true)
		time.Sleep(time.Second)
		want(t, c, "token 1", true)
		if d := cmp.Diff([]string{"", "refresh 1", ""}, s.fetches); d != "" {
			t.Errorf("fetches (-want +got):\n%s", d)
		}
		time.Sleep(10 * time.Minute)
		wantFailure(t, c, channel.Temporary)
		s.set(func() { s.fail = nil })
		want(t, c, "token 5", false)
	})
}

func TestTokenIsNotUsedOnceTheAccountIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		want(t, c, "token 1", false)
		time.Sleep(50 * time.Minute)
		s.set(func() { s.fail = refused(channel.Misconfigured) })
		wantFailure(t, c, channel.Misconfigured)
	})
}

// Renewing takes a third of the caller's time at most: the message needs the
// rest.
func TestRenewingLeavesTimeToSend(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		want(t, c, "token 1", false)
		time.Sleep(50 * time.Minute)
		s.set(func() { s.slow = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		start := time.Now()
		got, _, err := c.Get(ctx)
		if took := time.Since(start); got != "token 1" || err != nil || took != 5*time.Second {
			t.Errorf("%q after %v, %v", got, took, err)
		}
	})
}

func TestServerWithoutTokensIsAskedSeldom(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		s.none = true
		want(t, c, "", false)
		time.Sleep(15*time.Minute - 1)
		want(t, c, "", true)
		s.set(func() { s.none = false })
		c.Drop("") // is no token
		want(t, c, "", true)
		time.Sleep(time.Nanosecond)
		want(t, c, "token 2", false)
	})
}

func TestDropForgetsOnlyTheTokenThatWasRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		want(t, c, "token 1", false)
		c.Drop("token 0")
		want(t, c, "token 1", true)
		c.Drop("token 1")
		want(t, c, "token 2", false)
		if d := cmp.Diff([]string{"", ""}, s.fetches); d != "" {
			t.Errorf("fetches (-want +got):\n%s", d)
		}
	})
}

func TestErrorsAreThoseOfFetch(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *server, c *token.Cache) {
		s.fail = refused(channel.Throttled)
		if _, _, err := c.Get(t.Context()); !errors.Is(err, s.fail) {
			t.Errorf("%v, want %v", err, s.fail)
		}
	})
}
