package smsgate_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// phones makes a server with phones that do nothing by themselves.
func phones(
	t *testing.T, c gatewaytest.Config, all ...gatewaytest.PhoneConfig,
) (*gatewaytest.Server, map[string]*gatewaytest.Phone) {
	t.Helper()
	c.Username, c.Password = gateUser, gatePassword
	s := gatewaytest.NewPipeServer(c)
	t.Cleanup(s.Close)
	byID := map[string]*gatewaytest.Phone{}
	for _, p := range all {
		p.Manual = true
		byID[p.ID] = s.AddPhone(p)
	}
	return s, byID
}

// went tells which phone and SIM each message went to.
func went(s *gatewaytest.Server) (all []string) {
	for _, m := range s.Messages() {
		all = append(all, fmt.Sprintf("%s %s/%d", m.ID, m.DeviceID, m.SIM))
	}
	return all
}

func TestChoosesBySIM(t *testing.T) {
	t.Parallel()
	for name, devices := range map[string][]smsgate.Device{
		"as the server says": nil,
		"as configured": {
			{ID: "a", SIM: 1, Countries: []string{"DE"}}, {ID: "b", SIM: 1, Countries: []string{"FR"}},
			{ID: "b", SIM: 2, Countries: []string{"GB", "IE"}}, {ID: "c", SIM: 1, Countries: []string{"US"}},
		},
		"in part": {{ID: "a"}, {ID: "b"}, {ID: "c", SIM: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := phones(t, gatewaytest.Config{},
					gatewaytest.PhoneConfig{ID: "a", SIMs: []string{"+4915123456789"}},
					gatewaytest.PhoneConfig{ID: "b", SIMs: []string{"+33612345678", bob}},
					gatewaytest.PhoneConfig{ID: "c", SIMs: []string{ann}},
				)
				g := newGate(t, s, smsgate.Config{Devices: devices})
				mustSend(t, g, codeTo("us.1", ann))
				mustSend(t, g, codeTo("gb.1", bob))
				mustSend(t, g, codeTo("fr.1", "+33612345679"))
				want := []string{"us.1 c/1", "gb.1 b/2", "fr.1 b/1"}
				if d := cmp.Diff(want, went(s)); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
}

// A phone that was not seen for an hour waits, whatever its SIM.
func TestChoosesHealthFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{},
			gatewaytest.PhoneConfig{ID: "gone", SIMs: []string{ann}},
			gatewaytest.PhoneConfig{ID: "here", SIMs: []string{bob}})
		byID["gone"].SetLastSeen(time.Now().Add(-30 * 24 * time.Hour))
		g := newGate(t, s, smsgate.Config{SIM: 1})
		mustSend(t, g, codeTo("m.1", ann))
		if want := []string{"m.1 here/1"}; !cmp.Equal(want, went(s)) {
			t.Errorf("messages went to %q, want %q", went(s), want)
		}
	})
}

// Of phones that fit as well, the one with the least to do; of those, the one
// that was seen last. One that was not seen for an hour waits.
func TestChoosesLeastBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"}, gatewaytest.PhoneConfig{ID: "b"},
			gatewaytest.PhoneConfig{ID: "c"})
		byID["b"].SetLastSeen(time.Now().Add(-2 * time.Hour))
		byID["c"].SetLastSeen(time.Now().Add(-30 * time.Minute))
		g := newGate(t, s, smsgate.Config{})
		for i := range 4 {
			mustSend(t, g, codeTo(fmt.Sprintf("m.%d", i), ann))
		}
		time.Sleep(2 * time.Minute) // nobody is busy any more
		mustSend(t, g, codeTo("m.4", ann))
		want := []string{"m.0 a/0", "m.1 c/0", "m.2 a/0", "m.3 c/0", "m.4 a/0"}
		if d := cmp.Diff(want, went(s)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// A message that was refused is no load, and a phone that was removed is none.
func TestNoLoadNoPhone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"}, gatewaytest.PhoneConfig{ID: "b"})
		byID["b"].SetLastSeen(time.Now().Add(-time.Minute)) // a is preferred
		g := newGate(t, s, smsgate.Config{})
		s.Script(gatewaytest.Rule{Method: http.MethodPost, Path: "/messages", Status: 403, Times: 1})
		_, err := g.Send(t.Context(), codeTo("m.0", ann))
		wantRefused(t, err, channel.Misconfigured, "403")
		mustSend(t, g, codeTo("m.1", ann))
		if want := []string{"m.1 a/0"}; !cmp.Equal(want, went(s)) {
			t.Errorf("messages went to %q, want %q", went(s), want)
		}

		s.Script(gatewaytest.Rule{
			Path: "/devices", Status: 200, Body: `[{"id":"a","deletedAt":"1999-12-31T00:00:00Z"},{"id":"b"}]`,
		})
		left, err := g.Devices(t.Context())
		if err != nil || len(left) != 1 || left[0].ID != "b" {
			t.Errorf("%+v, %v", left, err)
		}
	})
}

