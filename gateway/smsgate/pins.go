package smsgate

import (
	"maps"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

const (
	// maxPins bounds how many messages are bound to a phone at once. Below
	// minPins, prune does not look for expired ones.
	maxPins, minPins = 100_000, 1_000
)

// A pin binds a message to the phone that it was submitted to first.
type pin struct {
	to      target
	users   int  // calls that submit it now
	held    bool // the server may have it
	has     bool // the server has it
	expires time.Time
}

// pinned returns where a message has to go, and whether it has been accepted
// there.
func (d *devices) pinned(id string, refused []string) (to target, has, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pins[id]
	if p == nil || slices.Contains(refused, p.to.device) {
		return target{}, false, false
	}
	if p.has {
		return p.to, true, true
	}
	return d.use(p), false, true
}

// of returns the phone that a message is bound to. It is empty if that is not
// known, or is the phone that serves the API.
func (d *devices) of(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.pins[id]; p != nil {
		return p.to.device
	}
	return ""
}

// use counts a message towards its phone until its outcome is recorded.
func (d *devices) use(p *pin) target {
	p.users++
	d.note(p.to.device)
	return p.to
}

// others reports whether the server may have a message from an earlier call, and
// whether another call submits it now.
func (d *devices) others(id string) (held, now bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pins[id]
	return p != nil && p.held, p != nil && p.users > 1
}

// record notes the outcome of a message at its target. A message that was
// certainly not accepted may go to another phone the next time.
func (d *devices) record(id string, to target, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	refused := err != nil && channel.ClassOf(err) != channel.Unknown
	if recent := d.given[to.device]; refused && len(recent) > 0 {
		d.given[to.device] = recent[:len(recent)-1]
	}
	p := d.pins[id]
	if p == nil {
		return
	}
	p.users--
	p.held = p.held || !refused
	p.has = p.has || err == nil
	if !p.held && p.users == 0 {
		delete(d.pins, id)
	}
}

// prune makes room for a pin. It drops the expired pins once there are twice as
// many pins as the last prune has left and, at the bound, a tenth of all. It
// keeps the pins of messages that are being submitted.
func (d *devices) prune(now time.Time) {
	if len(d.pins) < max(d.enough, minPins) {
		return
	}
	maps.DeleteFunc(d.pins, func(_ string, p *pin) bool { return p.users == 0 && !now.Before(p.expires) })
	excess := 0
	if len(d.pins) >= maxPins {
		excess = maxPins / 10
	}
	maps.DeleteFunc(d.pins, func(_ string, p *pin) bool {
		drop := excess > 0 && p.users == 0
		if drop {
			excess--
		}
		return drop
	})
	d.enough = min(2*len(d.pins), maxPins)
}
