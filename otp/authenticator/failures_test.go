package authenticator_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// both is a Service of codes that are sent and one of authenticators, of one program.
type both struct {
	*rig
	sent   *otp.Service
	mu     sync.Mutex
	code   string
	events []otp.Event
}

// backend is a store of both.
type backend interface {
	store.Store
	store.Credentials
}

func newBoth(t *testing.T, s backend, edit ...func(*authenticator.Config)) *both {
	t.Helper()
	b := &both{}
	b.rig = newRig(t, func(c *authenticator.Config) {
		c.Store, c.Failures = s, s
		for _, f := range edit {
			f(c)
		}
	})
	var err error
	b.sent, err = otp.New(otp.Config{Store: s, Keys: b.cfg.Keys, Application: b.cfg.Application,
		Wording: wording.Config{Brand: "Acme"}, Policy: otp.Policy{PerRecipient: []otp.Rate{}, MaxAttempts: 10},
		Channel: channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.code = m.Code
			return channel.Submission{State: channel.Sent}, nil
		}),
		Events: func(_ context.Context, e otp.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send sends a code to the subject, and returns a Verify of it.
func (b *both) send(t *testing.T, subject string) func(right bool) error {
	t.Helper()
	c, err := b.sent.Send(t.Context(), otp.Request{Subject: subject, To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		t.Fatal(err)
	}
	code := b.code
	return func(right bool) error {
		typed := code
		if !right {
			typed = "000000"
			if code == typed {
				typed = "111111"
			}
		}
		_, err := b.sent.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: subject, Code: typed})
		return err
	}
}

// oneLock shows that failures of either service count in one run.
func oneLock(t *testing.T, b *both) {
	ctx := t.Context()
	d := b.app("ann")
	verify := b.send(t, "ann")
	for range 6 {
		b.wants("a wrong code that was sent", verify(false), otp.ReasonWrong)
	}
	for i := range 4 {
		_, err := b.Verify(ctx, "ann", d.wrong())
		b.wants("a wrong code of the app", err, otp.ReasonWrong)
		var e *otp.Error
		if errors.As(err, &e) && (i == 3) != (e.RetryAfter > 29*time.Minute && e.AttemptsLeft == 0) {
			t.Errorf("failure %d: %+v", 7+i, e)
		}
	}
	b.verify("ann", "the app, locked by both", d.off(1), otp.ReasonLocked)
	b.wants("the code that was sent", verify(true), otp.ReasonLocked)

	d = b.app("bob")
	verify = b.send(t, "bob")
	for range 9 {
		_, err := b.Verify(ctx, "bob", d.wrong())
		b.wants("a wrong code of the app", err, otp.ReasonWrong)
	}
	b.verify("bob", "replays do not count", d.used, otp.ReasonClosed)
	b.verify("bob", "a right code of the app ends the run", d.off(1), "ok")
	for range 9 {
		b.wants("a wrong code that was sent", verify(false), otp.ReasonWrong)
	}
	b.wants("a right code that was sent", verify(true), "ok")
	for range 9 {
		_, err := b.Verify(ctx, "bob", d.wrong())
		b.wants("a wrong code of the app after it", err, otp.ReasonWrong)
	}

	d = b.app("cid")
	verify = b.send(t, "cid")
	for range 10 {
		b.wants("a wrong code that was sent", verify(false), otp.ReasonWrong)
	}
	b.verify("cid", "the app, locked by codes that were sent", d.off(1), otp.ReasonLocked)
	if s := b.status("cid"); s.Failures != 0 {
		t.Errorf("%+v: a refused code counts", s)
	}
}

func TestOneLock(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) { oneLock(t, newBoth(t, memstore.New(memstore.Config{}))) })
}

func TestRealRedisOneLock(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { client.Close() })
	s, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	oneLock(t, newBoth(t, s))
}

// TestOneLockParallel: parallel right codes end the run, parallel wrong ones of both
// services are compared ten times at most.
func TestOneLockParallel(t *testing.T) {
	t.Parallel()
	b := newBoth(t, memstore.New(memstore.Config{}))
	d := b.app("ann")
	for range 9 {
		b.Verify(t.Context(), "ann", d.wrong())
	}
	code := d.off(1)
	outcomes := parallel(t, b.Service, "ann", func(int) string { return code })
	if outcomes["ok"]+outcomes[otp.ReasonLocked]+outcomes[otp.ReasonClosed] != 64 || outcomes["ok"] != 1 {
		t.Errorf("64 right codes after nine failures: %v", outcomes)
	}
	b.wants("the run afterwards", b.send(t, "ann")(false), otp.ReasonWrong)

	d = b.app("bob")
	verify := b.send(t, "bob")
	var wrong sync.Map
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				err = verify(false)
			} else {
				_, err = b.Verify(t.Context(), "bob", d.wrong())
			}
			if otp.ReasonOf(err) == otp.ReasonWrong {
				wrong.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	wrong.Range(func(any, any) bool { n++; return true })
	if n != 10 {
		t.Errorf("%d wrong codes of both services were compared, want 10", n)
	}
}

