package otp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// A Guard decides before each message whether it may be sent. This includes messages of a
// Resend and of a failover. Package otp/guard has a Guard against SMS pumping, flooding
// and overspending.
//
// Check must be safe for concurrent use. If it returns an error, nothing is sent, and the
// caller gets ErrUnavailable. A Guard that counts the messages it allows should also be a
// [Settler].
type Guard interface {
	Check(ctx context.Context, a Attempt) (Verdict, error)
}

// A GuardFunc is a function as a [Guard].
type GuardFunc func(context.Context, Attempt) (Verdict, error)

// Check calls f.
func (f GuardFunc) Check(ctx context.Context, a Attempt) (Verdict, error) { return f(ctx, a) }

// A Settler is a [Guard] that learns the outcome of the messages it allowed.
//
// Settle is called once when a code is verified: verified is true, and messages is the
// number of the challenge's messages that may have gone out. Settle is also called if a
// message surely was not sent: verified is false, messages is 1, and a.At is the At of
// its Check. If a process dies before the call, the counts stay stricter for a while.
// Settle must be quick and safe for concurrent use.
type Settler interface {
	Settle(ctx context.Context, a Attempt, messages int, verified bool)
}

// An Attempt describes one message before it is sent. The address that the message goes
// to is in Phone or in Email; both are empty if it goes to an app.
type Attempt struct {
	Phone   phone.Number
	Email   string // in the form that goes over the wire
	IP      netip.Addr
	Subject string // Request.Subject; empty for a message that follows another without a request
	Tenant  string
	Purpose string
	Known   bool              // Request.Known
	Proven  bool              // Request.Proven or ResendRequest.Proven
	Resend  bool              // the challenge has had a message before
	Signals map[string]string // Request.Signals; nil for all but the challenge's first message
	At      time.Time         // the time of the message; Settle repeats it
}

// String keeps addresses and the subject out of logs.
func (a Attempt) String() string {
	return fmt.Sprintf("otp.Attempt(%v, %s)", a.Phone, loggable(a.Purpose))
}

// GoString is String.
func (a Attempt) GoString() string { return a.String() }

// LogValue is String.
func (a Attempt) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON is String.
func (a Attempt) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

// An Action is a [Guard]'s decision about a message.
type Action uint8

// The actions.
const (
	Allow  Action = iota
	StepUp        // refuse, until the person has given a proof, such as a captcha, and the request is Proven
	Refuse
	Drop // send nothing, and answer as for a sent message: the number has opted out
)

var actionNames = [...]string{"allow", "step up", "refuse", "drop"}

// String returns the action's name in lower case.
func (a Action) String() string {
	if int(a) >= len(actionNames) {
		return "invalid action"
	}
	return actionNames[a]
}

// A Verdict is a [Guard]'s answer. The zero Verdict allows.
type Verdict struct {
	Action Action

	// Rule names the rule that did not allow the message, such as "block". Key is
	// the key that the rule counted, such as "+99890123xxxx"; it must not be a whole
	// address. Both are in the event. A Rule and Key have one event in ten minutes.
	Rule string
	Key  string

	// RetryAfter is the time until the rule may allow a message again; zero: it is
	// not known. Error.RetryAfter has it rounded up to the hour.
	RetryAfter time.Duration
}

const (
	maxSignals    = 32
	maxSignalName = 64
	maxSignal     = 1024
)

// validSignals refuses more than a Guard should have to read.
func validSignals(signals map[string]string) error {
	if len(signals) > maxSignals {
		return invalid("Signals", "there are more than 32")
	}
	for name, value := range signals {
		if name == "" || len(name) > maxSignalName || !ascii(name) || len(value) > maxSignal {
			return invalid("Signals", "a name must be 1 to 64 printable ASCII characters, a value at most 1 KiB")
		}
	}
	return nil
}

// errGuard marks the failure of a guard.
var errGuard = errors.New("otp: the guard failed")
