package failover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// country is by the first digits.
func country(e164 string) (string, bool) {
	switch {
	case strings.HasPrefix(e164, "+44"):
		return "GB", true
	case strings.HasPrefix(e164, "+33"):
		return "FR", true
	}
	return "", false
}

func phoneRoute(name string) channel.Route {
	return channel.Route{Name: name, Channel: &channeltest.Fake{Name: name}, Address: channel.Phone}
}

// a student is a Learner with people who send and verify.
type student struct {
	*failover.Learner
	send *failover.Channel
	n    int
}

func newStudent(t testing.TB, c failover.Learning) *student {
	t.Helper()
	if c.Router == nil {
		c.Router = failover.List(phoneRoute("a"), phoneRoute("b"), phoneRoute("c"))
	}
	if c.Region == nil {
		c.Region = country
	}
	l, err := failover.Learn(c)
	if err != nil {
		t.Fatal(err)
	}
	send, err := failover.New(failover.Config{Router: l})
	if err != nil {
		t.Fatal(err)
	}
	return &student{Learner: l, send: send}
}

// message is one to somebody else in a country each time.
func (s *student) message(prefix string) *channel.Message {
	s.n++
	m := channeltest.Message(channel.Phone, fmt.Sprintf("k%d.1", s.n))
	m.To.Phone = fmt.Sprintf("%s79%08d", prefix, s.n)
	return m
}

// person sends a message to a country, and verifies it after 20 s if it arrives.
func (s *student) person(t testing.TB, prefix string, arrives func(route string) bool) string {
	t.Helper()
	m := s.message(prefix)
	m.Expires = time.Now().Add(5 * time.Minute)
	sub, err := s.send.Send(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	sent := time.Now()
	time.Sleep(20 * time.Second)
	if arrives(sub.Route) {
		s.send.Observe(channel.Feedback{Kind: channel.FeedbackVerified, Route: sub.Route, To: m.To, Sent: sent})
	}
	return sub.Route
}

// order returns the routes of a message without another one first.
func (s *student) order(t testing.TB, prefix string) string {
	t.Helper()
	m := s.message(prefix)
	m.Last = []string{"none"} // of a resend, which never explores
	routes, err := s.Route(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	return names(routes)
}

func all(string) bool { return true }

// A route that loses the messages of one country comes last there, and only there. After
// the loss it comes back.
func TestLearnLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStudent(t, failover.Learning{})
		for range 200 {
			s.person(t, "+44", all)
			s.person(t, "+33", all)
		}
		if got := s.order(t, "+44"); got != "a b c" {
			t.Fatalf("without a loss: %s", got)
		}
		lost := 0
		for range 100 {
			if r := s.person(t, "+44", func(r string) bool { return r != "a" }); r == "a" {
				lost++
			}
			s.person(t, "+33", all)
		}
		if got, fr := s.order(t, "+44"), s.order(t, "+33"); !strings.HasPrefix(got, "b") || fr != "a b c" || lost > 25 {
			t.Errorf("%d of 100 lost; GB by %s, FR by %s", lost, got, fr)
		}
		for range 100 {
			s.person(t, "+44", all)
		}
		for _, r := range s.Health().Routes {
			if r.Loss > 0.01 {
				t.Errorf("after the loss: %+v", r)
			}
		}
	})
}

// A total outage is learned in all countries from the messages of all.
func TestLearnLossEverywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStudent(t, failover.Learning{})
		for range 300 {
			s.person(t, "+44", all)
		}
		for range 30 {
			s.person(t, "+44", func(r string) bool { return r != "a" })
		}
		if got := s.order(t, "+33"); got != "b c a" {
			t.Errorf("a country without messages: %s", got)
		}
	})
}

// Evidence never widens the choice of routes, and leaves other kinds of address in place.
func TestLearnKeepsTheChoice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := []channel.Route{phoneRoute("a"), {Name: "mail", Channel: &channeltest.Fake{}, Address: channel.Email},
			phoneRoute("b"), phoneRoute("c")}
		only := ""
		s := newStudent(t, failover.Learning{Router: channel.RouterFunc(
			func(context.Context, *channel.Message) ([]channel.Route, error) {
				return slices.DeleteFunc(slices.Clone(given), func(r channel.Route) bool { return r.Name == only }), nil
			})})
		for range 60 {
			s.person(t, "+44", func(r string) bool { return r != "a" })
		}
		if got := s.order(t, "+44"); got != "b mail c a" {
			t.Errorf("by %s", got)
		}
		only = "b"
		if got := s.order(t, "+44"); got != "c mail a" {
			t.Errorf("without b by %s", got)
		}
		for range 500 {
			if routes, err := s.Route(context.Background(), s.message("+44")); err != nil || len(routes) != 3 ||
				routes[1].Name != "mail" {
				t.Fatal(names(routes), err)
			}
		}
	})
}

