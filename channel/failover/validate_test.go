package failover_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := channel.Route{Name: "a", Channel: &channeltest.Fake{}, Address: channel.Phone}
	with := func(change func(*channel.Route)) failover.Config {
		r := good
		change(&r)
		return failover.Config{Router: failover.List(r)}
	}
	router := failover.List(good)
	classes := map[string]channel.Class{"0x0B": 255}
	for want, config := range map[string]failover.Config{
		"Config.Router: is required":             {},
		"Config.Router: has no routes":           {Router: failover.List()},
		"Config.TryTimeout":                      {Router: router, TryTimeout: -1},
		"Config.MaxPause":                        {Router: router, MaxPause: -1},
		"Config.Breaker.Open":                    {Router: router, Breaker: failover.BreakerConfig{Open: -1}},
		"Config.Breaker.Failures":                {Router: router, Breaker: failover.BreakerConfig{Failures: -1}},
		`route 1 "a": Route.Name is taken`:       {Router: failover.List(good, good)},
		`route 0 "": Route.Name is required`:     with(func(r *channel.Route) { r.Name = "" }),
		`route 0 "a": Route.Channel is required`: with(func(r *channel.Route) { r.Channel = nil }),
		`route 0 "a": Route.Channel is a nil p`:  with(func(r *channel.Route) { r.Channel = (*channeltest.Fake)(nil) }),
		`route 0 "a": Route.Address must be`:     with(func(r *channel.Route) { r.Address = 0 }),
		`route 0 "a": Route.Retry.Attempts is`:   with(func(r *channel.Route) { r.Retry.Attempts = 1000 }),
		`route 0 "a": Route.Retry.Backoff is`:    with(func(r *channel.Route) { r.Retry.Backoff = -1 }),
		`route 0 "a": Route.Await is negative`:   with(func(r *channel.Route) { r.Await = -1 }),
		`route 0 "a": Route.Classes["0x0B"] is`:  with(func(r *channel.Route) { r.Classes = classes }),
	} {
		if _, err := failover.New(config); err == nil || !strings.HasPrefix(err.Error(), "failover: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
