package smsgate_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestStates(t *testing.T) {
	t.Parallel()
	reason := "RESULT_ERROR_NO_SERVICE for +19162255887"
	for name, row := range map[string]struct {
		plan   gatewaytest.Plan
		config smsgate.Config
		want   []string
	}{
		"delivered": {
			gatewaytest.Plan{Between: 4 * time.Second}, smsgate.Config{},
			[]string{"8s c4n7.1 sent unknown Sent", "12s c4n7.1 delivered unknown Delivered"},
		},
		"webhooks missing": {
			gatewaytest.Plan{Between: 4 * time.Second, NoWebhooks: true}, smsgate.Config{},
			[]string{"10s c4n7.1 sent unknown Sent", "16s c4n7.1 delivered unknown Delivered"},
		},
		"the server not told": {
			gatewaytest.Plan{Between: 4 * time.Second, NoReports: true}, smsgate.Config{},
			[]string{"8s c4n7.1 sent unknown Sent", "12s c4n7.1 delivered unknown Delivered"},
		},
		"only webhooks heard": {
			gatewaytest.Plan{Between: 4 * time.Second, NoWebhooks: true}, smsgate.Config{PollInterval: -1},
			[]string{"5m0s c4n7.1 sent unknown "},
		},
		"twice": {
			gatewaytest.Plan{Between: 4 * time.Second, Copies: 3}, smsgate.Config{},
			[]string{"8s c4n7.1 sent unknown Sent", "12s c4n7.1 delivered unknown Delivered"},
		},
		"out of order": {
			gatewaytest.Plan{Reversed: true, NoReports: true}, smsgate.Config{},
			[]string{"0s c4n7.1 delivered unknown Delivered"},
		},
		"failed": {
			gatewaytest.Plan{Final: gatewaytest.Failed, Reason: reason}, smsgate.Config{},
			[]string{"0s c4n7.1 failed temporary RESULT_ERROR_NO_SERVICE"},
		},
		"failed, by polling": {
			gatewaytest.Plan{Final: gatewaytest.Failed, Reason: reason, NoWebhooks: true}, smsgate.Config{},
			[]string{"2s c4n7.1 failed temporary RESULT_ERROR_NO_SERVICE"},
		},
		"no delivery report": {
			gatewaytest.Plan{}, smsgate.Config{NoDeliveryReport: true},
			[]string{"0s c4n7.1 sent unknown Sent"},
		},
		"stuck in Processed": {
			gatewaytest.Plan{Final: gatewaytest.Processed}, smsgate.Config{},
			[]string{"5m0s c4n7.1 sent unknown Processed"},
		},
		"reported after the expiry": {
			gatewaytest.Plan{Late: time.Hour, NoReports: true}, smsgate.Config{},
			[]string{"5m0s c4n7.1 sent unknown Pending", "1h0m0s c4n7.1 delivered unknown Delivered"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			phone := gatewaytest.PhoneConfig{Plan: row.plan}
			inBubble(t, row.config, gatewaytest.Config{}, phone, func(t *testing.T, g *gate) {
				mustSend(t, g, codeTo("c4n7.1", ann))
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				g.ledger.want(t, row.want...)
			})
		})
	}
}

// A receipt has the time that the phone says, by webhook and by polling.
func TestReceiptTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "pixel"})
		told := make(chan channel.Receipt, 1)
		g := newGate(t, s, smsgate.Config{
			Devices: oneDevice, SigningKeys: []string{"key"},
			Receipt: func(_ context.Context, r channel.Receipt) error {
				told <- r
				return nil
			},
		})
		mustSend(t, g, codeTo("polled.1", ann))
		<-time.After(time.Second)
		sent := time.Now()
		byID["pixel"].Report("polled.1", gatewaytest.Delivered, "")
		if r := <-told; r.MessageID != "polled.1" || !r.At.Equal(sent) {
			t.Errorf("%+v, want the time %v", r, sent)
		}
		delivered := event("sms:delivered", "pixel", "posted.1")
		if got := status(g, hook("key", delivered, time.Now())); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		posted := time.Date(2026, 2, 17, 19, 10, 0, 0, time.UTC)
		if r := <-told; r.MessageID != "posted.1" || !r.At.Equal(posted) {
			t.Errorf("%+v, want the time %v", r, posted)
		}
	})
}

// What the server says of another message is not taken for this one's state.
func TestOtherMessage(t *testing.T) {
	t.Parallel()
	inBubble(t, smsgate.Config{}, gatewaytest.Config{}, manual, func(t *testing.T, g *gate) {
		mustSend(t, g, codeTo("c4n7.1", ann))
		g.server.Script(gatewaytest.Rule{
			Method: http.MethodGet, Path: "/messages", Status: 200, Body: `{"id":"c4n7.2","state":"Delivered"}`,
		})
		<-time.After(6 * time.Minute)
		g.ledger.want(t, "5m0s c4n7.1 sent unknown ")
	})
}

