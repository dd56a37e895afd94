package channel_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// TestTry: a channel that misbehaves harms only its own try.
func TestTry(t *testing.T) {
	t.Parallel()
	m := &channel.Message{ID: "abc.1", Tried: []string{"x"}, Allow: func(context.Context,
		channel.Route) error {
		return nil
	}}
	for name, row := range map[string]struct {
		f     func(context.Context, *channel.Message) (channel.Submission, error)
		class channel.Class
		cause error // found in the error; nil: any
	}{
		"panics": {func(context.Context, *channel.Message) (channel.Submission, error) { panic("482910") },
			channel.Unknown, nil},
		"ends": {func(context.Context, *channel.Message) (channel.Submission, error) {
			runtime.Goexit()
			return channel.Submission{}, nil
		}, channel.Unknown, nil},
		"typed nil": {func(context.Context, *channel.Message) (channel.Submission, error) {
			var e *channel.Error
			return channel.Submission{}, e
		}, channel.Unknown, nil},
		"no class": {func(context.Context, *channel.Message) (channel.Submission, error) {
			return channel.Submission{}, context.Canceled
		}, channel.Unknown, context.Canceled},
		"invalid class": {func(context.Context, *channel.Message) (channel.Submission, error) {
			return channel.Submission{}, &channel.Error{Class: 99}
		}, channel.Unknown, nil},
		"says the class": {func(context.Context, *channel.Message) (channel.Submission, error) {
			return channel.Submission{}, &channel.Error{Class: channel.Expired}
		}, channel.Expired, nil},
		"changes": {func(_ context.Context, m *channel.Message) (channel.Submission, error) {
			if m.Allow != nil {
				t.Error("a channel is given Allow")
			}
			m.ID, m.Tried[0] = "", ""
			return channel.Submission{}, &channel.Error{Class: channel.Unreachable}
		}, channel.Unreachable, nil},
		"nil of another type": {fails((*nilError)(nil)), channel.Unknown, nil},
		"nil that unwraps":    {fails((*nilWrapError)(nil)), channel.Unknown, nil},
		"joined with such": {fails(errors.Join(&channel.Error{Class: channel.Throttled}, (*nilError)(nil))),
			channel.Unknown, nil},
		"joined with the other": {fails(errors.Join(&channel.Error{Class: channel.Throttled}, (*nilWrapError)(nil))),
			channel.Unknown, nil},
		"around such": {fails(&channel.Error{Class: channel.Throttled, Err: (*nilError)(nil)}), channel.Unknown, nil},
		"joined with a typed nil": {fails(errors.Join(&channel.Error{Class: channel.Throttled}, (*channel.Error)(nil))),
			channel.Throttled, nil},
		"around a typed nil": {fails(&channel.Error{Class: channel.Throttled, Err: (*channel.Error)(nil)}),
			channel.Throttled, nil},
	} {
		_, err := channel.Try(t.Context(), channel.Func(row.f), m)
		if err == nil || channel.ClassOf(err) != row.class || row.cause != nil && !errors.Is(err, row.cause) ||
			strings.Contains(err.Error(), "482910") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m.ID != "abc.1" || m.Tried[0] != "x" || m.Allow == nil {
		t.Errorf("the message was changed: %+v", m)
	}
	s, err := channel.Try(t.Context(), channel.Func(func(context.Context, *channel.Message) (channel.Submission,
		error) {
		return channel.Submission{State: channel.Sent}, nil
	}), m)
	if err != nil || s.State != channel.Sent {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTryOfAStuckChannel: Try returns soon after its context, and not before.
func TestTryOfAStuckChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release, began := make(chan struct{}), time.Now()
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := channel.Try(ctx, channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
			<-release
			return channel.Submission{}, nil
		}), &channel.Message{})
		if took := time.Since(began); took != 1500*time.Millisecond || !errors.Is(err, channel.ErrStuck) ||
			channel.ClassOf(err) != channel.Unknown {
			t.Errorf("%v after %v", err, took)
		}
		_, err = channel.Try(ctx, channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Submission,
			error) {
			time.Sleep(100 * time.Millisecond)
			return channel.Submission{}, &channel.Error{Class: channel.Temporary}
		}), &channel.Message{})
		if channel.ClassOf(err) != channel.Temporary {
			t.Errorf("a channel that says more a moment later: %v", err)
		}
	})
}

