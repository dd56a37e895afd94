package evidence

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// A world is traffic, routes and a fault. People and routes are drawn from its seed
// alone, so that every policy meets the same people.
type world struct {
	seed   uint64
	perDay float64
	days   int
	given  []simRoute
	fault  fault
	begins time.Time // of the fault
	ends   time.Time
	shares *[8][countries]float64
}

// A simRoute is a route by its usual behaviour.
type simRoute struct {
	name     string
	arrives  float64 // share of messages, on the average of the countries
	receipts bool
	price    float64 // in verifications
	exists   time.Duration
}

// A fault changes what becomes of a message.
type fault struct {
	everyone bool // in all countries; else in country
	country  int
	route    int
	kind     faultKind
}

type faultKind uint8

const (
	peace    faultKind = iota
	swallow            // accepted, and neither delivered nor reported
	lie                // accepted, not delivered, and reported delivered
	late               // delivered after 3 to 6 minutes
	decline            // arrives less and less
	refuse             // every submission is an error
	newcomer           // no fault: a route is new
)

// epoch is a midnight.
var epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const countries = 20

// countryShare is the share of the traffic, by Zipf's law: 26 % for the first, 1.4 %
// for the last.
func countryShare(i int) float64 {
	total := 0.0
	for k := range countries {
		total += math.Pow(float64(k+1), -0.95)
	}
	return math.Pow(float64(i+1), -0.95) / total
}

func countryName(i int) string { return string([]byte{'A' + byte(i), 'A'}) }

// willing is the share of people who type the code once they have it.
func willing(country int) float64 { return 0.88 - 0.016*float64(country*7%countries) }

// usual is the share of a route's messages that arrive in a country.
func (w *world) usual(route, country int) float64 {
	if w.shares == nil {
		w.shares = new([8][countries]float64)
		for i := range w.given {
			for c := range countries {
				w.shares[i][c] = w.drawUsual(i, c)
			}
		}
	}
	return w.shares[route][country]
}

func (w *world) drawUsual(route, country int) float64 {
	r := rand.New(rand.NewPCG(w.seed, uint64(1000+route*100+country)))
	return min(w.given[route].arrives+0.01*r.NormFloat64(), 0.995)
}

// A person asks for a code.
type person struct {
	at       time.Time
	country  int
	id       uint64
	willing  bool
	thinks   time.Duration
	patience time.Duration
	asks     bool // for a resend, if nothing came
	hasty    bool // asks for a resend although it came
}

// people are those of all days, in order.
func (w *world) people() []person {
	var all []person
	r := rand.New(rand.NewPCG(w.seed, 7))
	most := w.perDay / 86400 * 1.8
	end := float64(w.days) * 86400
	var shares [countries]float64
	for i := range shares {
		shares[i] = countryShare(i)
	}
	for at := r.ExpFloat64() / most; at < end; at += r.ExpFloat64() / most {
		if r.Float64()*1.8 > 1+0.8*math.Cos(2*math.Pi*(at/3600-19)/24) {
			continue
		}
		c, x := 0, r.Float64()
		for x -= shares[0]; x > 0 && c < countries-1; x -= shares[c] {
			c++
		}
		all = append(all, person{
			at: epoch.Add(time.Duration(at * 1e9)), country: c, id: r.Uint64(), willing: r.Float64() < willing(c),
			thinks:   time.Duration(13e9 * math.Exp(0.6*r.NormFloat64())),
			patience: 40*time.Second + time.Duration(r.ExpFloat64()*20e9), asks: r.Float64() < 0.7,
			hasty: r.Float64() < 0.04,
		})
	}
	return all
}

// A fate is what becomes of one message.
type fate struct {
	refused bool
	arrives bool
	after   time.Duration
	receipt time.Duration // of delivery; 0: none
	faulty  bool          // lost, late or refused by the fault
}

func (w *world) fate(p *person, step, route int, at time.Time) fate {
	r := rand.New(rand.NewPCG(p.id, uint64(step*16+route)))
	f := fate{arrives: r.Float64() < w.usual(route, p.country)}
	f.after = time.Duration(5e9 * math.Exp(0.7*r.NormFloat64()))
	reports, delay, more := r.Float64() < 0.95, time.Duration(2e9*r.ExpFloat64()), r.Float64()
	hit := w.fault.kind != peace && route == w.fault.route && (w.fault.everyone || p.country == w.fault.country) &&
		!at.Before(w.begins) && at.Before(w.ends)
	if hit {
		switch w.fault.kind {
		case swallow, lie:
			f.arrives, f.faulty = false, true
		case late:
			f.after, f.faulty = f.after+3*time.Minute+time.Duration(more*180e9), true
		case refuse:
			f.refused, f.arrives, f.faulty = true, false, true
		case decline:
			if part := at.Sub(w.begins).Seconds() / w.ends.Sub(w.begins).Seconds(); more < 0.9*part {
				f.arrives, f.faulty = false, true
			}
		}
	}
	if w.given[route].receipts && reports && (f.arrives || hit && w.fault.kind == lie) {
		f.receipt = f.after + delay
	}
	return f
}

// A policy orders the routes of a message. Its other methods tell it what happens.
type policy interface {
	order(now time.Time, p *person, step int) (order []int, explored int)
	tell(now time.Time, what tale, p *person, route int, sent time.Time)
}

type tale uint8

const (
	sent tale = iota
	refused
	verified
	resent
	delivered
)

// A result is what a policy achieved.
type result struct {
	people, verifiedFirst, verified int
	messages                        int
	cost                            float64
	swallowed                       int // messages that the fault took, or made late
	reaction                        int // of them, before the first that another route was put before
	back                            time.Duration
	byTen                           map[int][2]int // by 10 minutes: first messages, of them by the faulty route
}