// TestOneLockOvertaken: a right code that another call has used meanwhile leaves no failure
// behind.
func TestOneLockOvertaken(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		f := &overtaken{Credentials: memstore.New(memstore.Config{})}
		r := newRig(t, func(c *authenticator.Config) {
			c.Store, c.Failures = f, memstore.New(memstore.Config{})
		})
		d := r.app("ann")
		time.Sleep(time.Minute)
		f.meanwhile = func() { r.verify("ann", "the call that overtakes", d.off(0), "ok") }
		r.verify("ann", "the call that is overtaken", d.off(0), otp.ReasonClosed)
		for i := range 9 {
			_, err := r.Verify(t.Context(), "ann", d.wrong())
			var e *otp.Error
			if !errors.As(err, &e) || e.RetryAfter != 0 || e.AttemptsLeft != 9-i {
				t.Errorf("failure %d: %+v", i+1, e)
			}
		}
	})
}

// TestOneLockOnce: a wrong code that is judged twice, since another call has changed the
// value meanwhile, counts once.
func TestOneLockOnce(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		f := &overtaken{Credentials: memstore.New(memstore.Config{})}
		r := newRig(t, func(c *authenticator.Config) {
			c.Store, c.Failures = f, memstore.New(memstore.Config{})
		})
		d := r.app("ann")
		f.meanwhile = func() { r.verify("ann", "the call that overtakes", d.wrong(), otp.ReasonWrong) }
		r.verify("ann", "the call that is overtaken", d.wrong(), otp.ReasonWrong)
		for i := 3; i <= 10; i++ {
			_, err := r.Verify(t.Context(), "ann", d.wrong())
			var e *otp.Error
			if !errors.As(err, &e) || (e.RetryAfter > 0) != (i == 10) || e.AttemptsLeft != 10-i {
				t.Errorf("failure %d: %+v", i, e)
			}
		}
	})
}

// An overtaken store calls meanwhile once, after a Load.
type overtaken struct {
	store.Credentials
	meanwhile func()
}

func (o *overtaken) Load(ctx context.Context, subject string) ([]byte, error) {
	value, err := o.Credentials.Load(ctx, subject)
	if f := o.meanwhile; f != nil {
		o.meanwhile = nil
		f()
	}
	return value, err
}

// TestSubjectOfEvents: both services name a subject alike, whatever the form of an
// address, and the run has that name.
func TestSubjectOfEvents(t *testing.T) {
	t.Parallel()
	b := newBoth(t, memstore.New(memstore.Config{}), func(c *authenticator.Config) { c.Application = "shop" })
	for _, subject := range []string{"user-42", "Ann@Example.com", "+44 7912 345678"} {
		b.pending(subject)
		b.send(t, subject)
		mine, sent := b.rig.events[len(b.rig.events)-1], b.events[len(b.events)-1]
		if mine.Subject == "" || mine.Subject != sent.Subject {
			t.Errorf("%s: %q and %q", subject, mine.Subject, sent.Subject)
		}
		tag, bucket, err := b.cfg.Keys.Subject("shop", "", subject)
		if err != nil || tag != mine.Subject || len(bucket) != 3 {
			t.Errorf("%s: %q, %q, %v", subject, tag, bucket, err)
		}
	}
}

// TestFailuresDown: if the run cannot be charged, nobody is verified, and the code is
// still good.
func TestFailuresDown(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T) {
		f := &failingStore{Store: memstore.New(memstore.Config{})}
		r := newRig(t, func(c *authenticator.Config) { c.Failures = f })
		d := r.app("ann")
		time.Sleep(time.Minute)
		for _, f.fails = range []string{"Create", "Attempt"} {
			r.verify("ann", f.fails+" fails", d.off(0), otp.ReasonUnavailable)
		}
		f.fails, f.err = "Create", store.ErrFull
		r.verify("ann", "no room", d.off(0), otp.ReasonFull)
		f.fails = "Finish"
		r.verify("ann", "Finish fails after the code was accepted", d.off(0), "ok")
	})
}

type failingStore struct {
	store.Store
	fails string
	err   error
}

func (f *failingStore) failure(method string) error {
	switch {
	case f.fails != method:
		return nil
	case f.err != nil:
		return f.err
	}
	return errors.New("connection refused")
}

func (f *failingStore) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := f.failure("Create"); err != nil {
		return err
	}
	return f.Store.Create(ctx, r, now)
}

func (f *failingStore) Attempt(ctx context.Context, id string, tk store.Token, now time.Time) (*store.Record, error) {
	if err := f.failure("Attempt"); err != nil {
		return nil, err
	}
	return f.Store.Attempt(ctx, id, tk, now)
}

func (f *failingStore) Finish(ctx context.Context, id string, o store.Outcome, tk store.Token, now time.Time) (
	*store.Record, error) {
	if err := f.failure("Finish"); err != nil {
		return nil, err
	}
	return f.Store.Finish(ctx, id, o, tk, now)
}
