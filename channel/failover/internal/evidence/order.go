package evidence

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Question asks for the order of the routes of one message.
type Question struct {
	Region string
	Routes []channel.Route // as given, best first
	Prices []float64       // of the routes, in verifications; nil: of no account
	Kinds  channel.Address // that the recipient has
	Draw   uint64          // random, the same for the messages of one challenge
	Free   bool            // another route may be tried: it is the first message
}

// An Answer is an order of routes.
type Answer struct {
	Order    []uint8 // indexes of Question.Routes, best first; valid until the next Order
	Changed  bool    // it is not the given order
	Explored int     // index of the route that was put first to learn of it; -1: none
}

// Order orders the routes of one message.
func (e *Estimator) Order(now time.Time, q *Question, buf *[MaxRoutes]uint8) Answer {
	a := Answer{Explored: -1}
	n := len(q.Routes)
	if n > MaxRoutes {
		return a
	}
	order := buf[:n]
	for i := range order {
		order[i] = uint8(i)
	}
	a.Order = order
	e.refresh(now)
	r := e.region(q.Region)
	if r == nil {
		return a
	}
	var cells [MaxRoutes]*Cell
	at := float64(now.UnixNano()) / float64(Slot)
	for i := range q.Routes {
		c := e.current(r, q.Routes[i].Name)
		if c == nil {
			return a
		}
		cells[i], c.place, c.kind = c, i, q.Routes[i].Address
		e.score(c, e.current(e.every, q.Routes[i].Name), at, q, i)
	}
	e.sort(order, cells[:n], q)
	if q.Free {
		a.Explored = e.explore(order, cells[:n], q)
	}
	for rank, i := range order {
		cells[i].rank, cells[i].explored = rank, int(i) == a.Explored
		a.Changed = a.Changed || rank != int(i)
	}
	return a
}

// score sets the worth of a route.
func (e *Estimator) score(c, all *Cell, at float64, q *Question, i int) {
	c.loss, c.price = c.lossAt(at, &e.p), 0
	if all != nil {
		c.loss = max(c.loss, all.lossAt(at, &e.p))
	}
	if q.Prices != nil && !math.IsNaN(q.Prices[i]) {
		c.price = q.Prices[i]
	}
	exact := c.usual*(1-c.loss) - c.price
	if !c.seen || math.Abs(exact-c.shown) > e.p.Band {
		c.shown, c.seen = exact, true
	}
}

// sort lets routes pass those of their kind that are worse by more than the margin.
func (e *Estimator) sort(order []uint8, cells []*Cell, q *Question) {
	for i := 1; i < len(order); i++ {
		for j := i; j > 0; {
			k := before(order, j, q)
			if k < 0 || cells[order[j]].shown <= cells[order[k]].shown+e.p.Margin {
				break
			}
			order[j], order[k] = order[k], order[j]
			j = k
		}
	}
}

// before returns the place before j of a route of the same kind, -1 if there is none.
func before(order []uint8, j int, q *Question) int {
	for k := j - 1; k >= 0; k-- {
		if q.Routes[order[k]].Address == q.Routes[order[j]].Address {
			return k
		}
	}
	return -1
}

// explore puts a route first to learn of it, for a share of the messages: any, or one
// that would be first were it not in doubt. It returns its index, or -1.
func (e *Estimator) explore(order []uint8, cells []*Cell, q *Question) int {
	first := slices.IndexFunc(order, func(i uint8) bool { return q.Routes[i].Address&q.Kinds != 0 })
	if first < 0 {
		return -1
	}
	kind := q.Routes[order[first]].Address
	draw, pick := unit(q.Draw), unit(mix(q.Draw))
	best := cells[order[first]]
	var weights [MaxRoutes]float64
	total := 0.0
	for k := first + 1; k < len(order); k++ {
		if c := cells[order[k]]; q.Routes[order[k]].Address == kind {
			weights[k] = e.interest(c, best, draw)
			total += weights[k]
		}
	}
	if total == 0 {
		return -1
	}
	pick *= total
	for k := first + 1; k < len(order); k++ {
		if pick -= weights[k]; pick < 0 && weights[k] > 0 {
			chosen := order[k]
			copy(order[first+1:k+1], moveWithin(order, first, k, kind, q))
			order[first] = chosen
			return int(chosen)
		}
	}
	return -1
}

// interest weighs how much a try of a route would tell, if the message's draw leaves it
// one: much if the route may be better than the best, little if it surely is not.
func (e *Estimator) interest(c, best *Cell, draw float64) float64 {
	inDoubt := c.loss > 0.02
	switch {
	case inDoubt && e.passes(c, best):
		if draw < e.p.Probe {
			return 1
		}
		return 0
	case draw >= e.p.Explore:
		return 0
	case inDoubt:
		return 0.1
	}
	spread := math.Sqrt(c.usual * (1 - c.usual) / (c.tried + e.p.Prior))
	if c.usual+1.6*spread-c.price < best.shown {
		return 0.2
	}
	return 1
}

// passes reports whether a route would come before the best, were it not in doubt.
func (e *Estimator) passes(c, best *Cell) bool {
	margin := e.p.Margin
	if c.place < best.place {
		margin = -margin
	}
	return c.usual-c.price > best.shown+margin
}

// moveWithin returns the routes from first to before k, each moved to the next place of
// its kind; those of other kinds stay.
func moveWithin(order []uint8, first, k int, kind channel.Address, q *Question) []uint8 {
	var moved [MaxRoutes]uint8
	copy(moved[:], order[first+1:k+1])
	carry := order[first]
	for i := first + 1; i <= k; i++ {
		if q.Routes[order[i]].Address == kind {
			moved[i-first-1], carry = carry, order[i]
		}
	}
	return moved[:k-first]
}

// unit returns a number in [0,1).
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// mix is the finalizer of SplitMix64.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// Draw returns the draw of a message under a seed. All messages of a challenge have
// the same.
func Draw(seed uint64, message string) uint64 {
	if i := strings.LastIndexByte(message, '.'); i >= 0 {
		message = message[:i]
	}
	h := seed ^ 0xcbf29ce484222325
	for i := range len(message) {
		h = (h ^ uint64(message[i])) * 0x100000001b3 // FNV-1a
	}
	return mix(h)
}
