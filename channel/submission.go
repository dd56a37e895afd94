package channel

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A State is how far a message has come. States only move forward, and only
// Delivered is final: a late Delivered overrides Failed.
type State uint8

// The states of a message.
const (
	Queued    State = iota + 1 // accepted here, not yet by a provider
	Sent                       // accepted by a provider
	Failed                     // refused, or reported undeliverable
	Delivered                  // reported delivered
)

var stateNames = [...]string{0: "none", Queued: "queued", Sent: "sent", Failed: "failed", Delivered: "delivered"}

// String returns the state's name in lower case, "none" for zero.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return stateNames[0]
	}
	return stateNames[s]
}

// MarshalText returns the state's name, "none" for zero.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("channel: %d is not a state", uint8(s))
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText reads a name that MarshalText returns.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(stateNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("channel: %q is not a state: %s", text, strings.Join(stateNames[:], ", "))
	}
	*s = State(i)
	return nil
}

// A Submission says what a Channel did with a message.
type Submission struct {
	// Route is the route that took the message; set by a failover.
	Route string

	// ProviderIDs are the provider's ids, one for each part of a long
	// message, in order; empty where the provider gives none.
	ProviderIDs []string

	// State is Sent in general, Delivered if the provider knows at once, Queued
	// if the channel itself will submit later, Failed with an error. Zero is
	// read as Sent.
	State State

	// Await is until when a receipt is awaited before the next route is due.
	// Zero: none is awaited, or no route is left. Set by a failover.
	Await time.Time

	// Hops lists the tries of routes, in order; set by a failover.
	Hops []Hop

	// More: the time was over before every route that could take the message
	// was tried. A message that surely was not sent, or may not have been, goes
	// on by those. Set by a failover.
	More bool
}

// A Hop is one try of one route.
type Hop struct {
	Route   string
	Address Address       // the kind of address that the route needs
	Class   Class         // meaningful with an Err
	Code    string        // Error.Code
	Took    time.Duration // of this try, waiting for the provider included
	Err     error         // nil: accepted
	Skipped bool          // with an Err: not tried, since its breaker is open; it may be tried in a later step
}

// MaySent reports whether the message may have gone out by this try.
func (h Hop) MaySent() bool { return h.Err == nil || h.Class == Unknown }

// A Receipt tells what became of a submitted message.
type Receipt struct {
	Route      string // set by [Receipts.For]
	Tenant     string // of a tenant's own route; set by the Service
	ProviderID string // the id that Submission.ProviderIDs held
	MessageID  string // Message.ID, where the provider echoes it; else empty
	State      State
	Class      Class  // why it failed: InvalidRecipient rules the address out
	Code       string // the provider's own word for it: "UNDELIV 0x0B", "5.1.1"
	At         time.Time
}
