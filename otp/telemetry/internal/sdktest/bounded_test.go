package sdktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
)

// values are those that an attribute of a metric may have.
var values = map[string][]string{
	"otp.purpose":                {"login", "payment", "other"},
	"geo.country.iso_code":       {"GB", "FR", "other"},
	"otp.route":                  {"sms-a", "sms-b", "email", "other"},
	"otp.state":                  {"sent", "failed", "delivered"},
	"otp.outcome":                {"verified", "rejected"},
	"otp.reason":                 {"wrong", "malformed", "not_found", "too_soon", "invalid", "undelivered"},
	"otp.operation":              {"send", "resend", "cancel"},
	"otp.currency":               {"EUR"},
	"otp.route.position":         {"1", "2", "3", "4", "5", "6", "7", "8", "more"},
	"otp.route.explored":         {"true"},
	"otp.route.state":            {"up", "open"},
	"otp.queue.state":            {"high", "normal", "low", "delayed", "running", "dead"},
	"error.type":                 {"unreachable", "undelivered", "invalid recipient"},
	"messaging.system":           {"other"},
	"messaging.operation.name":   {"send"},
	"messaging.operation.type":   {"send"},
	"messaging.destination.name": {"sms-a", "sms-b", "email"},
}

// TestAttributesAreBounded: whatever callers send, no attribute has a value that is
// not listed, and the number of series stays small.
func TestAttributesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, func(time.Duration) {}, nil)
		random := rand.New(rand.NewPCG(1, 2))
		regions := phone.Regions()
		events := r.telemetry.Events(nil)
		for i := range 10_000 {
			e := otp.Event{At: time.Now(), Created: time.Now(), Purpose: fmt.Sprint("purpose ", random.Uint64()),
				Region: regions[random.IntN(len(regions))], Route: fmt.Sprint("route ", random.Uint64()),
				Position: i, Explored: i%8 < 4, Challenge: british, Reference: subject,
				Key: british, Err: fmt.Errorf("to %s", british)}
			e.Kind = []otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventReceipt, otp.EventVerified}[i%4]
			if e.Kind == otp.EventSent {
				e.Err = &channel.Error{Class: channel.Unreachable, Op: british, Code: british}
			}
			events(t.Context(), e)
		}
		r.live(t)
		series := 0
		eachPoint(r.collect(t), func(m metricdata.Metrics, set attribute.Set, _ string) {
			series++
			for _, a := range set.ToSlice() {
				if !slices.Contains(values[string(a.Key)], a.Value.String()) {
					t.Errorf("%s: %s is %q", m.Name, a.Key, a.Value.String())
				}
			}
		})
		if series < 20 || series > 100 {
			t.Errorf("%d series", series)
		}
	})
}

// TestNothingSecret: no code, address or subject is in a metric, a span or a log of
// a whole history.
func TestNothingSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, time.Sleep, func(c *otp.Config) {
			c.Generator = otp.Random{Length: 8, Alphabet: "abcdefghijklmnop"}
		})
		r.live(t)
		metrics := r.collect(t)
		var b strings.Builder
		fmt.Fprintf(&b, "%+v\n%s", metrics, metricLines(metrics))
		for _, s := range r.spans.GetSpans() {
			fmt.Fprintf(&b, "%+v\n", s)
		}
		b.WriteString(r.log.String())
		secrets := []string{british, french, german, british[3:], french[3:], german[3:], "ann@example.com", subject}
		for _, f := range []interface{ Accepted() []channel.Message }{r.a, r.b, r.mail} {
			for _, m := range f.Accepted() {
				secrets = append(secrets, m.Code)
			}
		}
		if len(secrets) < 11 {
			t.Fatalf("%d secrets", len(secrets))
		}
		for _, s := range secrets {
			if strings.Contains(b.String(), s) {
				t.Errorf("%s is shown", s)
			}
		}
	})
}

// TestAsyncSpansHaveLinks: a message that a worker sends belongs to no trace, and has
// a link to the Send that asked for it.
func TestAsyncSpansHaveLinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, time.Sleep, func(c *otp.Config) { c.Async = true })
		ctx, stop := context.WithCancel(t.Context())
		worked := make(chan struct{})
		go func() {
			defer close(worked)
			_ = r.Work(ctx)
		}()
		_, err := r.Send(t.Context(), otp.Request{Subject: subject, To: channel.Recipient{Phone: british}})
		must(t, err)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		stop()
		<-worked
		if got := spanLines(r.spans.GetSpans()); !strings.Contains(got, "send sms-a client of otp.send {") {
			t.Errorf("spans\n%s", got)
		}
	})
}

// TestRepeatsAreRepeats: a repeated Send has a span, and so a RequestID, of its own,
// and is the same request nevertheless.
func TestRepeatsAreRepeats(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(time.Duration) {}, nil)
	q := otp.Request{Subject: subject, To: channel.Recipient{Phone: british}, IdempotencyKey: "click-1"}
	first, err := r.Send(t.Context(), q)
	must(t, err)
	again, err := r.Send(t.Context(), q)
	must(t, err)
	if again.ID != first.ID || !again.Repeated || len(r.a.Accepted()) != 1 {
		t.Errorf("%+v is no repeat of %+v", again, first)
	}
}
