package delivery

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// The clock of the enumeration ticks in halves of a lease.
const (
	lease   = 2
	await   = 3 // the longest
	expires = 8
)

func at(tick int) time.Time { return time.Unix(int64(1000+tick), 0) }

func ticks(t time.Time) int {
	if t.IsZero() {
		return -1
	}
	return int(t.Unix() - 1000)
}

// A flight is a sender with a claim.
type flight struct {
	a      Attempt
	send   int
	lease  int
	held   bool // a worker: the queue keeps its wake-up until it is done
	routes string
	charge int  // index of the one it uses
	took   bool // by itself: the record does not know it yet
}

// A charge is the truth about what one message took from the limits, whatever
// the record says.
type charge struct {
	out   bool // a message went out, or nobody can know that it did not
	given bool // it was refunded
}

// A world is one challenge, its wake-ups, its senders, and the truth.
type world struct {
	d               Delivery
	open, proven    bool
	now             int
	wakes           []int
	flights         []flight
	charges         []charge
	done            []Attempt
	surelyNot       []Attempt // ended, and surely not sent
	posted          []string  // step and route of messages that are out
	outIn           uint      // sends a message of which may be out, bit by bit
	arrived         int       // the send that was going on when a message first arrived
	repeats, deaths int
	last            string
	prev            *world
}

func (w *world) challenge() Challenge {
	return Challenge{Open: w.open, Proven: w.proven, Expires: at(expires)}
}

func (w *world) path() (all []string) {
	for ; w != nil; w = w.prev {
		all = append(all, fmt.Sprintf("%d: %s", w.now, w.last))
	}
	slices.Reverse(all)
	return all
}

func (w *world) child(format string, args ...any) *world {
	n := *w
	n.d = w.d.Clone()
	n.wakes, n.flights, n.charges = slices.Clone(w.wakes), slices.Clone(w.flights), slices.Clone(w.charges)
	n.done, n.surelyNot, n.posted = slices.Clone(w.done), slices.Clone(w.surelyNot), slices.Clone(w.posted)
	n.last, n.prev = fmt.Sprintf(format, args...), w
	newest = &n
	return &n
}

func (w *world) wake(tick int) {
	if i, found := slices.BinarySearch(w.wakes, tick); !found {
		w.wakes = slices.Insert(w.wakes, i, tick)
	}
}

func (w *world) key() string {
	d := w.d
	b := fmt.Appendf(nil, "%d %d %d %v %d %d %v %v %d %v %s %v %v %s %d %d %d|", d.Sends, d.Send,
		ticks(d.Asked), d.Attempt, d.Phase, ticks(d.At), d.Doubt, d.Out, d.State, d.Message, d.Early, d.Older, d.Tried,
		d.Via, d.Used, d.Invalid, d.Reached)
	for _, c := range d.Charges {
		b = fmt.Appendf(b, "%d ", index(c))
	}
	return string(fmt.Appendf(b, "|%v %v %d %v %v %v %v %v %v %d %d %d %d", w.open, w.proven, w.now, w.wakes, w.flights,
		w.charges, w.done, w.surelyNot, w.posted, w.outIn, w.arrived, w.repeats, w.deaths))
}

// newest is the world that is being made.
var newest *world

// A breach is a rule that was broken.
type breach struct{ what string }

func (w *world) fail(format string, args ...any) { panic(breach{fmt.Sprintf(format, args...)}) }

