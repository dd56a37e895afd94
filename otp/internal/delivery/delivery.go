package delivery

import (
	"math/bits"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Phase is where the current step stands.
type Phase uint8

// The phases.
const (
	Due       Phase = iota // waits for a sender, from At on; a zero At: at once
	Sending                // an attempt has it until At, the end of its lease
	Sent                   // went out, or may have; its receipt is awaited until At, unless At is zero
	Failed                 // went out and failed, and nothing follows
	Refused                // surely no message of this send went out
	Delivered              // a message has arrived
)

var phaseNames = [...]string{"due", "sending", "sent", "failed", "refused", "delivered"}

// String returns the phase's name in lower case.
func (p Phase) String() string { return phaseNames[p] }

// A Message may be on its way.
type Message struct {
	Step      int
	Route     string // empty: not known
	Kind      channel.Address
	Providers []string // the provider's ids, one for each part
	Parts     uint64   // reported delivered, bit by bit
}

// An Attempt names one sender of a step.
type Attempt struct{ Step, Number int }

// A Charge is what one message has taken from the limits.
type Charge struct {
	At      time.Time       // when it was taken
	Kinds   channel.Address // of the addresses whose limits were taken
	Network bool            // the limits of the network that asked were taken, too
}

// IsZero reports whether nothing was taken.
func (c Charge) IsZero() bool { return c.Kinds == 0 && !c.Network }

// A Delivery is how far the messages of one challenge have come. Nothing in it
// tells who the person is.
type Delivery struct {
	Sends   int       // asked for: the Send, and each Resend
	Send    int       // the number of the message that the step belongs to
	Asked   time.Time // when the latest was asked for
	Attempt Attempt   // the latest
	Owner   uint64    // drawn at random by the latest attempt's sender
	Phase   Phase
	At      time.Time
	Doubt   bool // a sender of the step has died: its message may be out
	Out     bool // a message of this send may have gone out
	Counted int  // messages that may have gone out, by the kinds of their addresses

	State   channel.State // of the latest message; moves forward only
	Message Message       // the step's, once a route took it
	SentAt  time.Time     // when a route took the latest message that one took
	Early   string        // route whose failure was reported before the attempt's end
	Older   []Message     // of earlier steps and attempts, perhaps still on their way

	Tried         []string        // routes, in this send
	Undelivered   []string        // routes, in all sends, less those whose latest message was reported delivered
	Via           string          // the route that a Resend asked for
	Used, Invalid channel.Address // kinds that a message counted against; kinds known to be wrong
	Reached       int             // Sends when a message first arrived; 0: none has

	// Charges holds the step's charge, zero if none is to be refunded, and
	// behind it the charge of each send that waits to begin.
	Charges []Charge

	Request string   // marks the events of the current send; empty: of the first send
	Tokens  []uint64 // of the Resends, by which a repeat is known
}

// A Challenge is the part of the record that Next depends on beside the
// Delivery.
type Challenge struct {
	Open    bool // neither verified nor cancelled
	Proven  bool // verified
	Expires time.Time
}

// New returns the delivery of a new challenge. It is due at once or, if lease is
// not zero, in the hands of its creator until then.
func New(now, lease time.Time, owner uint64, c Charge) Delivery {
	d := Delivery{Sends: 1, Send: 1, Asked: now, Attempt: Attempt{Step: 1}, State: channel.Queued, Charges: []Charge{c}}
	if !lease.IsZero() {
		d.Attempt.Number, d.Phase, d.At, d.Owner = 1, Sending, lease, owner
	}
	return d
}

// Clone returns a copy that shares nothing that events change.
func (d *Delivery) Clone() Delivery {
	c := *d
	c.Tried, c.Older, c.Undelivered = slices.Clone(d.Tried), slices.Clone(d.Older), slices.Clone(d.Undelivered)
	c.Charges, c.Tokens = slices.Clone(d.Charges), slices.Clone(d.Tokens)
	return c
}

// An Action is the due step for a challenge.
type Action uint8

// The actions.
const (
	Nothing Action = iota
	Wait
	Send
	Withdraw // the messages that Outstanding lists
)

// A Move is the answer of Next.
type Move struct {
	Do   Action
	At   time.Time // of Wait: when to look again
	Step int       // of Send
}

// Next returns the due move.
func (d *Delivery) Next(c Challenge, now time.Time) Move {
	early := now.Before(d.At)
	switch {
	case !now.Before(c.Expires):
	case !c.Open:
		if d.mayWithdraw(c) {
			return Move{Do: Withdraw}
		}
	case early && d.leased(): // one sender at a time
		return Move{Do: Wait, At: d.At}
	case d.Send < d.Sends:
		return Move{Do: Send, Step: d.Attempt.Step + 1}
	case d.Phase == Due && early, d.Phase == Sent && early:
		return Move{Do: Wait, At: d.At}
	case d.Phase == Due, d.Phase == Sending && !d.Doubt: // a second death would be one message too many
		return Move{Do: Send, Step: d.Attempt.Step}
	case d.Phase == Sent && !d.At.IsZero():
		return Move{Do: Send, Step: d.Attempt.Step + 1}
	}
	return Move{}
}

// Stranded reports whether two senders of the latest step have died, so that
// nothing follows before a Resend.
func (d *Delivery) Stranded(now time.Time) bool {
	return d.Phase == Sending && d.Doubt && !now.Before(d.At)
}

// leased reports whether an attempt's lease is what At tells: an attempt goes on
// beside a message that has arrived meanwhile.
func (d *Delivery) leased() bool {
	return d.Phase == Sending || d.Phase == Delivered && d.Send < d.Sends
}

// Claim begins an attempt at the due step, with a lease until then. It returns
// the charges of sends that were asked for, never begun, and are overtaken now.
func (d *Delivery) Claim(c Challenge, now, until time.Time, owner uint64) (refund []Charge, ok bool) {
	m := d.Next(c, now)
	if m.Do != Send {
		return nil, false
	}
	if d.Phase == Sending { // its sender died
		d.Doubt, d.Out = true, true
		d.older(Message{Step: d.Attempt.Step})
	}
	if d.Send < d.Sends {
		overtaken := d.Charges[:len(d.Charges)-1]
		if d.Phase != Due { // the step's charge is spent
			overtaken = overtaken[1:]
		}
		refund = charged(overtaken)
		d.step()
		d.Charges = d.Charges[len(d.Charges)-1:]
		d.Send, d.Out, d.Tried = d.Sends, false, nil
	} else if m.Step > d.Attempt.Step {
		d.step()
	}
	d.Attempt.Number++
	d.Phase, d.At, d.Owner = Sending, until, owner
	return refund, true
}

// Holds reports whether owner has begun the latest attempt, and not ended it: a
// swap whose answer was lost recognises its own claim, although others have
// written since.
func (d *Delivery) Holds(owner uint64) bool { return d.Phase == Sending && d.Owner == owner }

// step moves on to the next step, which has no sender and no charge yet.
func (d *Delivery) step() {
	if d.underway() { // else it has arrived, or will not
		d.older(d.Message)
	}
	d.Attempt = Attempt{Step: d.Attempt.Step + 1}
	d.Message, d.Early, d.Doubt, d.State = Message{}, "", false, channel.Queued
	d.Charges[0] = Charge{}
}

func (d *Delivery) older(m Message) {
	if m.Parts == 0 {
		d.Older = append(d.Older, m)
	}
}

// An Outcome is a channel's result of an attempt.
type Outcome struct {
	Message
	Taken         bool            // by Message.Route, or by the only channel, which has no name
	Arrived       bool            // the route says that it has been delivered
	At            time.Time       // when the attempt ended
	Await         time.Time       // until when its receipt is awaited; zero: it is not
	Unknown       bool            // no route surely took it, and one may have
	Tried         []string        // routes
	More          bool            // others are left that there was no time for
	Used, Invalid channel.Address // kinds it counted against; wrong kinds
	Retry         time.Time       // surely not sent, and to be tried again then; zero: not

	Held        Charge          // the step's, as the claimed record has it
	Took        Charge          // by the attempt, in addition
	Spent       channel.Address // kinds that a message may have gone out to
	Unreachable bool            // no route could reach the person: the network's charge is kept
}

// Finish records the outcome of an attempt, and returns the charges to refund.
// A second call with the same outcome changes nothing.
func (d *Delivery) Finish(a Attempt, o Outcome) (refund []Charge) {
	taken := o.Taken
	o.Step = a.Step
	d.Used, d.Invalid = d.Used|o.Used, d.Invalid|o.Invalid
	switch {
	case a != d.Attempt: // it has outlived its lease
		if o.Arrived {
			return d.arrive()
		}
		same := func(m Message) bool { return m.Step == a.Step && m.Route == o.Route }
		if taken && !slices.ContainsFunc(d.Older, same) {
			d.older(o.Message)
		}
		return nil
	case d.Phase != Sending && (d.Phase != Delivered || d.At.IsZero()): // recorded before, and the answer was lost
		if d.Phase == Due {
			return charged([]Charge{o.Took})
		}
		return o.unspent(d)
	}
	o.Parts = d.Message.Parts // reported before
	d.Out = d.Out || taken || o.Unknown
	if d.Phase == Sending && !taken && !o.Unknown && !d.Doubt && !o.Retry.IsZero() { // by the same routes
		d.Phase, d.At, d.Charges[0] = Due, o.Retry, o.Held
		return charged([]Charge{o.Took}) // the next attempt takes it again, at another time
	}
	fresh := len(d.Tried)
	d.Tried, d.Undelivered = union(d.Tried, o.Tried), union(d.Undelivered, o.Tried)
	return d.conclude(a, o, o.More && len(d.Tried) > fresh)
}

// union returns list with those of more that it lacks.
func union(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// conclude ends the step's attempt. more: a route is left that can follow.
func (d *Delivery) conclude(a Attempt, o Outcome, more bool) (refund []Charge) {
	refund = o.unspent(d)
	counted := o.Spent
	if d.Doubt {
		counted |= o.Held.Kinds
	}
	d.Counted += bits.OnesCount8(uint8(counted))
	d.Charges[0] = Charge{}
	if o.Taken {
		d.SentAt = o.At
	}
	if o.Arrived || d.State == channel.Delivered { // said at once, or by an early receipt
		d.delivers(o.Route)
	}
	switch {
	case d.Phase == Delivered: // an older message has arrived meanwhile
		d.Message, d.At, d.State = o.Message, time.Time{}, forward(d.State, o.state())
	case o.Taken:
		d.Phase, d.At, d.Message, d.State = Sent, o.Await, o.Message, forward(d.State, o.state())
		if d.Early != "" && d.Early == o.Route {
			d.fail()
		}
		if o.Arrived {
			refund = append(refund, d.arrive()...)
		}
	case more && o.Unknown:
		d.Phase, d.Message = Sent, Message{Step: a.Step}
		d.follow()
	case more:
		d.follow()
	case o.Unknown:
		d.Phase, d.At, d.Message, d.State = Sent, time.Time{}, Message{Step: a.Step}, channel.Sent
	case d.Out && len(d.Older) > 0:
		d.Phase, d.At, d.State = Sent, time.Time{}, channel.Sent
	case d.Out:
		d.Phase, d.State = Failed, channel.Failed
	default:
		d.Phase, d.State = Refused, channel.Failed
	}
	return refund
}

// state is the state of the outcome's message.
func (o *Outcome) state() channel.State {
	switch {
	case o.Arrived:
		return channel.Delivered
	case o.Taken, o.Unknown:
		return channel.Sent
	}
	return channel.Failed
}

// unspent returns the part of the attempt's charges that no message used. If
// another sender of the step has died, its message may have used what was held.
func (o *Outcome) unspent(d *Delivery) []Charge {
	held, took := o.Held, o.Took
	if d.Doubt {
		held = Charge{}
	}
	held.Kinds &^= o.Spent
	held.Network = held.Network && !d.Out && !o.Unreachable
	took.Kinds &^= o.Spent
	return charged([]Charge{held, took})
}

// charged returns a copy of list without charges that are zero.
func charged(list []Charge) []Charge {
	return slices.DeleteFunc(slices.Clone(list), Charge.IsZero)
}

// follow makes the next step due.
func (d *Delivery) follow() {
	d.step()
	d.Phase, d.At = Due, time.Time{}
}

// fail notes that the step's message will not arrive.
func (d *Delivery) fail() {
	d.Phase, d.State = Failed, channel.Failed
	if !d.At.IsZero() { // it was awaited
		d.follow()
	}
}

// arrive notes that a message has arrived: nothing follows but a Resend.
func (d *Delivery) arrive() (refund []Charge) {
	if d.Phase == Due {
		refund = charged(d.Charges[:1])
		d.Charges[0] = Charge{}
	}
	if d.Phase != Sending && d.Phase != Delivered { // else an attempt has its end to record yet
		d.At = time.Time{}
	}
	d.Phase = Delivered
	if d.Reached == 0 {
		d.Reached = d.Sends
	}
	return refund
}

// delivers notes that a message by a route was reported delivered.
func (d *Delivery) delivers(route string) {
	d.Undelivered = slices.DeleteFunc(d.Undelivered, func(r string) bool { return r == route })
}

// forward returns the later of two states of one message: Delivered ends it,
// and Failed is only left for Delivered.
func forward(before, after channel.State) channel.State { return max(before, after) }