// A prompter is a prompt channel.
type prompter struct {
	send  func(m *channel.Message) (channel.Submission, error)
	until time.Time // of the last SendUntil
}

func (p *prompter) Send(_ context.Context, m *channel.Message) (channel.Submission, error) {
	return p.send(m)
}
func (p *prompter) Prompt(c channel.Channel) bool { return c == p }
func (p *prompter) SendUntil(ctx context.Context, m *channel.Message, until time.Time) (channel.Submission, error) {
	p.until = until
	return p.Send(ctx, m)
}

// A wrapper embeds a prompt channel and never returns.
type wrapper struct {
	*prompter
	release chan struct{}
}

func (w wrapper) Send(context.Context, *channel.Message) (channel.Submission, error) {
	<-w.release
	return channel.Submission{}, nil
}

// TestTryOfAPromptChannel: it is called with the message itself, and survives a panic.
func TestTryOfAPromptChannel(t *testing.T) {
	t.Parallel()
	m, sent := new(channel.Message), channel.Submission{Route: "a"}
	s, err := channel.Try(t.Context(), &prompter{send: func(got *channel.Message) (channel.Submission, error) {
		if got != m {
			t.Error("the message was copied")
		}
		return sent, nil
	}}, m)
	if err != nil || s.Route != sent.Route {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = channel.Try(t.Context(), &prompter{send: func(*channel.Message) (channel.Submission, error) {
		panic("482910")
	}}, m)
	_, panicked := errors.AsType[*channel.PanicError](err)
	if !panicked || channel.ClassOf(err) != channel.Unknown || strings.Contains(err.Error(), "482910") {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTryUntil: the time is that of a prompt channel's SendUntil, and of another's context.
func TestTryUntil(t *testing.T) {
	t.Parallel()
	for _, until := range []time.Time{{}, time.Now().Add(time.Hour)} {
		send := func(*channel.Message) (channel.Submission, error) { return channel.Submission{}, nil }
		p := &prompter{send: send}
		if _, err := channel.TryUntil(t.Context(), p, &channel.Message{}, until); err != nil || !p.until.Equal(until) {
			t.Errorf("prompt until %v: %v, %v", until, p.until, err)
		}
		var end time.Time
		_, err := channel.TryUntil(t.Context(), channel.Func(func(ctx context.Context, m *channel.Message) (
			channel.Submission, error) {
			end, _ = ctx.Deadline()
			return send(m)
		}), &channel.Message{}, until)
		if err != nil || !end.Equal(until) {
			t.Errorf("until %v: %v, %v", until, end, err)
		}
	}
}

// TestTryOfAWrapper: a channel that embeds a prompt one may be stuck.
func TestTryOfAWrapper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := wrapper{&prompter{}, make(chan struct{})}
		defer close(w.release)
		if _, err := channel.Try(ctx, w, &channel.Message{}); !errors.Is(err, channel.ErrStuck) {
			t.Error(err)
		}
	})
}

// nilError and nilWrapError panic as nil pointers do.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

type nilWrapError struct{ err error }

func (e *nilWrapError) Error() string { return "a text" }
func (e *nilWrapError) Unwrap() error { return e.err }

// fails returns the Send of a channel that fails with err.
func fails(err error) func(context.Context, *channel.Message) (channel.Submission, error) {
	return func(context.Context, *channel.Message) (channel.Submission, error) { return channel.Submission{}, err }
}
