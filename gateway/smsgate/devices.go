package smsgate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
)

const (
	// freshFor is how long a phone that the server has seen is preferred to
	// others.
	freshFor = time.Hour

	// busyFor is the time over which a phone's load is counted. Android itself
	// asks the user about more than some 30 messages a minute.
	busyFor = time.Minute
)

var (
	errNoPhones = errors.New("the account has none of the phones")
	errAway     = errors.New("the server has seen no phone within Config.ActiveWithin")
	errNoneLeft = errors.New("no phone is left")
)

// devices chooses phones.
type devices struct {
	channel *Channel
	turn    chan struct{} // holds one element while the list is fetched

	mu     sync.Mutex
	listed []Phone
	at     time.Time
	failed time.Time // when no list could be had
	cause  error     // why
	pins   map[string]*pin
	enough int                    // pins at which those that have expired are dropped
	given  map[string][]time.Time // to a device, within busyFor
}

func newDevices(c *Channel) *devices {
	return &devices{channel: c, turn: make(chan struct{}, 1), pins: map[string]*pin{}, given: map[string][]time.Time{}}
}

// choose returns the target of a message, or that the server has accepted the
// message before. The caller must record the outcome at the target.
func (d *devices) choose(
	ctx context.Context, m *channel.Message, refused []string,
) (to target, accepted bool, err error) {
	if to, has, ok := d.pinned(m.ID, refused); ok {
		return to, has, nil
	}
	if d.channel.onPhone() {
		to, err = d.pick(m, []slot{{target: d.local(m)}}, refused)
		return to, false, err
	}
	slots, err := d.slots(ctx)
	if err != nil {
		return target{}, false, err
	}
	several := slices.ContainsFunc(slots, func(s slot) bool { return s.device != slots[0].device })
	if several && len(refused) == 0 {
		// Another process may have submitted it to another phone.
		if accepted, err = d.channel.exists(ctx, m.ID); accepted || err != nil {
			return target{}, accepted, err
		}
	}
	to, err = d.pick(m, slots, refused)
	return to, false, err
}

// pick takes the best of the slots and binds the message to it.
func (d *devices) pick(m *channel.Message, slots []slot, refused []string) (target, error) {
	now := time.Now()
	region, _ := phone.Region(m.To.Phone)
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pins[m.ID]
	if p != nil && slices.Contains(refused, p.to.device) { // another call submits it there now
		return target{}, errNoneLeft
	}
	if p == nil {
		left := slices.DeleteFunc(slots, func(s slot) bool { return slices.Contains(refused, s.device) })
		if len(left) == 0 {
			return target{}, errNoneLeft
		}
		best := slices.MinFunc(left, func(a, b slot) int {
			return cmp.Or(
				cmp.Compare(stale(a, now), stale(b, now)), // an SMS from abroad is better than none
				cmp.Compare(rank(a.countries, region), rank(b.countries, region)),
				cmp.Compare(d.load(a.device, now), d.load(b.device, now)),
				b.lastSeen.Compare(a.lastSeen),
			)
		})
		p = &pin{to: best.target, expires: cmp.Or(m.Expires, now.Add(defaultLife))}
		d.prune(now)
		d.pins[m.ID] = p
	}
	return d.use(p), nil
}

// load counts the messages that a phone was given lately.
func (d *devices) load(device string, now time.Time) int {
	recent := d.given[device]
	for len(recent) > 0 && now.Sub(recent[0]) > busyFor {
		recent = recent[1:]
	}
	d.given[device] = recent
	return len(recent)
}

func (d *devices) note(device string) {
	now := time.Now()
	d.load(device, now)
	d.given[device] = append(d.given[device], now)
}
