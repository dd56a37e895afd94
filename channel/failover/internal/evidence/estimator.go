package evidence

import (
	"math"
	"time"
)

// Params are what an Estimator goes by. See [Defaults].
type Params struct {
	HalfLife time.Duration // of the evidence on a route's usual share
	Relief   time.Duration // half-life of a doubt that nothing confirms
	Explore  float64       // share of first messages that another route is tried for
	Probe    float64       // share of first messages that go by a better route in doubt
	Margin   float64       // by which a score must be greater to pass the given order
	Band     float64       // within which a score counts as unchanged

	Prior   float64       // weight of the expected share, in messages
	Loses   float64       // share of the usual that still arrives from a route that loses messages
	Silence float64       // weight of a message that is not verified
	Resent  float64       // log-likelihood ratio of a resend
	Failed  float64       // of a failed receipt
	Error   float64       // of an error
	Mute    float64       // greatest of a lacking receipt
	Reports float64       // share of receipts above which their lack tells something
	Fails   time.Duration // mean time between two losses of a cell
	Floor   float64       // least log-odds of loss
	Ceiling float64       // log-odds of loss of a cell with few messages
	Surest  float64       // greatest log-odds of loss
	Lag     int           // slots by which evidence of other processes is late

	factors factors // of one slot
}

// Defaults returns the values that were found on the seeds for tuning of the simulation.
func Defaults() Params {
	return Params{
		HalfLife: 12 * time.Hour, Relief: 10 * time.Minute, Explore: 0.02, Probe: 0.08, Margin: 0.02, Band: 0.01,
		Prior: 30, Loses: 0.15, Silence: 0.8, Resent: 1.5, Failed: 1.5, Error: 1.2, Mute: 1.5, Reports: 0.6,
		Fails: 20 * 24 * time.Hour, Floor: -14, Ceiling: -7.5, Surest: 4,
	}
}

const (
	// MaxRoutes is the number of routes that are ordered. With maxRegions it bounds
	// the memory for callers that invent names.
	MaxRoutes  = 32
	maxRegions = 400

	// everyRegion holds the evidence on a route in all regions.
	everyRegion = "*"

	// usualShare is the share verified of a route that nothing is known of.
	usualShare, usualWeight = 0.7, 20
)

// A region holds the cells of one country.
type region struct {
	cells map[string]*Cell
	mean  float64 // share verified, over all routes
}

// An Estimator keeps the evidence on routes in regions.
type Estimator struct {
	p       Params
	regions map[string]*region
	every   *region
	ratios  map[string]float64 // by route: verified to expected, over all regions
	mean    float64
	slot    int64            // of the latest refresh
	deltas  map[string]Delta // by region; nil: none are kept
}

// New returns an Estimator without evidence.
func New(p Params) *Estimator {
	p.factors = p.factorsOf(1)
	e := &Estimator{p: p, regions: map[string]*region{}, ratios: map[string]float64{}, mean: usualShare}
	e.every = e.region(everyRegion)
	return e
}

// region returns a region, nil if there are too many.
func (e *Estimator) region(name string) *region {
	r := e.regions[name]
	if r == nil && len(e.regions) < maxRegions {
		r = &region{cells: map[string]*Cell{}, mean: e.mean}
		e.regions[name] = r
	}
	return r
}

// cell returns the cell of a route, nil if there are too many.
func (e *Estimator) cell(r *region, route string) *Cell {
	if r == nil {
		return nil
	}
	c := r.cells[route]
	if c == nil && len(r.cells) < MaxRoutes {
		c = &Cell{head: e.slot}
		r.cells[route] = c
		e.deriveCell(r, route, c)
	}
	return c
}

// current is cell, brought to the slot of the latest refresh.
func (e *Estimator) current(r *region, route string) *Cell {
	c := e.cell(r, route)
	if c != nil && c.derived != e.slot {
		c.advance(e.slot, &e.p)
		e.deriveCell(r, route, c)
	}
	return c
}

func (e *Estimator) deriveCell(r *region, route string, c *Cell) {
	all := c
	if r != e.every {
		if all = e.current(e.every, route); all == nil {
			all = c
		}
	}
	c.derive(e.share(r, route, c), all, &e.p)
}

// share is the mean of the posterior.
func (e *Estimator) share(r *region, route string, c *Cell) float64 {
	if r == e.every {
		return e.mean * e.ratio(route)
	}
	expected := min(r.mean*e.ratio(route), 0.98)
	return (c.good + e.p.Prior*expected) / (c.tried + e.p.Prior)
}

