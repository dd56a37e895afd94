package otp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
)

// nilError and nilWrapError panic as nil pointers do.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

type nilWrapError struct{ err error }

func (e *nilWrapError) Error() string { return "a text" }
func (e *nilWrapError) Unwrap() error { return e.err }

// A nil pointer as an error, of any type and anywhere in the tree, harms only
// the try that it is of: the next route takes the message.
func TestTypedNilsHarmOnlyTheirTry(t *testing.T) {
	t.Parallel()
	busy := refusal(channel.Temporary, "8")
	for name, e := range map[string]error{
		"itself": (*channel.Error)(nil), "of another type": (*nilError)(nil), "that unwraps": (*nilWrapError)(nil),
		"joined": errors.Join(busy, (*channel.Error)(nil)), "joined first": errors.Join((*channel.Error)(nil), busy),
		"another, joined": errors.Join(busy, (*nilError)(nil)),
		"joined, unwraps": errors.Join(busy, (*nilWrapError)(nil)),
		"within":          &channel.Error{Class: channel.Temporary, Err: (*channel.Error)(nil)},
		"another, within": &channel.Error{Class: channel.Temporary, Err: (*nilError)(nil)},
	} {
		r := newRig(t, nil)
		r.a.fail(e)
		c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		if err != nil || r.sent() != [3]int{1, 1, 0} {
			t.Errorf("%s: %v, %v, messages %v", name, c, err, r.sent())
		}
		r.cfg.Channel, r.cfg.Receipts = r.b, nil // without a failover
		r.b.fail(e)
		c, err = r.another(t).Send(t.Context(), otp.Request{Subject: "u2", To: both})
		if c == nil || !errors.Is(err, otp.ErrUndelivered) || err.Error() == "" {
			t.Errorf("%s, alone: %v, %v", name, c, err)
		}
	}
}

// A channel that cannot be asked to withdraw a message keeps nobody from being
// verified, and nobody waiting.
func TestMisbehavingCancelers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(release chan struct{}) error{
		"panics":                 func(chan struct{}) error { panic("482910") },
		"typed nil":              func(chan struct{}) error { return (*channel.Error)(nil) },
		"another typed nil":      func(chan struct{}) error { return (*nilError)(nil) },
		"ignores its context":    func(release chan struct{}) error { <-release; return nil },
		"says nothing of itself": func(chan struct{}) error { return errors.New("a text") },
	} {
		for _, working := range []bool{false, true} {
			for _, verified := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,working=%v,verified=%v", name, working, verified), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						release := make(chan struct{})
						r := newRig(t, nil)
						r.recallers(t, func(context.Context) error { return answer(release) })
						if working {
							defer work(t, r.Service)()
						}
						defer close(release)
						c := r.send(t, otp.Request{})
						time.Sleep(41 * time.Second)
						if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
							t.Fatal(err)
						}
						began := time.Now()
						if verified {
							r.verify(t, c.ID)
						} else {
							r.cancel(t, c.ID)
						}
						time.Sleep(time.Millisecond)
						if took := time.Since(began); took > 5*time.Second {
							t.Errorf("it took %v", took)
						}
					})
				})
			}
		}
	}
}

// A router that panics fails as one that returns an error: nothing is sent, and
// the caller is told.
func TestPanickingRouter(t *testing.T) {
	t.Parallel()
	f, err := failover.New(failover.Config{Router: channel.RouterFunc(
		func(context.Context, *channel.Message) ([]channel.Route, error) { panic(both.Phone) })})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *otp.Config) { c.Channel, c.Receipts = f, nil })
	c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	if c == nil || !errors.Is(err, otp.ErrUndelivered) || channel.ClassOf(err) != channel.Temporary {
		t.Errorf("%v, %v", c, err)
	}
}

// brittle is a generator that panics while it is broken.
type brittle struct {
	otp.Random
	broken *atomic.Bool
}

func (g brittle) Generate(s otp.Seed) (string, error) {
	if g.broken.Load() {
		panic("482910")
	}
	return g.Random.Generate(s)
}

func (g brittle) Normalize(typed string) (string, bool) {
	if g.broken.Load() {
		panic("482910")
	}
	return g.Random.Normalize(typed)
}

// A generator that panics costs nothing but the call: Send and Verify say so, and
// New refuses it.
func TestPanickingGenerator(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := brittle{broken: &atomic.Bool{}}
		r := newRig(t, func(c *otp.Config) { c.Generator = g })
		c := r.send(t, otp.Request{})
		g.broken.Store(true)
		time.Sleep(41 * time.Second)
		code := r.a.messages()[0].Code
		_, err := r.Send(t.Context(), otp.Request{Subject: "u2", To: both})
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		err = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: code})
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		if e := r.last(); e.Err == nil || strings.Contains(e.Err.Error(), "482910") {
			t.Errorf("the event is %+v", e)
		}
		if _, err := otp.New(r.cfg); err == nil || !strings.Contains(err.Error(), "Config.Generator") {
			t.Errorf("New: %v", err)
		}
		g.broken.Store(false)
		r.verify(t, c.ID)
	})
}
