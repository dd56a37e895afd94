package otp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// A historyPlan is what one history is like, drawn from its seed.
type historyPlan struct {
	async    bool
	takeover time.Duration
	await    time.Duration
	skew     time.Duration // the most that a process's clock is off
	life     time.Duration
	waits    []time.Duration
	newCode  bool
	most     int // messages to an address
	guesses  int // MaxAttempts
	procs    int
	people   int
	span     time.Duration // in which people act, and things fail
	faults   historyFaults
}

func (pl historyPlan) String() string { // in one line
	return fmt.Sprintf("async %v, takeover %v, await %v, skew %v, life %v, waits %v, new code %v, most %d, "+
		"guesses %d, procs %d, people %d, span %v, faults %+v", pl.async, pl.takeover, pl.await, pl.skew, pl.life,
		pl.waits, pl.newCode, pl.most, pl.guesses, pl.procs, pl.people, pl.span, pl.faults)
}

func drawHistory(rng *rand.Rand) historyPlan {
	span := func(from, to time.Duration) time.Duration {
		return from + time.Duration(rng.Int64N(int64(to-from)+1))
	}
	pl := historyPlan{async: rng.IntN(2) == 0, life: 4 * time.Minute, procs: 2 + rng.IntN(2), span: 80 * time.Second,
		most: 2 + rng.IntN(6), guesses: 1 + rng.IntN(4), people: 1 + rng.IntN(3), newCode: rng.IntN(3) == 0}
	if rng.IntN(3) > 0 {
		pl.takeover = span(12*time.Second, 20*time.Second)
	}
	if rng.IntN(3) > 0 {
		pl.await = span(3*time.Second, 30*time.Second)
	}
	if rng.IntN(2) == 0 {
		pl.skew = 2 * time.Second
	}
	for range 2 {
		pl.waits = append(pl.waits, span(time.Second, 25*time.Second))
	}
	pl.faults.latency = span(0, 500*time.Millisecond)
	if rng.IntN(5) > 0 {
		pl.faults.before, pl.faults.after = rng.Float64()*0.05, rng.Float64()*0.05
	}
	if rng.IntN(3) > 0 {
		pl.faults.die = rng.Float64() * 0.012
	}
	return pl
}

// A historySend is what a person knows of a challenge.
type historySend struct {
	subject  string
	to       channel.Recipient
	id       string // public
	verified map[string]bool
	dice     *historyDice
	made     int       // calls
	acked    time.Time // of the latest Send or Resend that succeeded
	arrived  bool      // a Delivered was acknowledged
}

// A history is what people and providers do to several processes for a while.
type history struct {
	pl     historyPlan
	w      *historyWorld
	keys   otp.Keyring
	calm   atomic.Bool
	over   atomic.Bool
	mu     sync.Mutex
	procs  []*historyProc
	people []*historySend
	all    sync.WaitGroup
	wrong  []string // what people saw that must not be
	broken []string // the rules that were broken
}

// start starts a process.
func (h *history) start() *historyProc {
	p := &historyProc{w: h.w, faults: h.pl.faults, calm: &h.calm}
	if h.pl.skew > 0 {
		p.ahead = (h.w.dice("clock").within(2*h.pl.skew) - h.pl.skew).Truncate(time.Millisecond)
	}
	p.ctx, p.kill = context.WithCancel(context.Background())
	routes := newHistoryRoutes(p, h.pl.await, func(route string) historyProvider {
		return func(ctx context.Context, m *channel.Message) historyHop { return h.provide(ctx, p, route, m) }
	})
	var err error
	policy := otp.Policy{Life: h.pl.life, Waits: h.pl.waits, SentWait: h.pl.waits[0] * 4 / 3, MaxAttempts: h.pl.guesses,
		MaxFailures: 100, NewCode: h.pl.newCode, PerRecipient: []otp.Rate{{Most: h.pl.most, Per: time.Hour}},
		PerIP: []otp.Rate{{Most: 100, Per: time.Hour}}}
	var s store.Store = p
	if h.w.dice("opener").IntN(2) == 0 {
		s = historyOpener{p}
	}
	p.svc, err = otp.New(otp.Config{Channel: routes, Store: s, Keys: h.keys, Receipts: &p.rc, Async: h.pl.async,
		Takeover: h.pl.takeover, Wording: wording.Config{Brand: "MyBank"}, Policy: policy})
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	p.n = len(h.procs) + 1
	h.procs = append(h.procs, p)
	h.mu.Unlock()
	h.all.Go(func() { _ = p.svc.Work(p.ctx) })
	return p
}

// pick returns a process that lives.
func (h *history) pick(dice *historyDice) *historyProc {
	h.mu.Lock()
	var alive []*historyProc
	for _, p := range h.procs {
		if !p.dead.Load() {
			alive = append(alive, p)
		}
	}
	h.mu.Unlock()
	if len(alive) < h.pl.procs && !h.over.Load() {
		return h.start()
	}
	return alive[dice.IntN(len(alive))]
}

// in runs f within a process, that may die of it.
func (h *history) in(dice *historyDice, f func(ctx context.Context, p *historyProc)) {
	p := h.pick(dice)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(p.ctx, p)
	}()
	<-done
}

