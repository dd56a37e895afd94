package otp

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// observe reports the fate of a message to its channel, if the channel is a
// [channel.Observer]. Nothing depends on it: a panic is only logged.
func (s *Service) observe(ctx context.Context, o *opened, kind channel.FeedbackKind, route string, sent time.Time) {
	if o.tenant.observer == nil || route == "" || sent.IsZero() || o.req.decoy || o.req.fixed {
		return
	}
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			s.log.ErrorContext(ctx, "otp: a channel panicked in Observe", "type", fmt.Sprintf("%T", v), "stack",
				string(debug.Stack()))
		}
	}()
	o.tenant.observer.Observe(channel.Feedback{Kind: kind, Route: route, To: o.req.to, Sent: sent})
}

// observeLatest is observe for the latest message that a route took. A person most likely
// types the code from that message, and asks for another because that message is missing.
func (s *Service) observeLatest(ctx context.Context, o *opened, kind channel.FeedbackKind) {
	d := o.delivery
	route := d.Message.Route
	for i := len(d.Older) - 1; i >= 0 && route == ""; i-- {
		route = d.Older[i].Route
	}
	s.observe(ctx, o, kind, route, d.SentAt)
}

// observeReceipt is observe for a receipt with an effect. It skips receipts of older
// messages, whose time is not kept, and receipts that report a wrong address, which is not
// the route's fault.
func (s *Service) observeReceipt(ctx context.Context, o *opened, rp report) {
	d := o.delivery
	latest := rp.Step == d.Message.Step && rp.Route == d.Message.Route ||
		d.Message.Route == "" && rp.Step == d.Attempt.Step-1 // the next one is due
	switch {
	case !latest || rp.Wrong:
	case !rp.Arrived:
		s.observe(ctx, o, channel.FeedbackFailed, rp.Route, d.SentAt)
	case d.State == channel.Delivered: // all parts of it
		s.observe(ctx, o, channel.FeedbackDelivered, rp.Route, d.SentAt)
	}
}
