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
// failed too often recently.
var ErrBreakerOpen = errors.New("failover: breaker is open")

var errExpired = errors.New("the code has expired")

// severities orders the classes by how much they matter to the caller: the error
// of Send has the class of the most severe hop.
var severities = [...]int{
	channel.Unknown:          6, // the person may have the code
	channel.Expired:          5, // nothing will help
	channel.Temporary:        4, // another Send may help
	channel.Throttled:        4,
	channel.InvalidRecipient: 3, // the person can help
	channel.Misconfigured:    2, // the operator can help
	channel.Unreachable:      1,
}

func moreSevere(a, b channel.Class) bool { return severity(a) > severity(b) }

// severity treats an invalid class as Unknown.
func severity(c channel.Class) int {
	if c.Valid() {
		return severities[c]
	}
	return severities[channel.Unknown]
}

// summarize makes the one error of all hops.
func summarize(attempts []channel.Hop, ended error) error {
	e := &channel.Error{Class: channel.Unreachable, Op: op, Err: &hopsError{attempts, ended}}
	first := true
	for _, a := range attempts {
		if first || moreSevere(a.Class, e.Class) {
			e.Class, e.Code, first = a.Class, a.Code, false
		}
	}
	switch {
	case errors.Is(ended, errExpired) && (first || moreSevere(channel.Expired, e.Class)):
		e.Class, e.Code = channel.Expired, ""
	case first: // ctx had ended before anything was sent
		e.Class = channel.Temporary
	}
	if severity(e.Class) == severity(channel.Temporary) {
		e.RetryAfter = soonest(attempts)
	}
	return e
}

// soonest returns the shortest RetryAfter of the hops; zero: there is none.
func soonest(attempts []channel.Hop) time.Duration {
	var least time.Duration
	for _, a := range attempts {
		if severity(a.Class) != severity(channel.Temporary) {
			continue
		}
		if d := retryAfter(a.Err); d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// hopsError is the cause of a failed Send. Its text lists the hops and their
// classes, without the texts of the channels' errors.
type hopsError struct {
	attempts []channel.Hop
	ended    error // the reason to end before all routes were tried; nil: none
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

func hopText(a channel.Hop) string {
	switch {
	case errors.Is(a.Err, ErrBreakerOpen):
		return a.Route + " breaker open"
	case a.Code != "":
		return fmt.Sprintf("%s %v (%s)", a.Route, a.Class, a.Code)
	}
	return fmt.Sprintf("%s %v", a.Route, a.Class)
}

// Unwrap returns the errors of the hops. It leaves out errors with
// channel.ErrNoRoute: the failover itself did have a route.
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