// provide is what the providers do.
func (h *history) provide(ctx context.Context, p *historyProc, route string, m *channel.Message) historyHop {
	step, _, _ := strings.Cut(m.ID, "-") // what is behind it is drawn by the Service
	dice := h.w.dice("provider", route, step)
	if d := dice.within(2 * time.Second); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return lost(false)
		}
	}
	x := dice.IntN(100)
	if h.calm.Load() {
		x = x * 2 / 3
	}
	m.Text, m.Tried = "changed", nil
	id := fmt.Sprintf("%s%x", route, dice.Uint32())
	switch {
	case x < 44:
		h.receipts(p, route, id, m)
		hop := taken(id)
		hop.dies = dice.Float64() < p.faults.die && !h.calm.Load()
		return hop
	case x < 50: // in two parts
		second := fmt.Sprintf("%s%x", route, dice.Uint32())
		h.receipts(p, route, id, nil)
		h.receipts(p, route, second, nil)
		return taken(id, second)
	case x < 52:
		return historyHop{sent: true, ids: []string{id}, state: channel.Delivered}
	case x < 57:
		return busyFor(dice.within(4 * time.Second))
	case x < 60:
		return refused(channel.Throttled)
	case x < 68:
		return refused(channel.Unreachable)
	case x < 72:
		return refused([]channel.Class{channel.InvalidRecipient, channel.Misconfigured}[x%2])
	case x < 80: // it was sent, and the answer lost
		h.receipts(p, route, id, m)
		return lost(true)
	case x < 85:
		return odd(x % 3)
	case x < 90:
		return hang(ctx)
	case x < 92: // and is deaf to its context
		<-ctx.Done()
		time.Sleep(dice.within(10 * time.Second))
		return taken(id)
	}
	return taken(id) // and no receipt ever comes
}

// receipts come early or late, twice, in a bad order, or not. m, unless nil, is a message
// whose ID a provider may echo.
func (h *history) receipts(from *historyProc, route, id string, m *channel.Message) {
	dice := h.w.dice("receipts", id)
	rc := channel.Receipt{ProviderID: id, State: channel.Failed}
	if dice.IntN(10) < 4 {
		rc.State = channel.Delivered
	}
	if m != nil && dice.IntN(4) == 0 {
		rc.MessageID = m.ID
	}
	for range []int{0, 1, 1, 1, 2, 2}[dice.IntN(6)] {
		if dice.IntN(8) == 0 {
			rc.State = channel.Failed + channel.Delivered - rc.State
		}
		if rc.Class = channel.Unreachable; dice.IntN(6) == 0 {
			rc.Class = channel.InvalidRecipient
		}
		rc, late := rc, dice.within(40*time.Second)
		if dice.IntN(4) == 0 {
			late = 0
		}
		h.all.Go(func() {
			time.Sleep(late)
			h.insist(from, route, rc, h.w.dice("receipt", id))
		})
	}
}

// insist hands a receipt to some process until it is acknowledged, as providers do.
func (h *history) insist(from *historyProc, route string, rc channel.Receipt, dice *historyDice) {
	for range 30 {
		if h.over.Load() {
			return
		}
		ok := false
		h.in(dice, func(ctx context.Context, p *historyProc) { ok = p.rc.For(route)(ctx, rc) == nil })
		if ok {
			if public, _, _ := strings.Cut(rc.MessageID, "."); rc.State == channel.Delivered && rc.MessageID != "" {
				h.mu.Lock()
				for _, s := range h.people {
					if from.svc.HistoryID(public) == from.svc.HistoryID(s.id) {
						s.arrived = true
					}
				}
				h.mu.Unlock()
			}
			return
		}
		time.Sleep(time.Second + dice.within(2*time.Second))
	}
}

// person asks for a code, and does about it what people do.
func (h *history) person(s *historySend) {
	time.Sleep(s.dice.within(h.pl.span / 2))
	var taps sync.WaitGroup
	for range s.dice.IntN(2) { // a double tap
		taps.Go(func() {
			dice := h.w.dice("tap", s.subject)
			time.Sleep(time.Millisecond + dice.within(time.Second))
			h.ask(s, 30*time.Second, dice)
		})
	}
	for range 5 {
		if h.ask(s, 2*time.Second+s.dice.within(30*time.Second), s.dice) {
			break
		}
		time.Sleep(s.dice.within(5 * time.Second))
	}
	taps.Wait()
	for range s.dice.IntN(5) {
		time.Sleep(s.dice.within(25 * time.Second))
		if s.public(h) == "" {
			continue
		}
		switch s.dice.IntN(24) {
		case 0, 1, 2, 3:
			h.guess(s)
		case 4:
			h.in(s.dice, func(ctx context.Context, p *historyProc) {
				_ = p.svc.Cancel(ctx, otp.Ref{ID: s.public(h), Subject: s.subject})
			})
		case 5:
			h.in(s.dice, func(ctx context.Context, p *historyProc) {
				_ = p.svc.CancelAll(ctx, otp.Scope{Subject: s.subject})
			})
		default:
			h.again(s)
		}
	}
}

