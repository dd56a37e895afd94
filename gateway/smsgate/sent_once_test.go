package smsgate_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// 1,000 messages at once to a server whose phones have full queues, that loses
// answers and forgets tokens: each message has one outcome, and it is the truth.
func TestThousandAtOnce(t *testing.T) {
	t.Parallel()
	s := gatewaytest.NewTLSServer(gatewaytest.Config{
		QueueLimit: 150, JWT: true, Username: gateUser, Password: gatePassword,
	})
	t.Cleanup(s.Close)
	for i := range 3 {
		s.AddPhone(gatewaytest.PhoneConfig{ID: fmt.Sprint("phone-", i), Manual: true})
	}
	s.Client().Transport.(*http.Transport).MaxConnsPerHost = 32
	submission := gatewaytest.Rule{
		Method: http.MethodPost, Path: "/messages", Action: gatewaytest.Disconnect, Times: 20,
	}
	lost := submission
	lost.Served = true
	s.Script(submission, lost, gatewaytest.Rule{Method: http.MethodPost, Path: "/messages", Status: 401, Times: 5})
	g := newGate(t, s, smsgate.Config{JWT: true, Timeout: 5 * time.Minute})

	const n = 1000
	var mu sync.Mutex
	outcomes := map[string]channel.Class{}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			id := fmt.Sprintf("c%d.1", i)
			_, err := g.Send(context.Background(), codeTo(id, ann))
			class := channel.Class(255) // accepted
			if err != nil {
				class = channel.ClassOf(err)
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[id] = class
		})
	}
	all.Wait()
	has := map[string]int{}
	for _, m := range s.Messages() {
		has[m.ID]++
	}
	count := map[channel.Class]int{}
	for id, class := range outcomes {
		count[class]++
		switch {
		case has[id] > 1:
			t.Errorf("%s was accepted %d times", id, has[id])
		case class == 255 && has[id] == 0:
			t.Errorf("%s counts as accepted, but was lost", id)
		case class != 255 && class != channel.Unknown && has[id] != 0:
			t.Errorf("%s counts as not sent (%v), but was accepted", id, class)
		}
	}
	// Who meets two of the 401 is refused for good.
	refused := count[channel.Throttled] + count[channel.Unknown] + count[channel.Misconfigured]
	if len(outcomes) != n || count[255] != 450 || refused != n-450 || count[channel.Misconfigured] > 2 {
		t.Errorf("outcomes %v, want 450 accepted", count)
	}
	t.Logf("%d accepted, %d throttled, %d unknown", count[255], count[channel.Throttled], count[channel.Unknown])
}

// A phone and a server that fail at random: of each message something is told,
// and never a lesser state after a greater one.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		inBubble(t, smsgate.Config{}, gatewaytest.Config{}, gatewaytest.PhoneConfig{}, func(t *testing.T, g *gate) {
			random := rand.New(rand.NewPCG(seed, 1))
			const n = 30
			for i := range n {
				g.phone.Next(1, gatewaytest.Plan{
					Delay:   time.Duration(random.IntN(400)) * time.Second,
					Between: time.Duration(random.IntN(20)) * time.Second,
					Late:    time.Duration(random.IntN(100)) * time.Second, Copies: 1 + random.IntN(3),
					Reversed: random.IntN(2) == 0, NoWebhooks: random.IntN(4) == 0, NoReports: random.IntN(4) == 0,
				})
				g.ledger.fail(random.IntN(2))
				mustSend(t, g, codeTo(fmt.Sprintf("c%d.1", i), ann))
				if random.IntN(5) == 0 {
					g.server.SetDown(true)
				}
				time.Sleep(time.Duration(random.IntN(10)) * time.Second)
				g.server.SetDown(false)
			}
			time.Sleep(3 * time.Hour)
			synctest.Wait()
			order := map[string]int{"sent": 1, "failed": 2, "delivered": 3}
			reached := map[string]int{}
			for _, line := range g.ledger.take() {
				f := strings.Fields(line)
				if order[f[2]] <= reached[f[1]] {
					t.Errorf("seed %d: %q after state %d", seed, line, reached[f[1]])
				}
				reached[f[1]] = order[f[2]]
			}
			if len(reached) != n {
				t.Errorf("seed %d: receipts of %d messages, want %d", seed, len(reached), n)
			}
		})
	}
}

// An answer that is lost costs nothing: the same id goes to the same phone, and
// 409 says that it was accepted.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]gatewaytest.Rule{
		"hung up":     {Action: gatewaytest.Disconnect},
		"bad gateway": {Status: 502},
		"proxy":       {Status: 503, Body: "upstream connect error or disconnect/reset before headers"},
	} {
		s, _ := newGateServer(t, gatewaytest.Config{})
		rule.Method, rule.Path, rule.Served, rule.Times = http.MethodPost, "/messages", true, 1
		s.Script(rule, gatewaytest.Rule{Method: http.MethodGet, Path: "/messages", Status: 500})
		mustSend(t, newGate(t, s, smsgate.Config{}), codeTo("c4n7.1", ann))
		if n := posts(s); n != 2 {
			t.Errorf("%s: %d submissions, want 2", name, n)
		}
		if n := len(s.Messages()); n != 1 {
			t.Errorf("%s: %d messages", name, n)
		}
	}
}