// claim begins what is due, and holds it against the truth.
func (w *world) claim(worker bool) bool {
	before := w.d.Clone()
	refund, ok := w.d.Claim(w.challenge(), at(w.now), at(w.now+lease), 0)
	if !ok {
		return false
	}
	a := w.d.Attempt
	switch {
	case !w.open:
		w.fail("begun after the end")
	case w.now >= expires:
		w.fail("begun after it has expired")
	case w.arrived > 0 && w.d.Send <= w.arrived:
		w.fail("begun after a message had arrived, and nobody asked")
	}
	for _, f := range w.flights {
		if f.lease > w.now {
			w.fail("two live senders")
		}
		w.charges[f.charge].out = true // its word comes too late
		w.outIn |= 1 << f.send
	}
	n := 0
	for _, e := range w.done {
		if e.Step == a.Step {
			n++
			if !slices.Contains(w.surelyNot, e) {
				w.fail("sent again by the same step, and the first may have been")
			}
		}
	}
	if len(w.surelyNot) > 0 && w.surelyNot[len(w.surelyNot)-1].Step == a.Step && len(before.Tried) != len(w.d.Tried) {
		w.fail("a retry does without routes")
	}
	if d := w.d.Attempt.Number - n; d > 2 {
		w.fail("%d senders of one step have died", d-1)
	}
	if a.Step > 2*(w.d.Sends+w.repeats) {
		w.fail("more steps than routes and sends")
	}
	w.give(refund)
	uses := index(w.d.Charges[0])
	took := uses < 0
	if took {
		uses = w.take()
	}
	routes := ""
	for _, r := range []string{"A", "B"} {
		if !slices.Contains(w.d.Tried, r) && (w.d.Via == "" || w.d.Via == r) {
			routes += r
		}
	}
	w.flights = append(w.flights, flight{a, w.d.Send, w.now + lease, worker, routes, uses, took})
	return true
}

// take makes a charge. Its time is its name.
func (w *world) take() int {
	w.charges = append(w.charges, charge{})
	return len(w.charges) - 1
}

const named = 1000

func charges(i int) Charge { return Charge{At: at(named + i), Kinds: channel.Phone} }

func index(c Charge) int {
	if c.IsZero() {
		return -1
	}
	return ticks(c.At) - named
}

// give refunds charges, and holds that against the truth.
func (w *world) give(refund []Charge) {
	for _, r := range refund {
		c := &w.charges[index(r)]
		if c.out || c.given {
			w.fail("a charge is refunded for what was sent, or twice")
		}
		c.given = true
	}
}

// check holds the rules that are true at all times.
func (w *world) check() {
	c, d := w.challenge(), w.d
	if (w.arrived > 0) != (d.Reached > 0) {
		w.fail("what was delivered is lost")
	}
	inFlight := slices.ContainsFunc(w.flights, func(f flight) bool { return f.a == d.Attempt })
	if p := w.prev; p != nil && p.d.Attempt.Step == d.Attempt.Step && d.State < p.d.State {
		w.fail("the state of a message goes from %v back to %v", p.d.State, d.State)
	}
	if d.Phase == Refused && w.outIn&(1<<d.Send) != 0 {
		w.fail("refused, although a message of this send may be out")
	}
	for i, c := range w.charges {
		held := slices.ContainsFunc(d.Charges, func(c Charge) bool { return index(c) == i }) ||
			slices.ContainsFunc(w.flights, func(f flight) bool { return f.charge == i })
		if !held && !c.out && !c.given {
			w.fail("charge %d surely was not used, and was not refunded", i)
		}
	}
	// Liveness: what is due at some time has a wake-up by then. What is due at
	// once has one by the end of the lease of who brought that about or, where
	// it is a receipt that failed and nobody could be woken, by the time at
	// which it would have been missed.
	if !w.open || w.now >= expires {
		return
	}
	due := w.now
	m := d.Next(c, at(w.now))
	if m.Do == Wait {
		due = ticks(m.At)
	}
	if m.Do == Nothing || d.Phase == Sending && m.Do == Wait && inFlight || due >= expires {
		return
	}
	if len(w.wakes) == 0 || w.wakes[0] > max(due, w.now+await) {
		if !slices.ContainsFunc(w.flights, func(f flight) bool { return f.held }) { // whose wake-up comes back
			w.fail("stranded: due at %d, wake-ups %v", due, w.wakes)
		}
	}
}