// calls numbers the person's calls.
func (s *historySend) calls() int {
	s.made++
	return s.made
}

func (s *historySend) public(h *history) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.id
}

// answered notes what a Send or a Resend returned.
func (h *history) answered(s *historySend, c *otp.Challenge, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c != nil {
		s.id = c.ID
	}
	if c == nil || err != nil {
		return false
	}
	s.acked = time.Now()
	return true
}

func (h *history) ask(s *historySend, patience time.Duration, dice *historyDice) (good bool) {
	h.in(dice, func(ctx context.Context, p *historyProc) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		c, err := p.svc.Send(ctx, otp.Request{Subject: s.subject, To: s.to, Purpose: "login", IdempotencyKey: "tap",
			IP: netip.MustParseAddr("192.0.2.7")})
		good = h.answered(s, c, err)
	})
	return good
}

// again asks for a Resend, and repeats the call if its answer is lost.
func (h *history) again(s *historySend) {
	q := otp.ResendRequest{ID: s.public(h), Subject: s.subject, Route: []string{"", "", "B", "C"}[s.dice.IntN(4)],
		IdempotencyKey: fmt.Sprint("again", s.calls())}
	for range 1 + s.dice.IntN(3) {
		lost := false
		h.in(s.dice, func(ctx context.Context, p *historyProc) {
			c, err := p.svc.Resend(ctx, q)
			h.answered(s, c, err)
			lost = errors.Is(err, otp.ErrUnavailable)
		})
		if !lost {
			return
		}
	}
}

// guess types codes: the right one, or a wrong one, several at the same time, and each
// again if its answer is lost.
func (h *history) guess(s *historySend) {
	var all sync.WaitGroup
	defer all.Wait()
	for range 1 + s.dice.IntN(4) {
		id := s.public(h)
		typed, right := "000000", false
		if codes := h.w.codesOf(h.record(id)); len(codes) > 0 && s.dice.IntN(2) == 0 {
			typed, right = codes[s.dice.IntN(len(codes))], true
		} else if len(codes) > 0 && codes[0] == typed {
			typed = "000001"
		}
		v := otp.Verification{ID: id, Subject: s.subject, Purpose: "login", Code: typed}
		if s.dice.IntN(2) == 0 {
			v.IdempotencyKey = fmt.Sprint("guess", s.calls())
		}
		name := fmt.Sprint(s.subject, "call", s.calls())
		all.Go(func() {
			dice := h.w.dice(name)
			for range 1 + dice.IntN(3) {
				unsure := true
				h.in(dice, func(ctx context.Context, p *historyProc) {
					_, err := p.svc.Verify(ctx, v)
					unsure = errors.Is(err, otp.ErrUnavailable)
					h.verified(s, name, v, right, err)
				})
				if !unsure || v.IdempotencyKey == "" {
					return
				}
			}
		})
	}
}

// record returns the store's form of a public ID.
func (h *history) record(public string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.procs[0].svc.HistoryID(public)
}

// verified notes what a Verify returned.
func (h *history) verified(s *historySend, name string, v otp.Verification, right bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch reason := otp.ReasonOf(err); {
	case err == nil && !right:
		h.wrong = append(h.wrong, s.subject+": a wrong code was verified")
	case err == nil:
		s.verified[name] = true
	case right && (reason == otp.ReasonWrong || reason == otp.ReasonMalformed || reason == otp.ReasonNotFound):
		h.wrong = append(h.wrong, fmt.Sprintf("%s: the right code %s is %v", s.subject, v.Code, reason))
	}
}

// historyKeys are the same in every run, so that a seed tells what happens.
var historyKeys = otp.Keyring{Current: "k", Keys: map[string][]byte{"k": []byte("the key that makes the codes ...")},
	Index: []byte("the key that makes the hashes ..")}

// playHistory plays the history of a seed, and holds it against the rules. It is in a
// bubble of its own.
func playHistory(seed uint64, backend historyBackend) *history {
	h := &history{pl: drawHistory(rand.New(rand.NewPCG(seed, 7))), keys: historyKeys, w: newHistoryWorld(backend, seed)}
	ctx, stop := context.WithCancel(context.Background())
	h.all.Go(func() { h.w.run(ctx) })
	for range h.pl.procs {
		h.start()
	}
	for n := range h.pl.people {
		s := &historySend{subject: fmt.Sprint("u", n), verified: map[string]bool{},
			to: channel.Recipient{Phone: fmt.Sprintf("+4479123456%02d", n), Email: fmt.Sprintf("p%d@example.com", n)}}
		if s.dice = h.w.dice("person", n); s.dice.IntN(4) == 0 {
			s.to.Email = ""
		}
		h.people = append(h.people, s)
	}
	for _, s := range h.people {
		h.all.Go(func() { h.person(s) })
	}
	time.Sleep(h.pl.span)
	h.calm.Store(true)
	h.pick(h.w.dice("last"))
	time.Sleep(2*h.pl.life + 2*time.Minute)
	h.over.Store(true)
	stop()
	for _, p := range h.procs {
		p.kill()
	}
	h.all.Wait()
	h.check()
	return h
}
