package otp_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	name string
	hook func(m *channel.Message, id string) // runs before Send returns

	mu   sync.Mutex
	got  []*channel.Message
	errs []error
}

func (p *provider) Send(_ context.Context, m *channel.Message) (channel.Submission, error) {
	p.mu.Lock()
	p.got = append(p.got, m)
	id := fmt.Sprintf("%s-%d", p.name, len(p.got))
	var err error
	if len(p.errs) > 0 {
		err, p.errs = p.errs[0], p.errs[1:]
	}
	p.mu.Unlock()
	if err != nil {
		return channel.Submission{}, err
	}
	if p.hook != nil {
		p.hook(m, id)
	}
	return channel.Submission{ProviderIDs: []string{id}}, nil
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

// another is a second process: a Service with the same configuration.
func (r *rig) another(t testing.TB) *otp.Service {
	t.Helper()
	s, err := otp.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
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

// broken is a store that is down.
type broken struct{ store.Store }

var errDown = errors.New("connection refused")

func (broken) Create(context.Context, *store.Record, time.Time) error { return errDown }
func (broken) Attempt(context.Context, string, time.Time) (*store.Record, error) {
	return nil, errDown
}
func (broken) Get(context.Context, string, time.Time) (*store.Record, error) { return nil, errDown }
