package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opDevices = "gateway: devices"

	// listLife is how long a list of phones is used, and listGrace how long
	// if no newer one can be had.
	listLife  = 30 * time.Second
	listGrace = 10 * time.Minute

	// listPause is how long none is asked for after one could not be had.
	listPause = 10 * time.Second

	// freshFor is how long a phone that was heard of is preferred to others.
	freshFor = time.Hour

	// busyFor is what a phone's load is counted over. Android itself asks the
	// user about more than some 30 messages a minute.
	busyFor = time.Minute

	// maxPins bounds how many messages are bound to a phone at once; below
	// minPins none is looked for that has expired.
	maxPins, minPins = 100_000, 1_000
)

var (
	errNoPhones = errors.New("the account has none of the phones")
	errAway     = errors.New("no phone was heard of within SMSGateConfig.ActiveWithin")
	errNoneLeft = errors.New("no phone is left")
)

// SMSGatePhone is a phone of the account.
type SMSGatePhone struct {
	ID, Name string
	LastSeen time.Time // by the server
	Active   bool      // seen within SMSGateConfig.ActiveWithin, or that is zero
	sims     []simCard
}

type simCard struct {
	slot   int
	region string // of its number; empty: not known
}

// Devices lists the phones of the account, those that SMSGateConfig.Devices
// leaves out as well. A phone that serves the API itself has no list: the
// error's class is Misconfigured.
func (g *SMSGate) Devices(ctx context.Context) ([]SMSGatePhone, error) {
	ctx, end, err := g.life.Begin(ctx, opDevices, time.Time{})
	if err != nil {
		return nil, err
	}
	defer end()
	return g.listDevices(ctx)
}

