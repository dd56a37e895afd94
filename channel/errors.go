package channel

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A Class is the meaning of an error for the message: whether the message may
// have gone out, and whether another try can help.
type Class uint8

// The classes, and the next action of a failover after each.
const (
	// Unknown: the message may have been sent; a response timed out, or the
	// connection was lost after the write. The failover tries the next route
	// with the same code, unless its configuration says to stop. It never tries
	// the same route again.
	Unknown Class = iota

	// Temporary: not sent; the same route may work soon (ESME_RSYSERR, SMTP 421
	// and 4xx). The failover retries with backoff, then tries the next route.
	Temporary

	// Throttled: not sent; the sender is too fast (ESME_RTHROTTLED, HTTP 429).
	// The failover waits RetryAfter within the deadline, then tries the next
	// route.
	Throttled

	// Unreachable: this route cannot reach this person, for example without
	// iMessage, in a country that it lacks, or with a full mailbox. The
	// failover tries the next route at once.
	Unreachable

	// InvalidRecipient: the address itself is wrong (ESME_RINVDSTADR, SMTP 550
	// 5.1.1). No other route of this kind of address is tried, now or in later
	// steps. A route of another kind may be.
	InvalidRecipient

	// Misconfigured: the credentials, the sender or the format are wrong. The
	// failover logs an error, opens the route's breaker and tries the next
	// route.
	Misconfigured

	// Expired: the code's life is over. The failover stops.
	Expired
)

var classNames = [...]string{
	Unknown: "unknown", Temporary: "temporary", Throttled: "throttled", Unreachable: "unreachable",
	InvalidRecipient: "invalid recipient", Misconfigured: "misconfigured", Expired: "expired",
}

// Valid reports whether c is one of the classes.
func (c Class) Valid() bool { return int(c) < len(classNames) }

// String returns the class's name in lower-case words.
func (c Class) String() string {
	if !c.Valid() {
		return "invalid class"
	}
	return classNames[c]
}

// ParseClass returns the class of a name that String returns. The error lists
// the valid names.
func ParseClass(name string) (Class, error) {
	i := slices.Index(classNames[:], name)
	if i < 0 {
		return 0, fmt.Errorf("channel: %q is not a class: %s", name, strings.Join(classNames[:], ", "))
	}
	return Class(i), nil
}

// MarshalText returns the class's name.
func (c Class) MarshalText() ([]byte, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("channel: %d is not a class", uint8(c))
	}
	return []byte(classNames[c]), nil
}

// UnmarshalText is [ParseClass].
func (c *Class) UnmarshalText(text []byte) (err error) {
	*c, err = ParseClass(string(text))
	return err
}

// An Error is a channel's refusal or failure. Its text holds no code, no
// credential and no address.
type Error struct {
	Class      Class
	Op         string        // package and step, "smpp: submit_sm"
	Code       string        // the protocol's own: "0x45", "5.1.1", "429"
	RetryAfter time.Duration // how long the provider asks to wait; zero: it does not say
	Err        error         // the cause; may be nil

	// AboutRecipient says that a refusal of class Temporary is about this
	// recipient, such as greylisting: the route did answer, and works for
	// others. A breaker must not count it as a failure. Refusals of class
	// Unreachable and InvalidRecipient are about the recipient anyway.
	AboutRecipient bool
}

// Error returns "op: class (code): cause".
func (e *Error) Error() string {
	if e == nil {
		return "channel: a nil *Error"
	}
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Op == "" {
		b.WriteString("channel")
	}
	b.WriteString(": ")
	b.WriteString(e.Class.String())
	if e.Code != "" {
		b.WriteString(" (" + e.Code + ")")
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// ErrNoRoute is the cause of an [Error] where no route was left to try.
var ErrNoRoute = errors.New("channel: no route left")

// ClassOf returns the class of the first *[Error] in err's tree. An error
// without a class may mean that the message was sent: its class is [Unknown].
// err must not be nil.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e.Class
	}
	return Unknown
}

// errProbe is in no error's tree.
var errProbe = errors.New("channel: probe")

// Classed returns err if its tree has an *[Error] with a valid class. Otherwise
// it wraps err in an Error of class [Unknown] with that op. If err is a nil *Error,
// or if reading its tree panics, the result is an Error of class Unknown, too.
// Classed(op, nil) is nil.
func Classed(op string, err error) (classed error) {
	if err == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			classed = &Error{Class: Unknown, Op: op, Err: &PanicError{fmt.Sprintf("%T", v), debug.Stack()}}
		}
	}()
	_ = err.Error()
	_ = errors.Is(err, errProbe) // reads the whole tree
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e == nil:
		return &Error{Class: Unknown, Op: op, Err: errors.New("the channel returned a nil *Error as an error")}
	case !ok || !e.Class.Valid():
		return &Error{Class: Unknown, Op: op, Err: err}
	}
	return err
}
