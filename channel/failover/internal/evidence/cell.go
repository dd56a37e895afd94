package evidence

import (
	"math"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

const (
	// Slot is the span of time whose messages are counted together.
	Slot = 12 * time.Second

	// Slots is the number of slots of a ring. A verification that comes later than
	// all of them, after 3 minutes, counts as none.
	Slots = 15
)

// counts are those of the messages that one slot sent.
type counts struct {
	sent   float64 // taken by the route
	open   float64 // neither verified, nor failed, nor sent again
	mute   float64 // open and without a receipt
	good   float64 // verified; a late one counts in part
	got    float64 // reported delivered
	errors float64 // refused by an error of the route
	ratio  float64 // log-likelihood ratio of the ended messages
}

func (c *counts) empty() bool { return *c == counts{} }

func (c *counts) add(o *counts) {
	c.sent += o.sent
	c.open += o.open
	c.mute += o.mute
	c.good += o.good
	c.got += o.got
	c.errors += o.errors
	c.ratio += o.ratio
}

// A Cell is the evidence on one route in one region, or in all.
type Cell struct {
	ring [Slots]counts
	head int64 // number of the newest slot since 1970

	// The counts that left the ring. All halve every Params.HalfLife.
	tried, good float64 // messages, and those verified, while the route was not in doubt
	told, got   float64 // messages, and those reported delivered
	errors      float64
	rate        float64        // messages, halves every hour
	verified    float64        // the sum of ages
	ages        [Slots]float64 // verifications, by their age

	doubt float64 // Page statistic of the slots that have left, above the floor
	alarm int64   // slot at which loss became probable; 0: it is not

	// Derived once in a slot.
	derived  int64
	usual    float64            // expected share verified
	silence  [Slots + 1]float64 // log-likelihood ratio of an open message, by age in slots
	muteness [Slots + 1]float64 // of one without receipt
	floor    float64            // log-odds of loss without evidence

	known   float64 // lossNow as it was at knownAt, in slots
	knownAt float64 // 0: it has changed since

	// Of the latest order.
	shown       float64 // score that is compared
	seen        bool    // shown is set
	place, rank int     // given and taken, from 0
	kind        channel.Address
	explored    bool
	loss, price float64
}

func slotOf(now time.Time) int64 { return now.UnixNano() / int64(Slot) }

// at returns the counts of the slot of a time, nil if it has left the ring.
func (c *Cell) at(n int64) *counts {
	if n > c.head || n <= c.head-Slots {
		return nil
	}
	c.knownAt = 0
	return &c.ring[n%Slots]
}

// advance moves the ring on to slot n.
func (c *Cell) advance(n int64, p *Params) {
	if c.head < n {
		c.knownAt = 0
	}
	if c.head == 0 {
		c.head = n
	}
	if n-c.head >= Slots { // nothing was sent for long: the whole ring leaves
		w := c.weight(c.lossNow(float64(c.head+1), p))
		for i := c.head + 1; i <= c.head+Slots; i++ {
			c.leave(i, w, p)
		}
		c.decay(n-c.head, p)
		c.head = n
	}
	for ; c.head < n; c.head++ {
		if !c.ring[(c.head+1)%Slots].empty() {
			c.leave(c.head+1, c.weight(c.lossNow(float64(c.head+1), p)), p)
		}
		c.decay(1, p)
	}
}

const (
	alarmed = 0.5  // probability of loss at which an alarm begins
	cleared = 0.02 // at which it ends

	// longest is the time for which an alarm keeps messages out of the totals. A longer
	// loss counts as the route's usual state.
	longest = 2 * time.Hour
)

// messages returns how many messages the cell has seen, older ones in part.
func (c *Cell) messages() float64 {
	n := c.told
	for i := range c.ring {
		n += c.ring[i].sent
	}
	return n
}

// weight returns the weight of a slot's messages in the totals. Messages sent during a
// loss say nothing about the route's usual state.
func (c *Cell) weight(loss float64) float64 {
	switch {
	case loss > alarmed && c.alarm == 0:
		c.alarm = c.head
	case loss < cleared:
		c.alarm = 0
	}
	if c.alarm > 0 && c.head-c.alarm < int64(longest/Slot) {
		return 0
	}
	return 1
}

// leave empties the place of slot n, whose counts are of the slot before in that place.
// They join the totals, with the weight w where they concern the route's usual state.
func (c *Cell) leave(n int64, w float64, p *Params) {
	q := &c.ring[n%Slots]
	c.doubt = c.step(c.doubt, q, c.silence[Slots], c.muteness[Slots], p)
	c.tried += w * q.sent
	c.good += w * q.good
	c.told += q.sent
	c.got += q.got
	c.errors += q.errors
	c.rate += q.sent
	*q = counts{}
}

func (c *Cell) decay(slots int64, p *Params) {
	f := p.factors
	if slots > 1 {
		f = p.factorsOf(float64(slots))
	}
	if c.told+c.errors > 0 {
		for _, x := range [...]*float64{&c.tried, &c.good, &c.told, &c.got, &c.errors} {
			*x *= f.half
		}
		c.rate *= f.rate
	}
	if c.doubt > 0 {
		c.doubt *= f.relief
	}
	if c.verified > 0 {
		c.verified *= f.half
		for i := range c.ages {
			c.ages[i] *= f.half
		}
	}
}

// factors are those of the decays in a span of time.
type factors struct{ half, rate, relief float64 }

func (p *Params) factorsOf(slots float64) factors {
	of := func(half time.Duration) float64 { return math.Exp2(-slots * Slot.Seconds() / half.Seconds()) }
	return factors{of(p.HalfLife), of(rateHalfLife), of(p.Relief)}
}

// rateHalfLife is the half-life of the count that tells how many messages there are in an hour.
const rateHalfLife = time.Hour

// step is one step of the Page statistic.
func (c *Cell) step(s float64, q *counts, silence, muteness float64, p *Params) float64 {
	s += q.ratio + max(q.open, 0)*silence + max(q.mute, 0)*muteness
	return min(max(s, 0), p.Surest-c.floor)
}

// recent is how long a probability of loss is good for if nothing happens, in slots.
const recent = float64(time.Second) / float64(Slot)

// lossAt returns lossNow, or its value of a moment ago if nothing has happened since.
func (c *Cell) lossAt(now float64, p *Params) float64 {
	if c.knownAt == 0 || now-c.knownAt > recent {
		c.known, c.knownAt = c.lossNow(now, p), now
	}
	return c.known
}

// lossNow returns the probability that the route loses messages now, at a time in slots.
func (c *Cell) lossNow(now float64, p *Params) float64 {
	s, part := c.doubt, min(now-float64(c.head), 1)
	i := int(c.head % Slots)
	for age := Slots - 1; age >= 0; age-- {
		if i++; i == Slots {
			i = 0
		}
		q := &c.ring[i]
		if q.sent == 0 && q.ratio == 0 {
			continue
		}
		s = c.step(s, q, c.silence[age]*(1-part)+c.silence[age+1]*part,
			c.muteness[age]*(1-part)+c.muteness[age+1]*part, p)
	}
	return odds(c.floor + s)
}

// odds returns the probability of log-odds.
func odds(l float64) float64 { return 1 / (1 + math.Exp(-l)) }

// derive computes the inputs of the likelihood ratios of a slot: the expected share,
// the ages at which the route's messages are verified, and its receipts.
func (c *Cell) derive(usual float64, all *Cell, p *Params) {
	c.derived, c.usual, c.knownAt = c.head, usual, 0
	share, by := min(max(usual, 0.2), 0.95), all.verifiedBy()
	told := 0.0
	if all.told >= p.Prior {
		told = min(all.got/all.told, 0.97)
	}
	for i := range c.silence {
		f := share * by[max(i-p.Lag, 0)]
		c.silence[i] = p.Silence * math.Log((1-p.Loses*f)/(1-f))
		c.muteness[i] = 0
		if told > p.Reports {
			g := told * receiptBy[min(max(i-p.Lag, 0), len(receiptBy)-1)]
			c.muteness[i] = min(math.Log((1-p.Loses*g)/(1-g)), p.Mute)
		}
	}
	pause := rateHalfLife.Seconds() / math.Ln2 / max(c.rate, 1) // between messages
	c.floor = min(max(math.Log(pause/p.Fails.Seconds()), p.Floor), p.Ceiling)
}

// receiptBy is the share of a route's receipts that come by an age in slots.
var receiptBy = [...]float64{0, 0.2, 0.6, 0.85, 0.95}

// usualAges are the ages of verifications where none were seen: lognormal, with a
// median of 25 s and a sigma of 0.6, of a message sent in the middle of a slot.
var usualAges = func() (by [Slots + 1]float64) {
	for i := 1; i <= Slots; i++ {
		z := math.Log((float64(i)-0.5)*Slot.Seconds()/25) / 0.6
		by[i] = (1 + math.Erf(z/math.Sqrt2)) / 2
	}
	return by
}()

// agesPrior is the weight of usualAges.
const agesPrior = 20

// verifiedBy returns the share of the route's verifications that come by an age.
func (c *Cell) verifiedBy() (by [Slots + 1]float64) {
	total, sum := float64(agesPrior), 0.0
	for _, n := range c.ages {
		total += n
	}
	for i := 1; i <= Slots; i++ {
		sum += c.ages[i-1]
		by[i] = (agesPrior*usualAges[i] + sum) / total
	}
	return by
}
