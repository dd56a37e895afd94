package failover_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

type canceler struct {
	channeltest.Fake
	cancelled []string
}

func (c *canceler) Cancel(_ context.Context, _ *channel.Message, s channel.Submission) error {
	c.cancelled = append(c.cancelled, s.ProviderIDs...)
	return nil
}

type wrapper struct{ channel.Channel }

func (w wrapper) Unwrap() channel.Channel { return w.Channel }

func TestCancel(t *testing.T) {
	t.Parallel()
	c := &canceler{}
	routes := []channel.Route{
		{Name: "a", Channel: &channeltest.Fake{}, Address: channel.Phone},
		{Name: "b", Channel: wrapper{c}, Address: channel.Phone},
	}
	fixed := failover.List(routes...)
	for name, router := range map[string]channel.Router{"known": fixed, "dynamic": channel.RouterFunc(fixed.Route)} {
		c.cancelled = nil
		f := &fakes{config: failover.Config{Router: router}}
		f.build(t)
		found, ok := channel.As[channel.Canceler](wrapper{f})
		if !ok {
			t.Fatal("the failover is no Canceler")
		}
		taken := channel.Submission{Route: "b", ProviderIDs: []string{"7"}}
		if err := found.Cancel(t.Context(), message(), taken); err != nil || !cmp.Equal(c.cancelled, []string{"7"}) {
			t.Errorf("%s: error %v, cancelled %q", name, err, c.cancelled)
		}
		taken = channel.Submission{Route: "a"}
		if err := found.Cancel(t.Context(), message(), taken); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: a channel that cannot: %v", name, err)
		}
		taken = channel.Submission{Route: "x"}
		if err := found.Cancel(t.Context(), message(), taken); channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("%s: no such route: %v", name, err)
		}
	}
}

// TestCancelByCountry shows that a message is withdrawn from the channel that
// took it, where two countries have one of the same name.
func TestCancelByCountry(t *testing.T) {
	t.Parallel()
	british, american := &canceler{}, &canceler{}
	r, err := failover.ByCountry(failover.Countries{
		Routes: map[string][]channel.Route{
			"GB": {{Name: "sms", Channel: british, Address: channel.Phone}},
			"US": {{Name: "sms", Channel: american, Address: channel.Phone}},
		},
		Region: region,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := (&fakes{config: failover.Config{Router: r}}).build(t)
	m := message()
	m.To.Phone = "+12025550123"
	s, err := f.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Cancel(t.Context(), m, s); err != nil || len(british.cancelled) != 0 ||
		!cmp.Equal(american.cancelled, s.ProviderIDs) {
		t.Errorf("error %v; cancelled %q at the American one, %q at the British one", err, american.cancelled,
			british.cancelled)
	}
}

// fickle is a router that knows its routes, but has others for each message.
type fickle struct {
	known, now []channel.Route
	failure    error
}

func (f *fickle) Route(context.Context, *channel.Message) ([]channel.Route, error) {
	return f.now, f.failure
}
func (f *fickle) Routes() []channel.Route { return f.known }

// TestCancelFallsBack shows that the routes known beforehand do where the
// router no longer has the message's.
func TestCancelFallsBack(t *testing.T) {
	t.Parallel()
	c := &canceler{}
	r := &fickle{known: []channel.Route{{Name: "a", Channel: c, Address: channel.Phone}}}
	f := (&fakes{config: failover.Config{Router: r}}).build(t)
	sent := channel.Submission{Route: "a", ProviderIDs: []string{"7"}}
	for _, failure := range []error{nil, errors.New("no database")} {
		r.failure, c.cancelled = failure, nil
		if err := f.Cancel(t.Context(), message(), sent); err != nil || !cmp.Equal(c.cancelled, []string{"7"}) {
			t.Errorf("router's error %v: error %v, cancelled %q", failure, err, c.cancelled)
		}
	}
	if err := f.Cancel(t.Context(), message(), channel.Submission{Route: "x"}); !errors.Is(err, r.failure) {
		t.Errorf("unknown route, router's error is lost: %v", err)
	}
}
