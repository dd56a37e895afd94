package delivery

import (
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Receipt is a provider's report of a step's message, or of part Index of
// Number.
type Receipt struct {
	Step          int
	Route         string
	Kind          channel.Address // of that route
	Arrived       bool            // else it has failed
	Wrong         bool            // the address is wrong
	Index, Number int
}

// Receive records a receipt, and returns the charges to refund.
func (d *Delivery) Receive(r Receipt) (refund []Charge) {
	if r.Step > d.Attempt.Step || r.Step == d.Attempt.Step && d.Attempt.Number == 0 {
		return nil // never sent
	}
	d.Older = slices.DeleteFunc(d.Older, func(m Message) bool {
		return m.Step == r.Step && (m.Route == r.Route || m.Route == "")
	})
	current := r.Step == d.Attempt.Step
	switch {
	case r.Arrived:
		return d.received(r, current)
	case r.Wrong:
		d.Invalid |= r.Kind
	}
	switch {
	case !current:
	case d.Phase == Sending:
		d.Early = r.Route
	case d.Phase == Sent && r.Route == d.Message.Route:
		d.fail()
	case d.Phase == Delivered && r.Route == d.Message.Route: // an older message has arrived
		d.State = forward(d.State, channel.Failed)
	}
	return nil
}

// received records that a message, or a part, has arrived.
func (d *Delivery) received(r Receipt, current bool) (refund []Charge) {
	d.Invalid &^= r.Kind
	if current {
		d.Message.Parts |= 1 << min(r.Index, 63)
		all := uint64(1)<<min(max(r.Number, 1), 64) - 1
		if d.Message.Parts&all != all { // a part of a message by another route may be there, too
			return nil
		}
		d.State = channel.Delivered
	} else if r.Number > 1 { // the other parts may be missing
		return nil
	}
	d.delivers(r.Route)
	return d.arrive()
}

// Resend asks for another send, by route or as before, for which c was taken.
// It begins once no attempt has a lease.
func (d *Delivery) Resend(route, request string, token uint64, now time.Time, c Charge) {
	d.Sends, d.Asked, d.Request = d.Sends+1, now, request
	d.Charges, d.Tokens = append(d.Charges, c), append(d.Tokens, token)
	if route != "" {
		d.Via = route
	}
}

// Repeat makes a send that was refused due again, by all routes. c was taken
// for it.
func (d *Delivery) Repeat(c Charge) bool {
	if !d.Repeatable() {
		return false
	}
	d.Tried = nil
	d.follow()
	d.Charges[0] = c
	return true
}

// Repeatable reports whether Repeat would make something due.
func (d *Delivery) Repeatable() bool { return d.Phase == Refused && d.Send == d.Sends }

// mayWithdraw reports whether Outstanding lists anything.
func (d *Delivery) mayWithdraw(c Challenge) bool { return len(d.Outstanding(c)) > 0 }

// Outstanding lists the messages of a closed challenge that may still be on
// their way. The code of a proven challenge came with some message: if there was
// only one, that has arrived.
func (d *Delivery) Outstanding(c Challenge) []Message {
	if c.Open || c.Proven && d.Attempt.Step == 1 && len(d.Tried) <= 1 {
		return nil
	}
	var all []Message
	for _, m := range d.Older {
		if len(m.Providers) > 0 {
			all = append(all, m)
		}
	}
	if d.underway() && d.Message.Parts == 0 && len(d.Message.Providers) > 0 {
		all = append(all, d.Message)
	}
	return all
}

// underway reports whether the step's message may be on its way, an older one
// may have arrived or not.
func (d *Delivery) underway() bool {
	return d.Phase == Sent || d.Phase == Delivered && d.State == channel.Sent
}

// ResendAt returns when the next of the sends is due: after its wait, and
// after sentWait if the end of the latest message is not known.
func (d *Delivery) ResendAt(waits []time.Duration, sentWait time.Duration) time.Time {
	wait := waits[d.Sends-1]
	if d.Phase <= Sent {
		wait = max(wait, sentWait)
	}
	return d.Asked.Add(wait)
}

// sendsAfterArrival is how many more sends there are once a message has
// arrived: the person should look for that message.
const sendsAfterArrival = 2

// SendsLeft returns how many sends are left of 1 + waits.
func (d *Delivery) SendsLeft(waits int) int {
	left := waits + 1 - d.Sends
	if d.Reached > 0 {
		left = min(left, d.Reached+sendsAfterArrival-d.Sends)
	}
	return max(left, 0)
}
