package failover

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

const op = "failover: send"

// ErrBreakerOpen is the cause of a hop that was skipped because its route has
// failed too often of late.
var ErrBreakerOpen = errors.New("failover: breaker is open")

var errExpired = errors.New("the code has expired")

// gravity orders the classes by what the caller must reckon with.
var gravity = [...]int{
	channel.Unknown:          6, // the person may have the code
	channel.Expired:          5, // nothing will help
	channel.Temporary:        4, // another Send may help
	channel.Throttled:        4,
	channel.InvalidRecipient: 3, // the person can help
	channel.Misconfigured:    2, // the operator can help
	channel.Unreachable:      1,
}

func graver(a, b channel.Class) bool { return weigh(a) > weigh(b) }

// weigh reads an invalid class as Unknown.
func weigh(c channel.Class) int {
	if c.Valid() {
		return gravity[c]
	}
	return gravity[channel.Unknown]
}

// summarize makes the one error of all hops.
func summarize(attempts []channel.Attempt, ended error) error {
	e := &channel.Error{Class: channel.Unreachable, Op: op, Err: &hopsError{attempts, ended}}
	first := true
	for _, a := range attempts {
		if first || graver(a.Class, e.Class) {
			e.Class, e.Code, first = a.Class, a.Code, false
		}
	}
	switch {
	case errors.Is(ended, errExpired) && (first || graver(channel.Expired, e.Class)):
		e.Class, e.Code = channel.Expired, ""
	case first: // ctx had ended before anything was sent
		e.Class = channel.Temporary
	}
	if weigh(e.Class) == weigh(channel.Temporary) {
		e.RetryAfter = soonest(attempts)
	}
	return e
}

// soonest returns the shortest wait that a hop has asked for.
func soonest(attempts []channel.Attempt) time.Duration {
	var least time.Duration
	for _, a := range attempts {
		if weigh(a.Class) != weigh(channel.Temporary) {
			continue
		}
		if d := retryAfter(a.Err); d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// hopsError is the cause of a failed Send: what every hop came to. Its text does
// not repeat the channels' own.
type hopsError struct {
	attempts []channel.Attempt
	ended    error
}

func (h *hopsError) Error() string {
	var parts []string
	for i := 0; i < len(h.attempts); {
		same := 1
		for i+same < len(h.attempts) && hopText(h.attempts[i+same]) == hopText(h.attempts[i]) {
			same++
		}
		text := hopText(h.attempts[i])
		if same > 1 {
			text += fmt.Sprintf(" %d times", same)
		}
		parts = append(parts, text)
		i += same
	}
	if h.ended != nil {
		parts = append(parts, h.ended.Error())
	}
	return strings.Join(parts, "; ")
}

func hopText(a channel.Attempt) string {
	switch {
	case errors.Is(a.Err, ErrBreakerOpen):
		return a.Route + " breaker open"
	case a.Code != "":
		return fmt.Sprintf("%s %v (%s)", a.Route, a.Class, a.Code)
	}
	return fmt.Sprintf("%s %v", a.Route, a.Class)
}

// Unwrap returns the errors of the hops, without those in which a channel says
// that it had no route: the failover had one, that channel's.
func (h *hopsError) Unwrap() []error {
	var all []error
	for _, a := range h.attempts {
		if !errors.Is(a.Err, channel.ErrNoRoute) {
			all = append(all, a.Err)
		}
	}
	if h.ended != nil {
		all = append(all, h.ended)
	}
	return all
}