// Polling asks ten times a second at most, however many messages there are.
func TestPollRate(t *testing.T) {
	t.Parallel()
	inBubble(t, smsgate.Config{}, gatewaytest.Config{}, manual, func(t *testing.T, g *gate) {
		for i := range 30 {
			mustSend(t, g, codeTo(fmt.Sprintf("c%d.1", i), ann))
		}
		var asked []int
		for range 4 {
			time.Sleep(999 * time.Millisecond)
			synctest.Wait()
			n := 0
			for _, c := range calls(g.server) {
				if strings.HasPrefix(c, "GET /messages/") {
					n++
				}
			}
			asked = append(asked, n)
			time.Sleep(time.Millisecond)
		}
		if d := cmp.Diff([]int{0, 0, 10, 20}, asked); d != "" {
			t.Errorf("polls after each second (-want +got):\n%s", d)
		}
	})
}

// The phone is away until the code has expired: the message was accepted,
// polling ends, the last state is told at the expiry; what the phone says when
// it is back is told as well.
func TestPhoneAway(t *testing.T) {
	t.Parallel()
	inBubble(t, smsgate.Config{}, gatewaytest.Config{}, gatewaytest.PhoneConfig{}, func(t *testing.T, g *gate) {
		g.phone.SetOffline(true)
		mustSend(t, g, codeTo("c4n7.1", ann))
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		g.ledger.want(t, "5m0s c4n7.1 sent unknown Pending")
		n := len(g.server.Requests())
		time.Sleep(10 * time.Minute)
		if more := len(g.server.Requests()) - n; more != 0 {
			t.Errorf("%d requests after the expiry", more)
		}
		g.phone.SetOffline(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		g.ledger.want(t, "15m1s c4n7.1 failed expired Failed")
		if texts := g.phone.Texts(); len(texts) != 0 {
			t.Errorf("an expired code was sent: %v", texts)
		}
	})
}

// Hours later the server has hashed number and text, and may say less than
// before.
func TestHashedAndBackwards(t *testing.T) {
	t.Parallel()
	inBubble(t, smsgate.Config{}, gatewaytest.Config{}, manual, func(t *testing.T, g *gate) {
		m := codeTo("c4n7.1", ann)
		m.Expires = m.Created.Add(time.Hour)
		mustSend(t, g, m)
		for _, step := range []struct {
			state gatewaytest.State
			want  []string
		}{
			{gatewaytest.Processed, nil},
			{gatewaytest.Sent, []string{"sent unknown Sent"}},
			{gatewaytest.Processed, nil},
			{gatewaytest.Failed, []string{"failed unreachable Failed"}},
			{gatewaytest.Delivered, nil}, // no polling after a failure
		} {
			g.phone.Report("c4n7.1", step.state, "")
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			var got []string
			for _, line := range g.ledger.take() {
				_, what, _ := strings.Cut(line, " c4n7.1 ")
				got = append(got, what)
			}
			if d := cmp.Diff(step.want, got); d != "" {
				t.Errorf("%v (-want +got):\n%s", step.state, d)
			}
		}
	})
}

// The callback fails: the phone posts again, and what was polled is told again.
func TestReceiptRefused(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]gatewaytest.Plan{"webhook": {NoReports: true}, "polling": {NoWebhooks: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, smsgate.Config{NoDeliveryReport: true}, gatewaytest.Config{},
				gatewaytest.PhoneConfig{Plan: plan}, func(t *testing.T, g *gate) {
					g.ledger.fail(3)
					mustSend(t, g, codeTo("c4n7.1", ann))
					time.Sleep(4 * time.Minute)
					synctest.Wait()
					lines := g.ledger.take()
					if len(lines) != 1 || g.ledger.refuse != 0 {
						t.Errorf("receipts %q, %d refusals left", lines, g.ledger.refuse)
					}
				})
		})
	}
}

// The server goes and comes back: sends are refused for sure or accepted, and
// polling goes on.
func TestServerDownAndUp(t *testing.T) {
	t.Parallel()
	inBubble(t, smsgate.Config{}, gatewaytest.Config{}, manual, func(t *testing.T, g *gate) {
		mustSend(t, g, codeTo("c4n7.1", ann))
		g.server.SetDown(true)
		_, err := g.Send(t.Context(), codeTo("c4n7.2", ann))
		wantRefused(t, err, channel.Temporary, "")
		time.Sleep(time.Minute)
		g.server.SetDown(false)
		mustSend(t, g, codeTo("c4n7.2", ann))
		g.phone.Report("c4n7.1", gatewaytest.Sent, "")
		g.phone.Report("c4n7.2", gatewaytest.Delivered, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		if lines := g.ledger.take(); len(lines) != 2 {
			t.Errorf("receipts %q", lines)
		}
		if n := len(g.server.Messages()); n != 2 {
			t.Errorf("%d messages", n)
		}
	})
}
