package otp_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A historyBackend is what the processes of a history share.
type historyBackend struct {
	store.Store
	store.Limiter
	store.Tracker
	store.Queue
}

// historyMemory returns a backend in memory. Its queue keeps to the clock of the
// bubble that it is made in.
func historyMemory() historyBackend {
	m := memstore.New(memstore.Config{})
	return historyBackend{m, m, m, m}
}

// A historyWrite is a change of a record's delivery, as the store saw it.
type historyWrite struct {
	i             int // of the event
	at            time.Time
	proc          int
	before, after delivery.Delivery
	closed        bool
}

// A historyCall is one call of a process's failover.
type historyCall struct {
	challenge  string // the store's ID
	step, proc int
	begin, end int // events
	at, ended  time.Time
	sent       channel.Address // kinds of address to which a message really went out
	dates      []time.Time     // when a provider was called
	resultless bool            // it has not returned, or its process died
	sub        channel.Submission
	err        error
}

// may returns how many messages may have gone out to an address of a kind, as far
// as the Service can know.
func (c *historyCall) may(kind channel.Address) (n int) {
	for _, h := range c.sub.Hops {
		if h.MaySent() && h.Address == kind {
			n++
		}
	}
	return n
}

// A historyRecord is one challenge, and what happened to it.
type historyRecord struct {
	store.Record
	delivery delivery.Delivery
	writes   []historyWrite
	attempts map[store.Token]bool // charged
	outcome  store.Outcome
}

// A historyWorld is the truth about all that the processes of a history did.
type historyWorld struct {
	backend historyBackend

	mu      sync.Mutex
	seed    uint64
	throws  map[string]uint64 // of dice, by what they are for
	n       int               // events so far
	records map[string]*historyRecord
	calls   []*historyCall
	taken   map[string]map[time.Time]int // by key of a limit, and time of the taking
	codes   map[string][]string          // that a channel was given, by the store's ID
	log     []string
	trips   []string // calls to the backend
	recalls []string // messages that were withdrawn: step "/" route
	workers []historyWorker
}

// A historyWorker is a process that runs Work.
type historyWorker struct {
	p      *historyProc
	handle store.Handler
}

// run hands the jobs of the backend to the processes that work, until ctx ends.
func (w *historyWorld) run(ctx context.Context) {
	_ = w.backend.Run(ctx, 8, func(ctx context.Context, j store.Job) (time.Time, error) {
		dice := w.dice("job", j.Challenge)
		w.mu.Lock()
		alive := slices.DeleteFunc(slices.Clone(w.workers), func(o historyWorker) bool { return o.p.ctx.Err() != nil })
		w.mu.Unlock()
		slices.SortFunc(alive, func(a, b historyWorker) int { return a.p.n - b.p.n })
		if len(alive) == 0 {
			return time.Now().Add(time.Second), nil
		}
		o := alive[dice.IntN(len(alive))]
		again, err := o.handle(ctx, j)
		if fault := o.p.edge(ctx, o.p.faults.after, "Run", j.Challenge); fault != nil { // like an answer that is lost
			return time.Time{}, fault
		}
		return o.p.clock(again), err
	})
}

func newHistoryWorld(b historyBackend, seed uint64) *historyWorld {
	return &historyWorld{backend: b, seed: seed, throws: map[string]uint64{}, records: map[string]*historyRecord{},
		taken: map[string]map[time.Time]int{}, codes: map[string][]string{}}
}

// note logs an event, and returns its number. The world is locked.
func (w *historyWorld) note(format string, args ...any) int {
	w.n++
	w.log = append(w.log, fmt.Sprintf("%4d %s ", w.n, clock(time.Now()))+fmt.Sprintf(format, args...))
	return w.n
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("04:05.000")
}

func (w *historyWorld) trace() string { return strings.Join(w.log, "\n") }

// created notes a Create that succeeded. A repeat changes nothing.
func (w *historyWorld) created(p *historyProc, r *store.Record) {
	if old := w.records[r.ID]; old != nil && bytes.Equal(old.Salt, r.Salt) {
		return
	}
	n := &historyRecord{Record: *r, attempts: map[store.Token]bool{}}
	w.records[r.ID] = n
	w.wrote(p, n, r, "Create")
}

// wrote notes a delivery that a record has now.
func (w *historyWorld) wrote(p *historyProc, n *historyRecord, r *store.Record, call string) {
	d, err := p.svc.HistoryDelivery(r)
	if err != nil {
		panic(err)
	}
	i := w.note("p%d %s %.7s %v %v, at %s, send %d of %d, doubt %v, out %v, %v, charges %d", p.n, call, r.ID,
		d.Attempt, d.Phase, clock(d.At), d.Send, d.Sends, d.Doubt, d.Out, d.State, len(d.Charges))
	closed := r.Outcome != store.Open
	n.writes = append(n.writes, historyWrite{i, time.Now(), p.n, n.delivery.Clone(), d.Clone(), closed})
	n.delivery = *d
	n.Revision = r.Revision
}

// took and gave keep the limits by the contract of a Limiter.
func (w *historyWorld) took(now time.Time, limits []store.Limit) {
	for _, l := range limits {
		if w.taken[l.Key] == nil {
			w.taken[l.Key] = map[time.Time]int{}
		}
		w.taken[l.Key][now.UTC()]++
	}
}

func (w *historyWorld) gave(taken time.Time, limits []store.Limit) {
	for _, l := range limits {
		if at := w.taken[l.Key]; at[taken.UTC()] > 0 {
			at[taken.UTC()]--
		}
	}
}

// counted returns how many takings a limit has.
func (w *historyWorld) counted(key string) (n int) {
	for _, m := range w.taken[key] {
		n += m
	}
	return n
}

// cancelled notes a CancelAll.
func (w *historyWorld) cancelled(subject, group string, now time.Time) {
	for _, r := range w.records {
		meant := r.Subject == subject && (group == "" || group == r.Group)
		if meant && r.outcome == store.Open && r.Created.Before(now) {
			r.outcome = store.Cancelled
		}
	}
}

// dice returns a source of randomness for one occasion. What it gives depends on the seed,
// on what it is for, and on how often it was asked for that, and not on the order in which
// goroutines run at the same instant.
func (w *historyWorld) dice(what ...any) *historyDice {
	h := fnv.New64a()
	key := fmt.Sprintln(what...)
	_, _ = h.Write([]byte(key))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.throws[key]++
	return &historyDice{rand.New(rand.NewPCG(w.seed, h.Sum64()+w.throws[key]))}
}

// A historyDice is for one goroutine.
type historyDice struct{ *rand.Rand }

// within returns 0 to d.
func (d *historyDice) within(most time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(most) + 1))
}

// codesOf returns the codes that channels were given for a challenge.
func (w *historyWorld) codesOf(id string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.codes[id])
}
