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

// A Guard is asked before each message, those of a resend and of a failover
// included, and may refuse it. Package otp/guard has one against SMS pumping,
// flooding and overspending.
//
// Check is called by many goroutines at one time. With an error nothing is
// sent, and the caller is answered ErrUnavailable. A Guard that counts what it
// allows implements [Settler], too.
type Guard interface {
	Check(ctx context.Context, a Attempt) (Verdict, error)
}

// A GuardFunc is a function as a [Guard].
type GuardFunc func(context.Context, Attempt) (Verdict, error)

// Check calls f.
func (f GuardFunc) Check(ctx context.Context, a Attempt) (Verdict, error) { return f(ctx, a) }

// A Settler is a [Guard] that learns how the messages ended that it allowed.
//
// Settle is called once when the code is verified: by the call of Verify that
// wins, with the number of the challenge's messages that may have gone out. It
// is called for one message when that surely was not sent; a.At is then the At
// of its Check. A call that cannot be made, for instance since the process
// died, leaves the counts stricter for a while. Settle must be quick and safe
// for concurrent use.
type Settler interface {
	Settle(ctx context.Context, a Attempt, messages int, verified bool)
}

// An Attempt is one message that is about to be sent. Of Phone and Email, that
// one is set that the message goes to; neither, if it goes to an app.
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
	Signals map[string]string // Request.Signals; nil for all but its first message
	At      time.Time         // names the message in Settle
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

// An Action is the order of a [Guard] for a message.
type Action uint8

// The actions.
const (
	Allow  Action = iota
	StepUp        // ask the person for a proof, such as a captcha, then ask again with Proven
	Refuse
	Drop // answer as if it were sent, and send nothing: the number has opted out
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

	// Rule names the rule that did not allow the message, such as "block", and
	// Key what it counted, such as "+99890123xxxx": never a whole address. Both
	// are in the event, which is emitted once for a Rule and Key in ten minutes.
	Rule string
	Key  string

	// RetryAfter is how long the rule stays closed as things stand; zero: it is
	// not known. Callers of the Service see it rounded up to the hour.
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