func TestActiveWithin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"}, gatewaytest.PhoneConfig{ID: "b"})
		g := newGate(t, s, smsgate.Config{ActiveWithin: 10 * time.Minute})
		byID["a"].SetOffline(true)
		time.Sleep(15 * time.Minute)
		for i := range 3 {
			mustSend(t, g, codeTo(fmt.Sprintf("m.%d", i), ann))
		}
		if want := []string{"m.0 b/0", "m.1 b/0", "m.2 b/0"}; !cmp.Equal(want, went(s)) {
			t.Errorf("messages went to %q, want %q", went(s), want)
		}
		byID["b"].SetOffline(true)
		time.Sleep(15 * time.Minute)
		_, err := g.Send(t.Context(), codeTo("m.3", ann))
		wantRefused(t, err, channel.Temporary, "")

		health, err := g.Devices(t.Context())
		if err != nil || len(health) != 2 {
			t.Fatalf("%v, %v", health, err)
		}
		for _, p := range health {
			if p.Active || p.ID == "" || p.Name == "" || time.Since(p.LastSeen) < 14*time.Minute {
				t.Errorf("%+v", p)
			}
		}
	})
}

// Only one phone is configured: nothing is to be chosen, nothing is asked for,
// and the server decides whether it is there.
func TestOneDevice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"}, gatewaytest.PhoneConfig{ID: "b"})
		g := newGate(t, s, smsgate.Config{Devices: []smsgate.Device{{ID: "b"}}, ActiveWithin: time.Hour})
		mustSend(t, g, codeTo("m.1", ann))
		byID["b"].SetLastSeen(time.Now().Add(-3 * time.Hour))
		_, err := g.Send(t.Context(), codeTo("m.2", ann))
		wantRefused(t, err, channel.Temporary, "400")
		if d := cmp.Diff([]string{"POST /messages Basic", "POST /messages Basic"}, calls(s)); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
		unknown := newGate(t, s, smsgate.Config{Devices: []smsgate.Device{{ID: "x"}, {ID: "y"}}})
		_, err = unknown.Send(t.Context(), codeTo("m.3", ann))
		wantRefused(t, err, channel.Misconfigured, "")
	})
}