// The stated share explores, the same messages under one seed, and never a resend or a
// message whose route is named. Hops tell the position and the exploration.
func TestLearnExplores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		explored := func(seed uint64, change func(*channel.Message)) (which []int) {
			s := newStudent(t, failover.Learning{Explore: 0.1, Seed: seed})
			for i := range 4000 {
				m := s.message("+44")
				if change != nil {
					change(m)
				}
				routes, err := s.Route(context.Background(), m)
				if err != nil {
					t.Fatal(err)
				}
				if routes[0].Explored {
					which = append(which, i)
				}
			}
			return which
		}
		first := explored(1, nil)
		if n := len(first); n < 320 || n > 480 {
			t.Errorf("%d of 4000 explored, want about 400", n)
		}
		if !slices.Equal(first, explored(1, nil)) || slices.Equal(first, explored(2, nil)) {
			t.Error("the draws are not those of the seed")
		}
		for name, change := range map[string]func(*channel.Message){
			"named":  func(m *channel.Message) { m.Route = "a" },
			"tried":  func(m *channel.Message) { m.Tried = []string{"c"} },
			"resend": func(m *channel.Message) { m.Last = []string{"c"} },
		} {
			if n := len(explored(1, change)); n > 0 {
				t.Errorf("%s: %d explored", name, n)
			}
		}
		s := newStudent(t, failover.Learning{Explore: 0.2})
		positions := map[string]int{"a": 1, "b": 2, "c": 3}
		seen := map[bool]int{}
		for range 200 {
			sub, err := s.send.Send(context.Background(), s.message("+44"))
			if err != nil {
				t.Fatal(err)
			}
			h := sub.Hops[0]
			if h.Position != positions[h.Route] || h.Explored != (h.Route != "a") {
				t.Fatalf("%+v", h)
			}
			seen[h.Explored]++
		}
		if seen[true] == 0 || seen[false] == 0 {
			t.Errorf("explored: %v", seen)
		}
	})
}

// All messages of one challenge have one draw: the Learner sends as it has planned.
func TestLearnPlansWhatItSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStudent(t, failover.Learning{Explore: 0.2})
		for range 300 {
			m := s.message("+44")
			plan, err := s.send.Plan(context.Background(), m)
			if err != nil {
				t.Fatal(err)
			}
			if sub, err := s.send.Send(context.Background(), m); err != nil || sub.Route != plan[0].Name {
				t.Fatalf("planned %s, sent by %s, %v", plan[0].Name, sub.Route, err)
			}
		}
	})
}

// Shadow mode counts and reports, and keeps the given order.
func TestLearnShadow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStudent(t, failover.Learning{Shadow: true, Explore: 0.1})
		for range 100 {
			if r := s.person(t, "+44", func(r string) bool { return r != "a" }); r != "a" {
				t.Fatalf("by %s", r)
			}
		}
		h := s.Health()
		if !h.Shadow || h.Messages < 100 || h.Changed == 0 {
			t.Errorf("%+v", h)
		}
		for _, r := range h.Routes {
			if r.Region == "GB" && r.Route == "a" && (r.Given != 1 || r.Place == 1 || r.Estimate > 0.1 ||
				r.Reason == "") {
				t.Errorf("%+v", r)
			}
		}
	})
}

// A cheaper route passes if its price is worth more than what it loses.
func TestLearnPrices(t *testing.T) {
	t.Parallel()
	prices := map[string]float64{"a": 10, "b": 4, "c": 9}
	s := newStudent(t, failover.Learning{Worth: 100, Explore: -1,
		Price: func(_, route string) float64 { return prices[route] }})
	if got := s.order(t, "+44"); got != "b a c" {
		t.Errorf("by %s", got)
	}
	for _, r := range s.Health().Routes {
		if r.Region == "GB" && (r.Price != prices[r.Route]/100 || r.Kind != channel.Phone) {
			t.Errorf("%+v", r)
		}
	}
}

// Errors of a route are evidence against it; refusals of a recipient are not.
func TestLearnErrors(t *testing.T) {
	t.Parallel()
	for class, want := range map[channel.Class]string{channel.Temporary: "b c a", channel.Unreachable: "a b c",
		channel.InvalidRecipient: "a b c", channel.Throttled: "a b c"} {
		synctest.Test(t, func(t *testing.T) {
			a := phoneRoute("a")
			a.Channel = &channeltest.Fake{Then: channeltest.Refuse(class, "1")}
			s := newStudent(t, failover.Learning{Explore: -1,
				Router: failover.List(a, phoneRoute("b"), phoneRoute("c"))})
			for range 20 {
				m := s.message("+44")
				_, _ = s.send.Send(context.Background(), m)
				time.Sleep(time.Second)
			}
			if got := s.order(t, "+44"); got != want {
				t.Errorf("%v: by %s, want %s", class, got, want)
			}
		})
	}
}

// A Router that fails is no matter of evidence.
func TestLearnRouterFails(t *testing.T) {
	t.Parallel()
	want := errors.New("down")
	s := newStudent(t, failover.Learning{Router: channel.RouterFunc(
		func(context.Context, *channel.Message) ([]channel.Route, error) { return nil, want })})
	if _, err := s.Route(context.Background(), s.message("+44")); !errors.Is(err, want) {
		t.Error(err)
	}
}

func TestLearningIsValidated(t *testing.T) {
	t.Parallel()
	router := failover.List(phoneRoute("a"))
	for field, c := range map[string]failover.Learning{
		"Router":   {Region: country},
		"Region":   {Router: router},
		"Explore":  {Router: router, Region: country, Explore: 0.3},
		"HalfLife": {Router: router, Region: country, HalfLife: time.Second},
		"Worth":    {Router: router, Region: country, Price: func(_, _ string) float64 { return 1 }},
		"Price":    {Router: router, Region: country, Worth: 1},
		"Name":     {Router: router, Region: country, Name: strings.Repeat("x", 65)},
		"Interval": {Router: router, Region: country, Interval: time.Hour},
	} {
		if _, err := failover.Learn(c); err == nil || !strings.Contains(err.Error(), "Learning."+field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	l, err := failover.Learn(failover.Learning{Router: router, Region: country})
	if err != nil || l.Run(context.Background()) == nil {
		t.Errorf("Run without Shared: %v", err)
	}
}
