package channel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

type plain struct{ name string }

func (plain) Send(context.Context, *channel.Message) (channel.Submission, error) {
	return channel.Submission{}, nil
}

type canceling struct{ plain }

func (canceling) Cancel(context.Context, *channel.Message, channel.Submission) error { return nil }

// A wrap hides whatever else the channel in it can do.
type wrap struct{ inner channel.Channel }

func (w wrap) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	return w.inner.Send(ctx, m)
}
func (w wrap) Unwrap() channel.Channel { return w.inner }

type cancelingWrap struct {
	wrap
	channel.Canceler
}

func TestAs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		c    channel.Channel
		want string // name of the Canceler
	}{
		{"nil", nil, ""},
		{"has none", plain{"a"}, ""},
		{"itself", canceling{plain{"a"}}, "a"},
		{"wrapped", wrap{canceling{plain{"a"}}}, "a"},
		{"wrapped twice", wrap{wrap{canceling{plain{"a"}}}}, "a"},
		{"wrapped, has none", wrap{wrap{plain{"a"}}}, ""},
		{"wraps nil", wrap{}, ""},
		{"the outermost", cancelingWrap{wrap{canceling{plain{"inner"}}}, canceling{plain{"outer"}}}, "outer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			found, ok := channel.As[channel.Canceler](row.c)
			if ok != (row.want != "") {
				t.Fatalf("found: %v", ok)
			}
			if w, ok := found.(cancelingWrap); ok {
				found = w.Canceler
			}
			if c, _ := found.(canceling); c.name != row.want {
				t.Errorf("found %q, want %q", c.name, row.want)
			}
		})
	}
	if c, ok := channel.As[wrap](wrap{plain{"a"}}); !ok || c.inner != (plain{"a"}) {
		t.Error("a concrete type is not found")
	}
}

func TestFuncs(t *testing.T) {
	t.Parallel()
	m := &channel.Message{ID: "k3v9.1"}
	failure := errors.New("failure")
	c := channel.Func(func(_ context.Context, got *channel.Message) (channel.Submission, error) {
		return channel.Submission{Route: got.ID}, failure
	})
	if s, err := c.Send(t.Context(), m); s.Route != m.ID || !errors.Is(err, failure) {
		t.Errorf("%+v, %v", s, err)
	}
	r := channel.RouterFunc(func(_ context.Context, got *channel.Message) ([]channel.Route, error) {
		return []channel.Route{{Name: got.ID}}, failure
	})
	if routes, err := r.Route(t.Context(), m); len(routes) != 1 || routes[0].Name != m.ID || !errors.Is(err, failure) {
		t.Errorf("%+v, %v", routes, err)
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	throttled := &channel.Error{Class: channel.Throttled}
	for _, row := range []struct {
		name string
		err  error
		want channel.Class
	}{
		{"itself", throttled, channel.Throttled},
		{"wrapped", fmt.Errorf("more: %w", throttled), channel.Throttled},
		{"joined", errors.Join(errors.New("other"), throttled), channel.Throttled},
		{"the outer one", &channel.Error{Class: channel.Expired, Err: throttled}, channel.Expired},
		{"none", context.DeadlineExceeded, channel.Unknown},
		{"zero", &channel.Error{}, channel.Unknown},
	} {
		if got := channel.ClassOf(row.err); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	for _, row := range []struct {
		err  *channel.Error
		want string
	}{
		{&channel.Error{}, "channel: unknown"},
		{&channel.Error{Class: channel.Unreachable, Op: "smpp: submit_sm", Code: "0x45"},
			"smpp: submit_sm: unreachable (0x45)"},
		{&channel.Error{Class: channel.Temporary, Op: "smtp: data", Code: "4.7.28", Err: cause},
			"smtp: data: temporary (4.7.28): connection reset"},
		{&channel.Error{Class: channel.InvalidRecipient, Err: cause}, "channel: invalid recipient: connection reset"},
		{&channel.Error{Class: 200}, "channel: invalid class"},
	} {
		if got := row.err.Error(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
		if errors.Is(row.err, cause) != (row.err.Err != nil) {
			t.Errorf("%v: the cause is not wrapped", row.err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for class, want := range map[channel.Class]string{
		channel.Unknown: "unknown", channel.Temporary: "temporary", channel.Throttled: "throttled",
		channel.Unreachable:      "unreachable",
		channel.InvalidRecipient: "invalid recipient", channel.Misconfigured: "misconfigured",
		channel.Expired: "expired",
	} {
		if got := class.String(); got != want {
			t.Errorf("class %q, want %q", got, want)
		}
	}
	for state, want := range map[channel.State]string{
		0: "none", channel.Queued: "queued", channel.Sent: "sent", channel.Failed: "failed",
		channel.Delivered: "delivered", 9: "none",
	} {
		if got := state.String(); got != want {
			t.Errorf("state %q, want %q", got, want)
		}
	}
}