func (g *SMSGate) listDevices(ctx context.Context) ([]SMSGatePhone, error) {
	now := time.Now()
	resp, err := g.call(ctx, call{op: opDevices, method: http.MethodGet, path: "devices"})
	if err != nil {
		return nil, web.NotSent(err)
	}
	if !resp.OK() {
		return nil, web.NotSent(refusal(opDevices, resp, now))
	}
	var list []struct {
		ID        string     `json:"id"`
		Name      string     `json:"name"`
		LastSeen  time.Time  `json:"lastSeen"`
		DeletedAt *time.Time `json:"deletedAt"`
		SIMCards  []struct {
			SIMNumber   int    `json:"simNumber"`
			PhoneNumber string `json:"phoneNumber"`
		} `json:"simCards"`
	}
	if err := decode(opDevices, resp, &list); err != nil {
		return nil, err
	}
	var all []SMSGatePhone
	for _, d := range list {
		if d.ID == "" || d.DeletedAt != nil {
			continue
		}
		p := SMSGatePhone{ID: d.ID, Name: d.Name, LastSeen: d.LastSeen, Active: true}
		if within := g.config.ActiveWithin; within > 0 {
			p.Active = now.Sub(d.LastSeen) <= within
		}
		for _, s := range d.SIMCards {
			if region, ok := phone.Region(s.PhoneNumber); ok && s.SIMNumber >= 1 && s.SIMNumber <= 3 {
				p.sims = append(p.sims, simCard{s.SIMNumber, region})
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// A target is the phone and the SIM that a message goes to.
type target struct {
	device string // empty: the phone that serves the API
	sim    int    // 0: what is set on the phone
}

// A slot is a SIM that could be used.
type slot struct {
	target
	countries []string
	lastSeen  time.Time
}

// A pin binds a message to the phone that it was submitted to first.
type pin struct {
	to      target
	users   int  // calls that submit it now
	held    bool // the server may have it
	has     bool // the server has it
	expires time.Time
}

// devices chooses phones.
type devices struct {
	g    *SMSGate
	turn chan struct{} // held while the list is fetched

	mu     sync.Mutex
	listed []SMSGatePhone
	at     time.Time
	failed time.Time // when no list could be had
	cause  error     // why
	pins   map[string]*pin
	enough int                    // pins at which those that have expired are dropped
	given  map[string][]time.Time // to a device, within busyFor
}

func newDevices(g *SMSGate) *devices {
	return &devices{g: g, turn: make(chan struct{}, 1), pins: map[string]*pin{}, given: map[string][]time.Time{}}
}

// choose returns where a message goes, or that the server has accepted it
// before. Whoever gets a target settles it afterwards.
func (d *devices) choose(ctx context.Context, m *channel.Message, refused []string) (to target, accepted bool, err error) {
	if to, has, ok := d.pinned(m.ID, refused); ok {
		return to, has, nil
	}
	if d.g.onPhone() {
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
		if accepted, err = d.g.exists(ctx, m.ID); accepted || err != nil {
			return target{}, accepted, err
		}
	}
	to, err = d.pick(m, slots, refused)
	return to, false, err
}

// local is the SIM to use of a phone that serves the API itself.
func (d *devices) local(m *channel.Message) target {
	to := target{sim: d.g.config.SIM}
	region, _ := phone.Region(m.To.Phone)
	best := 3
	for _, c := range d.g.config.Devices {
		if r := rank(c.Countries, region); r < best {
			best, to.sim = r, cmp.Or(c.SIM, d.g.config.SIM)
		}
	}
	return to
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

// of returns the phone that a message is bound to; empty: that is not known, or
// is the phone that serves the API, whose name we need not know.
func (d *devices) of(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.pins[id]; p != nil {
		return p.to.device
	}
	return ""
}

// use counts a message towards its phone until it is settled.
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
		p = &pin{to: best.target, expires: cmp.Or(m.Expires, now.Add(smsgateLife))}
		d.prune(now)
		d.pins[m.ID] = p
	}
	return d.use(p), nil
}

// rank says how well a SIM fits a country: its own, none in particular,
// another.
func rank(countries []string, region string) int {
	switch {
	case len(countries) == 0:
		return 1
	case slices.Contains(countries, region):
		return 0
	}
	return 2
}

func stale(s slot, now time.Time) int {
	if !s.lastSeen.IsZero() && now.Sub(s.lastSeen) > freshFor {
		return 1
	}
	return 0
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

// settle notes what became of a message at its target. One that was certainly
// not accepted may go to another phone the next time.
func (d *devices) settle(id string, to target, err error) {
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

// prune makes room for a pin: it drops those that have expired once there are
// twice as many as it has left the last time, and, at the bound, a tenth of all.
// None goes that somebody submits now.
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

// slots lists the SIMs that may be used.
func (d *devices) slots(ctx context.Context) ([]slot, error) {
	configured := d.g.config.Devices
	if len(configured) > 0 && !slices.ContainsFunc(configured, func(c SMSGateDevice) bool { return c.ID != configured[0].ID }) {
		return d.expand(nil, true), nil // there is nothing to choose from but its SIMs
	}
	listed, err := d.list(ctx)
	if err != nil {
		if len(configured) > 0 && channel.ClassOf(err) != channel.Misconfigured && ctx.Err() == nil {
			return d.expand(nil, true), nil
		}
		return nil, err
	}
	slots := d.expand(listed, false)
	if len(slots) > 0 {
		return slots, nil
	}
	for i := range listed {
		listed[i].Active = true
	}
	if len(d.expand(listed, false)) > 0 {
		return nil, &channel.Error{Class: channel.Temporary, Op: opDevices, Err: errAway}
	}
	return nil, &channel.Error{Class: channel.Misconfigured, Op: opDevices, Err: errNoPhones}
}

// expand makes slots of the configured devices and what the server says of
// them; blindly, if it says nothing.
func (d *devices) expand(listed []SMSGatePhone, blindly bool) []slot {
	var slots []slot
	configured := d.g.config.Devices
	if len(configured) == 0 {
		for _, p := range listed {
			configured = append(configured, SMSGateDevice{ID: p.ID})
		}
	}
	for _, c := range configured {
		i := slices.IndexFunc(listed, func(p SMSGatePhone) bool { return p.ID == c.ID })
		if i < 0 && blindly {
			i = len(listed)
			listed = append(listed, SMSGatePhone{ID: c.ID, Active: true})
		}
		if i < 0 || !listed[i].Active {
			continue
		}
		sim := cmp.Or(c.SIM, d.g.config.SIM)
		own := slot{target{device: c.ID, sim: sim}, c.Countries, listed[i].LastSeen}
		for _, s := range listed[i].sims {
			switch {
			case len(c.Countries) > 0:
			case sim == s.slot:
				own.countries = []string{s.region}
			case sim == 0:
				slots = append(slots, slot{target{device: c.ID, sim: s.slot}, []string{s.region}, own.lastSeen})
			}
		}
		slots = append(slots, own)
	}
	return slots
}

// list returns the phones, from memory if it is fresh. One call fetches them
// for all that wait. Where one can do without, because an older list is at hand
// or the phones are configured, fetching leaves most of the time to send.
func (d *devices) list(ctx context.Context) ([]SMSGatePhone, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, &channel.Error{Class: channel.Temporary, Op: opDevices, Err: context.Cause(ctx)}
	}
	d.mu.Lock()
	listed, age, failed, err := slices.Clone(d.listed), time.Since(d.at), time.Since(d.failed), d.cause
	d.mu.Unlock()
	if listed != nil && age < listLife {
		return listed, nil
	}
	older := listed != nil && age < listGrace
	spare := older || len(d.g.config.Devices) > 0
	if !spare || err == nil || failed >= listPause {
		var fresh []SMSGatePhone
		if fresh, err = d.fetch(ctx, spare); err == nil {
			return fresh, nil
		}
	}
	if older && ctx.Err() == nil && channel.ClassOf(err) != channel.Misconfigured {
		return listed, nil
	}
	return nil, err
}

// fetch asks the server for its phones; hastily: for no more than a third of
// the time that is left.
func (d *devices) fetch(ctx context.Context, hastily bool) ([]SMSGatePhone, error) {
	if hastily {
		var cancel context.CancelFunc
		ctx, cancel = web.Share(ctx, 3)
		defer cancel()
	}
	fresh, err := d.g.listDevices(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failed, d.cause = time.Now(), err
		return nil, err
	}
	d.listed, d.at, d.cause = fresh, time.Now(), nil
	return slices.Clone(fresh), nil
}
