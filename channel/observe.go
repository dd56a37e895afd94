package channel

import (
	"log/slog"
	"time"
)

// FeedbackKind is what became of a message.
type FeedbackKind uint8

// The kinds of feedback.
const (
	FeedbackSent      FeedbackKind = iota + 1 // a route took the message
	FeedbackRefused                           // the route failed, and not because of the recipient
	FeedbackDelivered                         // reported delivered
	FeedbackFailed                            // reported undeliverable, and not because of the address
	FeedbackResent                            // the person asked for another message
	FeedbackVerified                          // the code was verified, and this was its latest message
)

var feedbackNames = [...]string{"none", "sent", "refused", "delivered", "failed", "resent", "verified"}

// String returns the kind's name in lower case.
func (k FeedbackKind) String() string {
	if int(k) >= len(feedbackNames) {
		return feedbackNames[0]
	}
	return feedbackNames[k]
}

// Feedback says what became of a message by a route.
type Feedback struct {
	Kind  FeedbackKind
	Route string
	To    Recipient // of the message; logged masked
	Sent  time.Time // when the route took the message
}

// An Observer is a Channel, or a [Router], that learns from what becomes of messages. It
// is optional; in a Channel find it with [As]. A failover reports FeedbackSent and
// FeedbackRefused to its Router, and passes on the rest, which the one-time password
// service reports. A Router that wraps another passes on each call.
//
// Observe must return at once, without waiting for I/O, and be safe for concurrent use.
type Observer interface {
	Observe(f Feedback)
}

// String names the kind and the route, and masks the addresses.
func (f Feedback) String() string {
	return "feedback " + f.Kind.String() + " " + f.Route + " " + f.To.String()
}

// GoString keeps the addresses out of %#v.
func (f Feedback) GoString() string { return "channel.Feedback{" + f.String() + "}" }

// LogValue keeps the addresses out of logs.
func (f Feedback) LogValue() slog.Value { return slog.StringValue(f.String()) }
