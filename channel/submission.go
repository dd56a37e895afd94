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

// A Submission is the result of a Send.
type Submission struct {
	// Route is the route that took the message; a failover sets it.
	Route string

	// ProviderIDs are the provider's ids, one for each part of a long
	// message, in order; empty where the provider gives none.
	ProviderIDs []string

	// State is Sent in general, Delivered if the provider knows at once, Queued
	// if the channel itself will submit the message later, and Failed with an
	// error. Zero counts as Sent.
	State State

	// Await is the time until which a receipt is awaited before the next route
	// is due. Zero: no receipt is awaited, or no route is left. A failover sets
	// it.
	Await time.Time

	// Hops lists the tries of routes, in order; a failover sets it.
	Hops []Hop

	// More: the time ended before every suitable route was tried. If the
	// message surely or perhaps was not sent, the next try may use the
	// remaining routes. A failover sets it.
	More bool
}

// A Hop is one try of one route.
type Hop struct {
	Route    string
	Address  Address       // the kind of address that the route needs
	Class    Class         // meaningful with an Err
	Code     string        // Error.Code
	Took     time.Duration // of this try, with the wait for the provider
	Err      error         // nil: accepted
	Position int           // of the route in the order that its Router was given, from 1
	Explored bool          // the route came first to learn of it; see Route.Explored
	Skipped  bool          // with an Err: not tried, because its breaker is open; it may be tried in a later step
}

// MaySent reports whether the message may have gone out by this try.
func (h Hop) MaySent() bool { return h.Err == nil || h.Class == Unknown }

// A Receipt reports the fate of a submitted message.
type Receipt struct {
	Route      string // set by [Receipts.For]
	Tenant     string // of a tenant's own route; set by the Service
	ProviderID string // the id from Submission.ProviderIDs
	MessageID  string // Message.ID, where the provider echoes it; else empty
	State      State
	Class      Class  // why the message failed; InvalidRecipient means that the address is wrong
	Code       string // the provider's own word, such as "UNDELIV 0x0B" or "5.1.1"
	At         time.Time
}