func (e *Estimator) ratio(route string) float64 {
	if ratio, ok := e.ratios[route]; ok {
		return ratio
	}
	return 1
}

// refresh brings the totals to the slot of now, once in a slot.
func (e *Estimator) refresh(now time.Time) {
	n := slotOf(now)
	if n <= e.slot {
		return
	}
	e.slot = n
	type sums struct{ good, expected float64 }
	byRoute := map[string]sums{}
	tried, good := float64(usualWeight), usualWeight*usualShare
	for _, r := range e.regions {
		for _, c := range r.cells {
			c.advance(n, &e.p)
			if r != e.every {
				tried, good = tried+c.tried, good+c.good
			}
		}
	}
	e.mean = good / tried
	for _, r := range e.regions {
		if r == e.every {
			continue
		}
		tried, good := float64(usualWeight), usualWeight*e.mean
		for _, c := range r.cells {
			tried, good = tried+c.tried, good+c.good
		}
		r.mean = good / tried
		for name, c := range r.cells {
			s := byRoute[name]
			byRoute[name] = sums{s.good + c.good, s.expected + c.tried*r.mean}
		}
	}
	for name, s := range byRoute {
		e.ratios[name] = (s.good + e.p.Prior*e.mean) / (s.expected + e.p.Prior*e.mean)
	}
}

// both calls f for the cell of a route in a region, and for the one in all regions.
func (e *Estimator) both(now time.Time, in, route string, f func(*Cell)) {
	e.refresh(now)
	for _, r := range [...]*region{e.region(in), e.every} {
		if c := e.current(r, route); c != nil {
			f(c)
		}
	}
	if e.deltas != nil {
		e.note(in, route, f)
		e.note(everyRegion, route, f)
	}
}

// Sent counts a message that a route took.
func (e *Estimator) Sent(now time.Time, in, route string) {
	e.both(now, in, route, func(c *Cell) {
		if q := c.at(e.slot); q != nil {
			q.sent, q.open, q.mute = q.sent+1, q.open+1, q.mute+1
		}
	})
}

// Refused counts an error of the route.
func (e *Estimator) Refused(now time.Time, in, route string) {
	e.both(now, in, route, func(c *Cell) {
		if q := c.at(e.slot); q != nil {
			q.errors, q.ratio = q.errors+1, q.ratio+e.p.Error
		}
	})
}

// Verified counts the code of a message that was sent at a time as verified.
func (e *Estimator) Verified(now time.Time, in, route string, sent time.Time) {
	e.both(now, in, route, func(c *Cell) {
		n := slotOf(sent)
		q := c.at(n)
		if q == nil {
			return
		}
		part := timely(now.Sub(sent))
		q.open, q.mute, q.good = q.open-1, q.mute-1, q.good+part
		q.ratio += part * math.Log(e.p.Loses)
		c.ages[min(max(now.Sub(sent), 0)/Slot, Slots-1)]++
		c.verified++
	})
}

// timely is the part for which a verification counts: the whole up to a minute and a
// half, nothing after three.
func timely(age time.Duration) float64 {
	return min(max(float64(Slots*Slot-age)/float64(Slots*Slot/2), 0), 1)
}

// Resent counts a message whose person stopped waiting.
func (e *Estimator) Resent(now time.Time, in, route string, sent time.Time) {
	e.ended(now, in, route, sent, e.p.Resent)
}

// Failed counts a message as reported undeliverable, and not because of its address.
func (e *Estimator) Failed(now time.Time, in, route string, sent time.Time) {
	e.ended(now, in, route, sent, e.p.Failed)
}

func (e *Estimator) ended(now time.Time, in, route string, sent time.Time, ratio float64) {
	e.both(now, in, route, func(c *Cell) {
		if q := c.at(slotOf(sent)); q != nil {
			q.open, q.mute, q.ratio = q.open-1, q.mute-1, q.ratio+ratio
		}
	})
}

// Delivered counts a message as reported delivered, which alone proves nothing.
func (e *Estimator) Delivered(now time.Time, in, route string, sent time.Time) {
	e.both(now, in, route, func(c *Cell) {
		if q := c.at(slotOf(sent)); q != nil {
			q.mute, q.got = q.mute-1, q.got+1
		}
	})
}
