package otp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// provider is a route's far end: it answers with the next of errs, and with
// ids made of its name.
type provider struct {
	name   string
	hook   func(m *channel.Message, id string) // runs before Send returns
	before func()                              // runs before Send answers, an error too

	mu   sync.Mutex
	got  []*channel.Message
	at   []time.Time // when each of got came
	errs []error
}

func (p *provider) Send(_ context.Context, m *channel.Message) (channel.Submission, error) {
	p.mu.Lock()
	p.got, p.at = append(p.got, m), append(p.at, time.Now())
	id := fmt.Sprintf("%s-%d", p.name, len(p.got))
	var err error
	if len(p.errs) > 0 {
		err, p.errs = p.errs[0], p.errs[1:]
	}
	p.mu.Unlock()
	if p.before != nil {
		p.before()
	}
	if err != nil {
		return channel.Submission{}, err
	}
	if p.hook != nil {
		p.hook(m, id)
	}
	return channel.Submission{ProviderIDs: []string{id}}, nil
}

// fail makes the next calls fail with errs.
func (p *provider) fail(errs ...error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = errs
}

func (p *provider) messages() []*channel.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*channel.Message(nil), p.got...)
}

func (p *provider) count() int { return len(p.messages()) }

func refusal(c channel.Class, code string) error {
	return &channel.Error{Class: c, Op: "test: send", Code: code}
}

// rig is a Service with two SMS routes and one for e-mail.
type rig struct {
	*otp.Service
	a, b, mail *provider
	store      backend
	receipts   *channel.Receipts
	cfg        otp.Config

	mu     sync.Mutex
	events []otp.Event

	sending atomic.Pointer[faulty] // the process that sends, of those that process has made
}

var both = channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}

// newRig applies change to a Config that works.
func newRig(t testing.TB, change func(*otp.Config)) *rig {
	t.Helper()
	r := &rig{a: &provider{name: "a"}, b: &provider{name: "b"}, mail: &provider{name: "mail"},
		store: newStore(t), receipts: &channel.Receipts{}}
	r.cfg = otp.Config{
		Channel:  r.failover(t, 0),
		Store:    r.store,
		Keys:     otp.NewKeyring(),
		Wording:  wording.Config{Brand: "MyBank"},
		Receipts: r.receipts,
		Events: func(_ context.Context, e otp.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
	}
	if change != nil {
		change(&r.cfg)
	}
	r.Service = r.another(t)
	return r
}

// backend is where a Service keeps everything.
type backend interface {
	store.Store
	store.Limiter
	store.Tracker
	store.Queue
	store.Inspector
}

func (r *rig) failover(t testing.TB, await time.Duration) channel.Channel {
	t.Helper()
	f, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "A", Channel: r.a, Address: channel.Phone, Await: await},
		channel.Route{Name: "B", Channel: r.b, Address: channel.Phone, Await: await},
		channel.Route{Name: "M", Channel: r.mail, Address: channel.Email, Await: await},
	)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// another is a second process: a Service with the same configuration, and
// Receipts of its own, which r.receipts is from then on.
func (r *rig) another(t testing.TB) *otp.Service {
	t.Helper()
	if r.cfg.Receipts != nil {
		r.receipts = &channel.Receipts{}
		r.cfg.Receipts = r.receipts
	}
	cfg := r.cfg
	if f, ok := cfg.Store.(*faulty); ok && f.opens {
		cfg.Store = opener{f}
	}
	s, err := otp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// process is another that may die on its own: see rig.dies.
func (r *rig) process(t testing.TB) (*otp.Service, *faulty) {
	t.Helper()
	before := r.cfg
	defer func() { r.cfg = before }()
	f := &faulty{backend: r.store}
	r.cfg.Store = f
	r.cfg.Channel = channelOf{channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		r.sending.Store(f)
		return before.Channel.Send(ctx, m)
	}), before.Channel}
	return r.another(t), f
}

// dies makes the process that sends p's first message die before it is told the
// outcome.
func (r *rig) dies(p *provider) {
	p.hook = func(*channel.Message, string) {
		if p.count() == 1 {
			r.sending.Load().die()
		}
	}
}

// apart runs what may end its goroutine.
func apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *rig) send(t testing.TB, q otp.Request) *otp.Challenge {
	t.Helper()
	if q.Subject == "" {
		q.Subject = "u1"
	}
	if q.To == (channel.Recipient{}) {
		q.To = both
	}
	c, err := r.Send(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ref names a challenge of the subject that send asks for.
func ref(id string) otp.Ref { return otp.Ref{ID: id, Subject: "u1"} }

// noID is an ID that was never issued.
var noID = strings.Repeat("a", 26)

// verify returns the error of a Verify.
func verify(ctx context.Context, s verifier, v otp.Verification) error {
	_, err := s.Verify(ctx, v)
	return err
}

type verifier interface {
	Verify(context.Context, otp.Verification) (*otp.Challenge, error)
}

// verify passes the first message's code of the challenge of u1.
func (r *rig) verify(t *testing.T, id string) {
	t.Helper()
	if err := verify(t.Context(), r, otp.Verification{ID: id, Subject: "u1",
		Code: r.a.messages()[0].Code}); err != nil {
		t.Error(err)
	}
}

func (r *rig) cancel(t *testing.T, id string) {
	t.Helper()
	if err := r.Cancel(t.Context(), ref(id)); err != nil {
		t.Error(err)
	}
}

// status returns the challenge of u1.
func (r *rig) status(t testing.TB, id string) *otp.Challenge {
	t.Helper()
	c, err := r.Status(t.Context(), ref(id))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// total counts the messages that the providers were given.
func (r *rig) total() int { return r.a.count() + r.b.count() + r.mail.count() }

// sent returns what each provider was given.
func (r *rig) sent() [3]int { return [3]int{r.a.count(), r.b.count(), r.mail.count()} }

// another6 returns six digits that are not code.
func another6(code string) string {
	if code == "000000" {
		return "111111"
	}
	return "000000"
}

func handle(t *testing.T, s *otp.Service, rc channel.Receipt) {
	t.Helper()
	if err := s.HandleReceipt(t.Context(), rc); err != nil {
		t.Error(err)
	}
}

// work runs s.Work until stop is called, or the test ends.
func work(t *testing.T, s *otp.Service) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Work(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Work ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// kinds returns the events so far, and forgets them.
func (r *rig) kinds() []otp.EventKind {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []otp.EventKind
	for _, e := range r.events {
		kinds = append(kinds, e.Kind)
	}
	r.events = nil
	return kinds
}

func (r *rig) last() otp.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

// wantReason fails unless err is an *otp.Error of reason that matches sentinel.
func wantReason(t testing.TB, err error, reason otp.Reason, sentinel error) *otp.Error {
	t.Helper()
	var e *otp.Error
	if !errors.As(err, &e) || e.Reason != reason || !errors.Is(err, sentinel) {
		t.Fatalf("error is %v (reason %q), want %q of %q", err, otp.ReasonOf(err), reason, sentinel)
	}
	return e
}
