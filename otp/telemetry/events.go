package telemetry

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// Events returns a function for otp.Config.Events that counts each event and then
// calls next, unless that is nil.
func (t *Telemetry) Events(next func(context.Context, otp.Event)) func(context.Context, otp.Event) {
	return func(ctx context.Context, e otp.Event) {
		t.count(ctx, &e)
		if next != nil {
			next(ctx, e)
		}
	}
}

func (t *Telemetry) count(ctx context.Context, e *otp.Event) {
	if e.Kind == otp.EventRefused {
		t.countRefused(ctx, e)
	}
	if e.Fixed || e.Decoy {
		return
	}
	switch e.Kind {
	case otp.EventGenerated:
		t.countGenerated(ctx, e)
	case otp.EventSent:
		t.countSent(ctx, e)
	case otp.EventReceipt:
		t.countReceipt(ctx, e)
	case otp.EventVerified:
		t.countTyped(ctx, e, "verified")
		t.duration(ctx, e, e.Created, t.verifying)
	case otp.EventRejected:
		t.countTyped(ctx, e, "rejected")
	}
}

func (t *Telemetry) countGenerated(ctx context.Context, e *otp.Event) {
	if t.challenges.Enabled(ctx) {
		t.challenges.Add(ctx, 1, t.of(&ofChallenges, among(t.purposes, e.Purpose), among(t.countries, e.Region)).add...)
	}
}

func (t *Telemetry) countSent(ctx context.Context, e *otp.Event) {
	class := ""
	if e.Err != nil {
		class = channel.ClassOf(e.Err).String()
	}
	if e.State == channel.Failed {
		t.countMessage(ctx, e, "failed", class)
		return
	}
	t.countMessage(ctx, e, "sent", class)
	t.countChoice(ctx, e)
	if e.State == channel.Delivered {
		t.countMessage(ctx, e, "delivered", "")
	}
	t.countCost(ctx, e)
}

// countCost counts the price of each try that may have sent the message.
func (t *Telemetry) countCost(ctx context.Context, e *otp.Event) {
	if t.cost == nil || !t.cost.Enabled(ctx) {
		return
	}
	if len(e.Hops) == 0 { // a channel without failover
		t.addCost(ctx, *e)
	}
	for i := range e.Hops {
		if h := &e.Hops[i]; h.MaySent() {
			one := *e
			if one.Route = h.Route; h.Err != nil {
				one.Providers = nil
			}
			t.addCost(ctx, one)
		}
	}
}

func (t *Telemetry) addCost(ctx context.Context, e otp.Event) {
	if price := t.c.Price(e); price > 0 {
		t.cost.Add(ctx, price, t.of(&ofCost, t.route(e.Route), among(t.countries, e.Region), t.c.Currency).add...)
	}
}

// undelivered is the error.type of a message whose receipt says that it failed: an
// Event has no class of it.
const undelivered = "undelivered"

func (t *Telemetry) countReceipt(ctx context.Context, e *otp.Event) {
	t.traceReceipt(ctx, e)
	if e.State != channel.Delivered {
		t.countMessage(ctx, e, "failed", undelivered)
		return
	}
	t.countMessage(ctx, e, "delivered", "")
	t.duration(ctx, e, e.Sent, t.delivering)
}

func (t *Telemetry) countMessage(ctx context.Context, e *otp.Event, state, class string) {
	if t.messages.Enabled(ctx) {
		t.messages.Add(ctx, 1, t.of(&ofMessages, t.route(e.Route), state, among(t.countries, e.Region), class).add...)
	}
}

// countChoice counts a message by the place of its route.
func (t *Telemetry) countChoice(ctx context.Context, e *otp.Event) {
	if e.Position == 0 || !t.choices.Enabled(ctx) {
		return
	}
	position, explored := "more", ""
	if e.Position <= 8 {
		position = strconv.Itoa(e.Position)
	}
	if e.Explored {
		explored = "true"
	}
	t.choices.Add(ctx, 1, t.of(&ofChoices, t.route(e.Route), position, explored).add...)
}

func (t *Telemetry) countTyped(ctx context.Context, e *otp.Event, outcome string) {
	if t.verifications.Enabled(ctx) {
		t.verifications.Add(ctx, 1, t.of(&ofVerifications, outcome, string(e.Reason), t.route(e.Route),
			among(t.purposes, e.Purpose), among(t.countries, e.Region)).add...)
	}
}

func (t *Telemetry) countRefused(ctx context.Context, e *otp.Event) {
	if t.refusals.Enabled(ctx) {
		t.refusals.Add(ctx, 1, t.of(&ofRefusals, string(e.Operation), string(e.Reason)).add...)
	}
}

// duration records the time from since to the event, unless since is not known.
func (t *Telemetry) duration(ctx context.Context, e *otp.Event, since time.Time, h metric.Float64Histogram) {
	if !since.IsZero() && h.Enabled(ctx) {
		h.Record(ctx, max(e.At.Sub(since), 0).Seconds(), t.of(&ofDurations, t.route(e.Route)).record...)
	}
}