// If every answer was lost, the server is asked for the message: it counts as
// accepted if the server has it, and as perhaps sent if not.
func TestAskedAfterLostAnswers(t *testing.T) {
	t.Parallel()
	rule := func(method string, served bool, times int) gatewaytest.Rule {
		return gatewaytest.Rule{
			Method: method, Path: "/messages", Action: gatewaytest.Disconnect, Served: served, Times: times,
		}
	}
	for name, row := range map[string]struct {
		rules    []gatewaytest.Rule
		accepted bool
		asked    int
	}{
		"stored": {[]gatewaytest.Rule{rule(http.MethodPost, true, 0)}, true, 1},
		"stored, and two questions are lost": {
			[]gatewaytest.Rule{rule(http.MethodPost, true, 0), rule(http.MethodGet, true, 2)}, true, 3,
		},
		"not stored":                      {[]gatewaytest.Rule{rule(http.MethodPost, false, 0)}, false, 3},
		"stored, and nobody can be asked": {[]gatewaytest.Rule{rule("", true, 0)}, false, 3},
	} {
		for _, kind := range []gatewaytest.Kind{gatewaytest.Private, gatewaytest.OnPhone} {
			s, _ := newGateServer(t, gatewaytest.Config{Kind: kind})
			g := newGate(t, s, smsgate.Config{Devices: oneDevice})
			s.Script(row.rules...)
			_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
			if !row.accepted {
				wantRefused(t, err, channel.Unknown, "")
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			asked := len(s.Requests()) - posts(s)
			if posts(s) != 3 || asked != row.asked {
				t.Errorf("%s: %d tries and %d questions, want 3 and %d", name, posts(s), asked, row.asked)
			}
		}
	}
}

// A refusal after a try whose fate is unknown says nothing of that try: the
// server is asked, and who cannot be sure is not.
func TestRefusedAfterUnknown(t *testing.T) {
	t.Parallel()
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages"}
	full, lost := submission, submission
	full.Status, full.Body = 503, "queue limits exceeded"
	lost.Action, lost.Times = gatewaytest.Disconnect, 1

	for name, kind := range map[string]gatewaytest.Kind{"server": gatewaytest.Private, "phone": gatewaytest.OnPhone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newGateServer(t, gatewaytest.Config{Kind: kind})
			g := newGate(t, s, smsgate.Config{})
			s.Script(full, lost)
			_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
			wantRefused(t, err, channel.Unknown, "")
			_, err = g.Send(t.Context(), codeTo("c4n7.1", ann)) // by now it would be there
			wantRefused(t, err, channel.Throttled, "503")
			s.Script(gatewaytest.Rule{Method: http.MethodGet, Path: "/messages", Status: 500})
			_, err = g.Send(t.Context(), codeTo("c4n7.1", ann))
			wantRefused(t, err, channel.Unknown, "")

			s.ClearScript()
			lost := lost
			lost.Served = true
			s.Script(full, lost)
			mustSend(t, g, codeTo("c4n7.2", ann))
			if n := len(s.Messages()); n != 1 {
				t.Errorf("%d messages", n)
			}

			// The first call has not found out, the next one does.
			s.ClearScript()
			lost.Times = 3
			unasked := gatewaytest.Rule{Method: http.MethodGet, Path: "/messages", Status: 502, Times: 3}
			s.Script(full, lost, unasked)
			_, err = g.Send(t.Context(), codeTo("c4n7.3", ann))
			wantRefused(t, err, channel.Unknown, "")
			mustSend(t, g, codeTo("c4n7.3", ann))
			before := posts(s)
			mustSend(t, g, codeTo("c4n7.3", ann)) // it is known to be there
			if n := posts(s); n != before {
				t.Errorf("%d submissions of what the server has", n-before)
			}
		})
	}
}

// Of two calls of one message at once none says that it is certainly not sent
// while the other has sent it, or may have.
func TestRefusedWhileShared(t *testing.T) {
	t.Parallel()
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages"}
	full, stall, served := submission, submission, submission
	full.Status, full.Body = 503, "queue limits exceeded"
	stall.Action, stall.Times = gatewaytest.Stall, 1
	served.Action, served.Times, served.Served = gatewaytest.Stall, 1, true
	for name, row := range map[string]struct {
		rules         []gatewaytest.Rule
		first, second channel.Class // 255: accepted
	}{
		"the first is stored, the second refused":         {[]gatewaytest.Rule{full, served}, 255, 255},
		"the first is on its way, the second refused":     {[]gatewaytest.Rule{full, stall}, 255, channel.Unknown},
		"the first is refused once the second was stored": {[]gatewaytest.Rule{stall}, 255, 255},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := phones(t, gatewaytest.Config{QueueLimit: 1}, gatewaytest.PhoneConfig{ID: "pixel"})
				g := newGate(t, s, smsgate.Config{Devices: oneDevice})
				s.Script(row.rules...)
				send := func() channel.Class {
					if _, err := g.Send(t.Context(), codeTo("c4n7.1", ann)); err != nil {
						return channel.ClassOf(err)
					}
					return 255
				}
				first := make(chan channel.Class)
				go func() { first <- send() }()
				synctest.Wait()
				if got := send(); got != row.second {
					t.Errorf("the second: class %v, want %v", got, row.second)
				}
				s.ClearScript()
				if got := <-first; got != row.first {
					t.Errorf("the first: class %v, want %v", got, row.first)
				}
				if n := len(s.Messages()); n != 1 {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}