// A full queue makes room for the next phone; a message whose fate is not known
// does not, neither in the same call nor in later ones, nor in another process.
func TestPins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{QueueLimit: 1}, gatewaytest.PhoneConfig{ID: "a"},
			gatewaytest.PhoneConfig{ID: "b"})
		byID["b"].SetLastSeen(time.Now().Add(-time.Minute)) // a is preferred
		g := newGate(t, s, smsgate.Config{})
		s.Script(gatewaytest.Rule{Method: http.MethodPost, Path: "/messages", Action: gatewaytest.Disconnect, Times: 3})
		_, err := g.Send(t.Context(), codeTo("m.1", ann))
		wantRefused(t, err, channel.Unknown, "")
		mustSend(t, g, codeTo("x.1", ann)) // b has the least to do, and takes it
		mustSend(t, g, codeTo("m.1", ann)) // a, where it was
		mustSend(t, g, codeTo("m.1", ann)) // it is known to be there, although the queue is full
		_, err = g.Send(t.Context(), codeTo("x.2", ann))
		wantRefused(t, err, channel.Throttled, "503") // both are full
		if d := cmp.Diff([]string{"x.1 b/0", "m.1 a/0"}, went(s)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		byID["a"].Take()
		byID["a"].Report("m.1", gatewaytest.Processed, "")
		mustSend(t, g, codeTo("x.2", ann)) // it was refused by both, so either may have it

		restarted := newGate(t, s, smsgate.Config{})
		for _, id := range []string{"m.1", "x.1", "x.2"} {
			mustSend(t, restarted, codeTo(id, ann))
		}
		if d := cmp.Diff([]string{"x.1 b/0", "m.1 a/0", "x.2 a/0"}, went(s)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// The server does not tell of its phones: what is known is used for a while.
func TestListFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"}, gatewaytest.PhoneConfig{ID: "b"})
		g := newGate(t, s, smsgate.Config{})
		configured := newGate(t, s, smsgate.Config{Devices: []smsgate.Device{{ID: "a"}, {ID: "b"}}})
		mustSend(t, g, codeTo("m.1", ann))
		down := gatewaytest.Rule{Path: "/devices", Status: 502}
		s.Script(down)
		time.Sleep(5 * time.Minute)
		mustSend(t, g, codeTo("m.2", ann))
		time.Sleep(6 * time.Minute)
		_, err := g.Send(t.Context(), codeTo("m.3", ann))
		wantRefused(t, err, channel.Temporary, "502")
		mustSend(t, configured, codeTo("m.4", ann))

		s.ClearScript()
		s.Script(gatewaytest.Rule{Path: "/devices", Status: 200, Body: "[]"})
		_, err = g.Send(t.Context(), codeTo("m.5", ann))
		wantRefused(t, err, channel.Misconfigured, "")
		s.Script(gatewaytest.Rule{Path: "/devices", Status: 200, Body: "<html>"})
		_, err = newGate(t, s, smsgate.Config{}).Send(t.Context(), codeTo("m.6", ann))
		wantRefused(t, err, channel.Temporary, "")
	})
}

// The list of phones stalls: what is at hand is used in good time, and those
// that wait for the list, or come soon after, need not find out for themselves.
func TestListStalls(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]smsgate.Config{
		"an older list": {},
		"configured":    {Devices: []smsgate.Device{{ID: "a"}, {ID: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"},
					gatewaytest.PhoneConfig{ID: "b"})
				g := newGate(t, s, config)
				mustSend(t, g, codeTo("m.0", ann))
				time.Sleep(time.Minute)
				s.Script(gatewaytest.Rule{Path: "/devices", Action: gatewaytest.Stall})
				began, errs := time.Now(), make(chan error)
				for i := range 10 {
					go func() {
						_, err := g.Send(t.Context(), codeTo(fmt.Sprintf("m.1.%d", i), ann))
						errs <- err
					}()
				}
				for range 10 {
					if err := <-errs; err != nil {
						t.Error(err)
					}
				}
				mustSend(t, g, codeTo("m.2", ann))
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("it took %v, want a third of the 15 s", took)
				}
				s.ClearScript()
				time.Sleep(11 * time.Second)
				mustSend(t, g, codeTo("m.3", ann))
				lists := slices.DeleteFunc(calls(s), func(c string) bool { return c != "GET /devices Basic" })
				if len(lists) != 3 {
					t.Errorf("the phones were listed %d times", len(lists))
				}
			})
		})
	}
}

// One list serves all who wait for it.
func TestListsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"})
		g := newGate(t, s, smsgate.Config{})
		errs := make(chan error)
		for i := range 50 {
			go func() {
				_, err := g.Send(t.Context(), codeTo(fmt.Sprintf("m.%d", i), ann))
				errs <- err
			}()
		}
		for range 50 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		lists := slices.DeleteFunc(calls(s), func(c string) bool { return c != "GET /devices Basic" })
		if len(lists) != 1 {
			t.Errorf("the phones were listed %d times", len(lists))
		}
	})
}
