package failover_test

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

func route(name string) channel.Route {
	kind := channel.Phone
	if strings.HasPrefix(name, "email") {
		kind = channel.Email
	}
	return channel.Route{Name: name, Address: kind, Channel: &channeltest.Fake{Name: name}}
}

func names(routes []channel.Route) string {
	var all []string
	for _, r := range routes {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func picked(t *testing.T, r channel.Router, m *channel.Message) string {
	t.Helper()
	routes, err := r.Route(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return names(routes)
}

func TestList(t *testing.T) {
	t.Parallel()
	routes := []channel.Route{route("a"), route("b")}
	l := failover.List(routes...)
	routes[0].Name = "changed"
	if got := picked(t, l, message()); got != "a b" {
		t.Errorf("picked %q", got)
	}
	c, err := failover.New(failover.Config{Router: l})
	if err != nil {
		t.Fatal(err)
	}
	c.Routes()[0].Name = "changed"
	if got := names(c.Routes()); got != "a b" {
		t.Errorf("routes %q", got)
	}
}

// region knows the numbers of the tests, and is not asked for others.
func region(e164 string) (string, bool) {
	if e164 == "" {
		panic("no number")
	}
	for prefix, region := range map[string]string{"+44": "GB", "+1": "US", "+49": "DE", "+353": "IE"} {
		if strings.HasPrefix(e164, prefix) {
			return region, true
		}
	}
	return "", false
}

func TestByCountry(t *testing.T) {
	t.Parallel()
	blue := route("blue")
	r, err := failover.ByCountry(failover.Countries{
		Routes: map[string][]channel.Route{
			"US": {blue, route("carrier-us")},
			"GB": {blue, route("carrier-gb")},
			"IE": {},
		},
		Default:  []channel.Route{route("world")},
		Everyone: []channel.Route{route("email")},
		Region:   region,
	})
	if err != nil {
		t.Fatal(err)
	}
	for phone, want := range map[string]string{
		"+12025550123":  "blue carrier-us email",
		"+447700900123": "blue carrier-gb email",
		"+35315550123":  "email",
		"+4930555012":   "world email",
		"+88312345678":  "world email",
		"":              "world email",
	} {
		m := message()
		m.To.Phone = phone
		if got := picked(t, r, m); got != want {
			t.Errorf("%q: %q, want %q", phone, got, want)
		}
	}
	c, err := failover.New(failover.Config{Router: r})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c.Routes()); got != "world email blue carrier-gb carrier-us" {
		t.Errorf("routes %q", got)
	}
	// The route of another country is not tried even where it is asked for.
	m := message()
	m.Route = "carrier-us"
	s, err := c.Send(t.Context(), m)
	wantError(t, s, err, channel.Unreachable)
}

func TestByCountryRefuses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]failover.Countries{
		"Countries.Region: is required": {},
		`"gb" is not a region`:          {Region: region, Routes: map[string][]channel.Route{"gb": nil}},
		`Countries.Routes["GB"]: route 1 "a": Route.Name is taken`: {
			Region: region, Routes: map[string][]channel.Route{"GB": {route("a")}},
			Everyone: []channel.Route{route("a")},
		},
		`Countries.Routes: Route.Name "a" is taken`: {
			Region:  region,
			Routes:  map[string][]channel.Route{"GB": {route("a")}},
			Default: []channel.Route{{Name: "a", Address: channel.Email, Channel: &channeltest.Fake{}}},
		},
		"Countries.Default and Everyone: route 0": {Region: region, Default: []channel.Route{{}}},
	} {
		if _, err := failover.ByCountry(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestByWeight feeds every number that may be drawn, so the shares are exact.
func TestByWeight(t *testing.T) {
	t.Parallel()
	var draws []int
	next := func(n int) int {
		d := draws[0] % n
		draws = draws[1:]
		return d
	}
	r, err := failover.ByWeight(failover.Weights{Rand: next, Routes: []failover.Weighted{
		{Route: route("email"), Weight: 0}, {Route: route("a"), Weight: 6}, {Route: route("b"), Weight: 3},
		{Route: route("c"), Weight: 1}, {Route: route("email2")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for first := range 10 {
		for second := range 36 { // divisible by every rest
			draws = []int{first, second, 0}
			got[picked(t, r, message())]++
		}
	}
	want := map[string]int{
		"a b c email email2": 6 * 27, "a c b email email2": 6 * 9,
		"b a c email email2": 0, "b c a email email2": 0,
		"c a b email email2": 24, "c b a email email2": 12,
	}
	// After b the rest weighs 7, which does not divide 36.
	want["b a c email email2"], want["b c a email email2"] = 3*31, 3*5
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestByWeightRandom shows the default's shares, within eight standard
// deviations.
func TestByWeightRandom(t *testing.T) {
	t.Parallel()
	r, err := failover.ByWeight(failover.Weights{Routes: []failover.Weighted{{Route: route("a"), Weight: 70},
		{Route: route("b"), Weight: 30}}})
	if err != nil {
		t.Fatal(err)
	}
	const each, senders = 5000, 4
	var first [senders]int
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for range each {
				if picked(t, r, message()) == "a b" {
					first[i]++
				}
			}
		})
	}
	wg.Wait()
	total := first[0] + first[1] + first[2] + first[3]
	const n = each * senders
	if off := math.Abs(float64(total) - 0.7*n); off > 8*math.Sqrt(0.7*0.3*n) {
		t.Errorf("a was first %d times of %d", total, n)
	}
	c, err := failover.New(failover.Config{Router: r})
	if err != nil || names(c.Routes()) != "a b" {
		t.Errorf("error %v, routes %v", err, c)
	}
}

func TestByWeightRefuses(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]failover.Weights{
		"Weights.Routes: is required":         {},
		"Weights.Routes[0].Weight: -1 is not": {Routes: []failover.Weighted{{Route: route("a"), Weight: -1}}},
		"Weights.Routes: route 0":             {Routes: []failover.Weighted{{}}},
	} {
		if _, err := failover.ByWeight(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A route may need any one kind of address, and takes the messages that have it.
func TestRouteOfEachKind(t *testing.T) {
	t.Parallel()
	kinds := []channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat}
	for i, kind := range kinds {
		own, other := &channeltest.Fake{Address: kind}, &channeltest.Fake{}
		f, err := failover.New(failover.Config{Router: failover.List(
			channel.Route{Name: "other", Channel: other, Address: kinds[(i+1)%len(kinds)]},
			channel.Route{Name: "own", Channel: own, Address: kind},
		)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.Send(t.Context(), channeltest.Message(kind, "m.1"))
		if err != nil || s.Route != "own" || len(own.Accepted()) != 1 || len(other.Calls()) != 0 {
			t.Errorf("%v: got %+v, %v", kind, s, err)
		}
		two := channel.Route{Name: "two", Channel: own, Address: kind | kinds[(i+1)%len(kinds)]}
		if _, err := failover.New(failover.Config{Router: failover.List(two)}); err == nil {
			t.Errorf("a route of %v is accepted", two.Address)
		}
	}
}
