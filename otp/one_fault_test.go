package otp_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// A faultRig is one backend, and processes on it whose only faults are those of the test.
type faultRig struct {
	t     *testing.T
	w     *historyWorld
	calm  atomic.Bool
	await time.Duration
	waits []time.Duration
	procs []*historyProc
	does  map[string]historyProvider // by route; none: it takes the message
	tried map[string]int             // calls of a route
}

// oneFault runs f in virtual time.
func oneFault(t *testing.T, f func(t *testing.T, r *faultRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &faultRig{t: t, w: newHistoryWorld(historyMemory(), 1), does: map[string]historyProvider{},
			tried: map[string]int{}, waits: []time.Duration{30 * time.Second, 30 * time.Second}}
		r.calm.Store(true)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.w.run(ctx)
		}()
		f(t, r)
		stop()
		for _, p := range r.procs {
			p.kill()
		}
		<-done
	})
}

// proc starts a process. works: with a Work of its own.
func (r *faultRig) proc(mode func(*otp.Config), works bool) *historyProc {
	p := &historyProc{w: r.w, n: len(r.procs) + 1, calm: &r.calm}
	p.ctx, p.kill = context.WithCancel(context.Background())
	routes := newHistoryRoutes(p, r.await, func(route string) historyProvider {
		return func(ctx context.Context, m *channel.Message) historyHop { return r.provide(ctx, route, m) }
	})
	c := otp.Config{Channel: routes, Store: p, Keys: historyKeys, Receipts: &p.rc,
		Wording: wording.Config{Brand: "MyBank"}, Policy: otp.Policy{Waits: r.waits, SentWait: time.Second,
			PerRecipient: []otp.Rate{{Most: 50, Per: time.Hour}}, PerIP: []otp.Rate{{Most: 50, Per: time.Hour}}}}
	if mode != nil {
		mode(&c)
	}
	var err error
	if p.svc, err = otp.New(c); err != nil {
		r.t.Fatal(err)
	}
	r.procs = append(r.procs, p)
	if works {
		go func() { _ = p.svc.Work(p.ctx) }()
		synctest.Wait()
	}
	return p
}

func (r *faultRig) provide(ctx context.Context, route string, m *channel.Message) historyHop {
	r.w.mu.Lock()
	r.tried[route]++
	does := r.does[route]
	r.w.mu.Unlock()
	if does != nil {
		return does(ctx, m)
	}
	step, _, _ := strings.Cut(m.ID[strings.IndexByte(m.ID, '.'):], "-")
	return taken(route + step)
}

// pass lets time pass, and what is done by then is seen by the test.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// The modes of a Service.
func inCall(*otp.Config)       {}
func async(c *otp.Config)      { c.Async = true }
func takeover(c *otp.Config)   { c.Takeover = 20 * time.Second }
func asyncTaken(c *otp.Config) { c.Async, c.Takeover = true, 20*time.Second }

var faultModes = []struct {
	name string
	set  func(*otp.Config)
}{{"in the call", inCall}, {"async", async}, {"takeover", takeover}, {"async with takeover", asyncTaken}}

var faultPerson = channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}

func (r *faultRig) send(p *historyProc) (*otp.Challenge, error) {
	return r.sendWith(context.Background(), p)
}

func (r *faultRig) sendWith(ctx context.Context, p *historyProc) (*otp.Challenge, error) {
	return p.svc.Send(ctx, otp.Request{Subject: "ann", To: faultPerson, IdempotencyKey: "tap"})
}

// sent is send for a test that needs it to succeed.
func (r *faultRig) sent(p *historyProc) *otp.Challenge {
	r.t.Helper()
	c, err := r.send(p)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *faultRig) resend(p *historyProc, c *otp.Challenge, route string) (*otp.Challenge, error) {
	return p.svc.Resend(context.Background(), otp.ResendRequest{ID: c.ID, Subject: "ann", Route: route})
}

// receipt hands the receipt of a message that route took as step to a process.
func (r *faultRig) receipt(p *historyProc, route string, step int, s channel.State) {
	r.t.Helper()
	rc := channel.Receipt{ProviderID: fmt.Sprintf("%s.%d", route, step), State: s}
	err := p.rc.For(route)(context.Background(), rc)
	if err != nil {
		r.t.Error(err)
	}
}

// record returns the only challenge.
func (r *faultRig) record() *historyRecord {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	for _, n := range r.w.records {
		return n
	}
	return nil
}

func (r *faultRig) phase() delivery.Phase { return r.record().delivery.Phase }

// counted returns how many messages count against an address's limit.
func (r *faultRig) counted(kind channel.Address) int {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.w.counted(r.procs[0].svc.HistoryLimitKey(kind.String(), faultPerson.Of(kind), time.Hour))
}

// want holds how often the routes were tried.
func (r *faultRig) want(a, b, c int) {
	r.t.Helper()
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.tried["A"] != a || r.tried["B"] != b || r.tried["C"] != c {
		r.t.Errorf("A, B and C were tried %d, %d and %d times, want %d, %d and %d\n%s",
			r.tried["A"], r.tried["B"], r.tried["C"], a, b, c, r.w.trace())
	}
}

// wantCounted holds how many messages count against the phone's limit.
func (r *faultRig) wantCounted(n int) {
	r.t.Helper()
	if got := r.counted(channel.Phone); got != n {
		r.t.Errorf("%d messages are counted, want %d", got, n)
	}
}

// once returns a hook that fails the next call of a name.
func once(call string) historyHook {
	var done atomic.Bool
	return func(c string) error {
		if c == call && done.CompareAndSwap(false, true) {
			return errHistoryFault
		}
		return nil
	}
}

// dies ends the process p at the n-th call from now on, after it was done. It returns a function that
// tells which call that was.
func (p *historyProc) dies(n int32) (last func() string) {
	var calls atomic.Int32
	var name atomic.Value
	name.Store("")
	p.afterCalls(func(call string) error {
		if calls.Add(1) == n {
			name.Store(call)
			p.dead.Store(true)
			p.kill()
			runtime.Goexit()
		}
		return nil
	})
	return func() string { return name.Load().(string) }
}

func (r *faultRig) recalled() []string {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return slices.Clone(r.w.recalls)
}