// outcomes lists what can become of a flight.
func (w *world) outcomes(f flight) (all []Outcome) {
	if f.routes == "" {
		return []Outcome{{}}
	}
	first, rest := f.routes[:1], f.routes[1:]
	took := func(route string, tried ...string) Outcome {
		return Outcome{Message: Message{Route: route, Kind: 1, Providers: []string{route}}, Taken: true,
			Tried: tried, Used: 1}
	}
	plain := took(first, first)
	arrived := plain
	arrived.Arrived = true
	all = append(all, plain, arrived, Outcome{Unknown: true, Tried: []string{first}, More: rest != ""},
		Outcome{Tried: []string{first}, More: rest != ""},
		Outcome{More: true}) // there was time for none
	if rest != "" {
		for _, wait := range []int{1, await} {
			o := plain
			o.Await = at(w.now + wait)
			all = append(all, o)
		}
		all = append(all, took(rest, first, rest), Outcome{Tried: []string{first, rest}})
	}
	if w.now+1 < expires-1 {
		all = append(all, Outcome{Retry: at(w.now + 1), Tried: []string{first}})
	}
	return all
}

// finish ends flight i with o. Rule 1: what is needed later has its wake-up
// before it is recorded; a worker's own comes back instead.
func (w *world) finish(i int, o Outcome) {
	f := w.flights[i]
	w.flights = slices.Delete(w.flights, i, i+1)
	out := o.Taken || o.Unknown
	w.charges[f.charge].out = w.charges[f.charge].out || out
	if f.took {
		o.Took = charges(f.charge)
	} else {
		o.Held = charges(f.charge)
	}
	if out {
		w.outIn |= 1 << f.send
		o.Spent = channel.Phone
		route := o.Route
		if route == "" {
			route = o.Tried[0]
		}
		w.posted = append(w.posted, fmt.Sprint(f.a.Step, route))
	} else {
		w.surelyNot = append(w.surelyNot, f.a)
	}
	w.done = append(w.done, f.a)
	current := f.a == w.d.Attempt
	refund := w.d.Finish(f.a, o)
	if !current && !o.Taken {
		w.done = w.done[:len(w.done)-1] // it says no more than what was reckoned with
	}
	again := w.d.Clone() // after an answer that was lost
	refundAgain := again.Finish(f.a, o)
	again.Older = w.d.Older // one that failed early may be there now: it is withdrawn in vain
	if fmt.Sprint(again) != fmt.Sprint(w.d) || len(refundAgain) > len(refund) {
		w.fail("an outcome recorded twice is not as good as once: %+v, %+v", again, w.d)
	}
	w.give(refund)
	if o.Arrived && w.arrived == 0 {
		w.arrived = w.d.Send
	}
	switch m := w.d.Next(w.challenge(), at(w.now)); {
	case m.Do == Wait && (f.held || f.lease > ticks(m.At)):
		w.wake(ticks(m.At))
	case m.Do == Send && (f.held || f.lease <= w.now):
		w.wake(w.now)
	}
}