type happening struct {
	at  time.Time
	seq int
	do  func(now time.Time)
}

type agenda []happening

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// A run plays a world under a policy.
type run struct {
	*world
	policy policy
	await  time.Duration // for a receipt, of the routes that have any; 0: not
	agenda agenda
	seq    int
	res    result
	turned bool // another route was put before the faulty one
	first  bool // the faulty route was the first one when the fault began
}

func (r *run) later(at time.Time, do func(time.Time)) {
	r.seq++
	heap.Push(&r.agenda, happening{at, r.seq, do})
}

// A session is one challenge.
type session struct {
	p      *person
	step   int
	tried  []int // in this send
	silent []int // in all sends
	route  int
	sent   time.Time
	told   bool // the current message was reported delivered
	done   bool
	resend int
}

func play(w *world, p policy, await time.Duration) result {
	r := &run{world: w, policy: p, await: await, res: result{back: -1, byTen: map[int][2]int{}}}
	people := w.people()
	for i := range people {
		p := &people[i]
		for len(r.agenda) > 0 && !r.agenda[0].at.After(p.at) {
			h := heap.Pop(&r.agenda).(happening)
			h.do(h.at)
		}
		if p.at.Sub(epoch) >= time.Duration(w.days-1)*24*time.Hour { // the days before are to learn
			r.res.people++
		}
		s := &session{p: p}
		r.send(p.at, s)
		r.person(p.at, s)
	}
	for len(r.agenda) > 0 {
		h := heap.Pop(&r.agenda).(happening)
		h.do(h.at)
	}
	return r.res
}

func (r *run) counts(s *session) bool {
	return s.p.at.Sub(epoch) >= time.Duration(r.days-1)*24*time.Hour
}

func has(list []int, i int) bool {
	for _, j := range list {
		if i == j {
			return true
		}
	}
	return false
}

// send tries the routes of one message in order.
func (r *run) send(now time.Time, s *session) {
	order, explored := r.policy.order(now, s.p, s.step)
	r.watch(now, s, order, explored)
	for _, last := range []bool{false, true} {
		for _, route := range order {
			if has(s.tried, route) || has(s.silent, route) != last || now.Sub(epoch) < r.given[route].exists {
				continue
			}
			s.tried = append(s.tried, route)
			f := r.fate(s.p, s.step, route, now)
			if f.refused {
				r.policy.tell(now, refused, s.p, route, now)
				continue
			}
			r.took(now, s, route, f)
			return
		}
	}
}

// watch measures how soon the policy turns from a faulty route, and back to it.
func (r *run) watch(now time.Time, s *session, order []int, explored int) {
	if r.fault.kind == peace || s.step > 0 || !r.fault.everyone && s.p.country != r.fault.country {
		return
	}
	first := order[0]
	if r.counts(s) {
		h := r.res.byTen[int(now.Sub(epoch)/(10*time.Minute))]
		h[0]++
		if first == r.fault.route {
			h[1]++
		}
		r.res.byTen[int(now.Sub(epoch)/(10*time.Minute))] = h
	}
	if explored >= 0 {
		return
	}
	switch {
	case now.Before(r.begins):
		r.first = first == r.fault.route
	case now.Before(r.ends):
		r.turned = r.turned || first != r.fault.route
	case r.first && r.res.back < 0 && first == r.fault.route:
		r.res.back = now.Sub(r.ends)
	}
}

// took follows a message that a route took.
func (r *run) took(now time.Time, s *session, route int, f fate) {
	s.route, s.sent, s.told = route, now, false
	step := s.step
	s.step++
	r.policy.tell(now, sent, s.p, route, now)
	if r.counts(s) {
		r.res.messages++
		r.res.cost += r.given[route].price
		if f.faulty {
			r.res.swallowed++
			if !r.turned {
				r.res.reaction++
			}
		}
	}
	if !has(s.silent, route) {
		s.silent = append(s.silent, route)
	}
	if f.receipt > 0 {
		r.later(now.Add(f.receipt), func(at time.Time) {
			if s.route == route {
				s.told = true
			}
			r.policy.tell(at, delivered, s.p, route, now)
		})
	}
	if r.await > 0 && r.given[route].receipts {
		r.later(now.Add(r.await), func(at time.Time) {
			if !s.done && !s.told && s.step == step+1 && len(s.tried) < len(r.given) {
				r.send(at, s)
			}
		})
	}
	if f.arrives && s.p.willing {
		at := now.Add(f.after)
		if base := s.p.at; at.Sub(base) < 5*time.Minute {
			r.later(at.Add(s.p.thinks), func(at time.Time) { r.verify(at, s, step) })
		}
	}
}

// verify closes a session. The latest message has the credit, as in the Service.
func (r *run) verify(now time.Time, s *session, step int) {
	if s.done || now.Sub(s.p.at) > 5*time.Minute {
		return
	}
	s.done = true
	if r.counts(s) {
		r.res.verified++
		if step == 0 && s.resend == 0 {
			r.res.verifiedFirst++
		}
	}
	r.policy.tell(now, verified, s.p, s.route, s.sent)
}

// person asks for a resend if nothing came in time, and sometimes although it came.
func (r *run) person(now time.Time, s *session) {
	wants := s.p.willing && s.p.asks || s.p.hasty
	if !wants || s.resend >= 2 {
		return
	}
	r.later(now.Add(s.p.patience), func(at time.Time) {
		if s.done || at.Sub(s.p.at) > 4*time.Minute {
			return
		}
		s.resend++
		r.policy.tell(at, resent, s.p, s.route, s.sent)
		if s.told {
			s.silent = nil
		}
		s.tried = nil
		r.send(at, s)
		r.person(at, s)
	})
}