// moves lists the worlds that may follow.
func (w *world) moves(async bool) (all []*world) {
	if w.now < expires { // on to the next time at which something changes
		n := w.child("time passes")
		n.now = expires
		for _, t := range append([]int{ticks(w.d.At)}, w.wakes...) {
			if t > w.now {
				n.now = min(n.now, t)
			}
		}
		for _, f := range w.flights {
			if f.lease > w.now {
				n.now = min(n.now, f.lease)
			}
		}
		all = append(all, n)
	}
	for i, tick := range w.wakes {
		if tick > w.now {
			break
		}
		n := w.child("wake-up %d", tick)
		n.wakes = slices.Delete(n.wakes, i, i+1)
		if m := n.d.Next(n.challenge(), at(n.now)); m.Do == Wait {
			n.wake(ticks(m.At))
		} else {
			n.claim(true)
		}
		all = append(all, n)
	}
	for i, f := range w.flights {
		for _, o := range w.outcomes(f) {
			n := w.child("%v ends: %+v", f.a, o)
			n.finish(i, o)
			all = append(all, n)
		}
		if w.deaths < 2 {
			n := w.child("%v dies", f.a)
			n.deaths++
			n.charges[f.charge].out = true
			n.outIn |= 1 << f.send
			n.flights = slices.Delete(n.flights, i, i+1)
			if len(f.routes) > 0 {
				n.posted = append(n.posted, fmt.Sprint(f.a.Step, f.routes[:1]))
			}
			if f.held {
				n.wake(n.now)
			}
			all = append(all, n)
		}
	}
	for i, p := range w.posted {
		if slices.Contains(w.posted[:i], p) {
			continue
		}
		step := int(p[0] - '0')
		for _, good := range []bool{true, false} {
			for _, prompt := range []bool{true, false} {
				n := w.child("receipt %s %v, prompt %v", p, good, prompt)
				send := n.d.Send
				n.give(n.d.Receive(Receipt{Step: step, Route: p[1:], Kind: 1, Arrived: good, Number: 1}))
				if good && n.arrived < send && n.d.Phase == Delivered {
					n.arrived = send
				}
				due := n.d.Next(n.challenge(), at(n.now)).Do == Send
				if prompt && due {
					n.wake(n.now)
				}
				if prompt || due {
					all = append(all, n)
				}
			}
		}
	}
	if w.open && w.now < expires {
		for _, proven := range []bool{true, false} {
			n := w.child("closed, proven %v", proven)
			n.open, n.proven = false, proven
			all = append(all, n)
		}
		if w.d.Sends < 3 && w.now < expires-1 {
			for _, route := range []string{"", "B"} {
				for _, prompt := range []bool{true, false} {
					n := w.child("resend %q, prompt %v", route, prompt)
					n.ask(async, prompt, func() { n.d.Resend(route, "", 0, at(n.now), charges(n.take())) })
					all = append(all, n)
				}
			}
		}
		if w.d.Phase == Refused && w.repeats < 1 {
			n := w.child("repeated Send")
			n.repeats++
			n.ask(async, true, func() {
				if n.d.Repeatable() {
					n.d.Repeat(charges(n.take()))
				}
			})
			all = append(all, n)
		}
	}
	return all
}

// ask is what a call does that asks for a message: a wake-up for the end of a
// lease, the event, and then a claim or a wake-up for now.
func (w *world) ask(async, prompt bool, event func()) {
	w.wake(w.now + lease)
	event()
	switch {
	case async && prompt:
		w.wake(w.now)
	case !async:
		w.claim(false)
	}
}

// every walks all worlds that can be reached in so many moves.
func every(depth int) (states, moves int, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case breach:
			err = fmt.Errorf("%s after\n%q", r.what, newest.path())
		default:
			panic(r)
		}
	}()
	for _, async := range []bool{true, false} {
		first := &world{open: true, wakes: []int{lease}, last: "created"}
		first.take()
		if async {
			first.d = New(at(0), time.Time{}, 0, charges(0))
		} else {
			first.d = New(at(0), at(lease), 0, charges(0))
			first.flights = []flight{{Attempt{1, 1}, 1, lease, false, "AB", 0, false}}
		}
		seen, layer := map[string]bool{}, []*world{first}
		for range depth {
			var next []*world
			for _, p := range layer {
				for _, n := range p.moves(async) {
					moves++
					k := n.key()
					if seen[k] {
						continue
					}
					seen[k] = true
					newest = n
					n.check()
					next = append(next, n)
				}
			}
			layer = next
		}
		states += len(seen)
	}
	return states, moves, nil
}

// TestEverySequence tries all sequences of so many moves, in both modes: time on to the next event, a
// wake-up, each outcome of a sender, its death, a receipt that is good or bad with its wake-up lost
// or not, a Resend by two routes likewise, a repeated Send, a challenge that is verified or cancelled.
// Every rule that fail is called for holds in each.
//
// Every run tries 6 moves, and 5 with -short. 8 moves take minutes:
//
//	OTPCOURIER_DEPTH=8 go test -run TestEverySequence -v -timeout 1h ./otp/internal/delivery
func TestEverySequence(t *testing.T) {
	t.Parallel()
	depth := 6
	if testing.Short() {
		depth = 5
	}
	if n, err := strconv.Atoi(os.Getenv("OTPCOURIER_DEPTH")); err == nil {
		depth = n
	}
	began := time.Now()
	states, moves, err := every(depth)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d moves, %d states at depth %d in %v", moves, states, depth, time.Since(began).Round(time.Millisecond))
}
