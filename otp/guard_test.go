package otp_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A settled is what a Guard is told of the end of messages.
type settled struct {
	At       time.Time
	Messages int
	Verified bool
	Phone    string
	Email    string
	IP       netip.Addr
}

// A watchman is a Guard that answers with verdicts in order, and then allows.
type watchman struct {
	mu       sync.Mutex
	verdicts []otp.Verdict
	err      error
	asked    []otp.Attempt
	settled  []settled
}

func (w *watchman) Check(_ context.Context, a otp.Attempt) (v otp.Verdict, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, a)
	if len(w.verdicts) > 0 {
		v, w.verdicts = w.verdicts[0], w.verdicts[1:]
	}
	return v, w.err
}

func (w *watchman) Settle(_ context.Context, a otp.Attempt, messages int, verified bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled = append(w.settled, settled{a.At, messages, verified, a.Phone.E164, a.Email, a.IP})
}

func (w *watchman) ends() []settled {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.settled)
}

func guarded(t *testing.T, change func(*otp.Config)) (*rig, *watchman) {
	t.Helper()
	w := &watchman{}
	return newRig(t, func(c *otp.Config) {
		c.Guard = w
		if change != nil {
			change(c)
		}
	}), w
}

var anIP = netip.MustParseAddr("192.0.2.7")

// A Guard learns who asks for what, before each message: the Send's, the
// Resend's and the failover's.
func TestGuardIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := guarded(t, func(c *otp.Config) { c.Policy.Resend = otp.SameRoute })
		c := r.send(t, otp.Request{Purpose: "login", IP: anIP, Known: true, Proven: true,
			Signals: map[string]string{"score": "7"}})
		time.Sleep(time.Minute)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.a.fail(refusal(channel.Unreachable, "1"))
		r.b.fail(refusal(channel.Unreachable, "2"))
		c, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Proven: true})
		if err != nil || c.Route != "M" {
			t.Fatal(c, err)
		}
		if len(w.asked) != 4 {
			t.Fatalf("asked %d times, want 4: Send, Resend, Resend, failover", len(w.asked))
		}
		for i, a := range w.asked {
			if a.Purpose != "login" || !a.Known || !a.Proven || a.At.IsZero() || a.Resend != (i > 0) ||
				(a.Signals != nil) != (i == 0) {
				t.Errorf("asked %d: %+v", i, struct{ otp.Attempt }{a})
			}
			sms := a.Phone.E164 == "+447912345678" && a.Phone.Region == "GB" && a.Phone.Type != 0 && a.Email == "" &&
				a.IP == anIP && a.Subject == "u1"
			if last := i == 3; last != (a.Email == "ann@example.com") || last == sms {
				t.Errorf("asked %d about %q, %q for %q from %v", i, a.Phone.E164, a.Email, a.Subject, a.IP)
			}
		}
		// The SMS of the third send surely was not sent.
		if got := w.ends(); len(got) != 1 || got[0].Verified || !got[0].At.Equal(w.asked[2].At) ||
			got[0].Phone != "+447912345678" {
			t.Errorf("settled %+v, want the third message as not sent", got)
		}
	})
}

// A refusal costs nothing: nothing is sent, stored, or taken from the limits.
func TestGuardRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			verdict otp.Verdict
			reason  otp.Reason
			after   time.Duration
		}{
			{otp.Verdict{Action: otp.Refuse, Rule: "block", Key: "+4479123xxxx", RetryAfter: 61 * time.Minute},
				otp.ReasonGuarded, 2 * time.Hour},
			{otp.Verdict{Action: otp.StepUp, Rule: "network", RetryAfter: time.Hour}, otp.ReasonStepUp, time.Hour},
			{otp.Verdict{Action: otp.Refuse}, otp.ReasonGuarded, 0},
		} {
			r, w := guarded(t, nil)
			for range 20 { // more than PerRecipient allows
				w.verdicts = append(w.verdicts, c.verdict)
			}
			for range 20 {
				_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
				e := wantReason(t, err, c.reason, otp.ErrWait)
				if e.RetryAfter != c.after || e.Alternatives != channel.Email {
					t.Errorf("RetryAfter %v, Alternatives %v", e.RetryAfter, e.Alternatives)
				}
			}
			if r.total() > 0 || len(w.ends()) > 0 {
				t.Errorf("%d messages, settled %v", r.total(), w.ends())
			}
			events := 0
			for _, e := range r.events {
				if e.Kind == otp.EventRefused {
					events++
					if e.Rule != c.verdict.Rule || e.Key != c.verdict.Key || e.Reason != c.reason {
						t.Errorf("event %+v", e)
					}
				}
			}
			if events != 1 {
				t.Errorf("%d events of 20 refusals by one rule and key, want 1", events)
			}
			r.send(t, otp.Request{})
		}
	})
}

// The event of a rule and key comes again after ten minutes.
func TestGuardEventsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := guarded(t, nil)
		for i := range 60 {
			w.verdicts = []otp.Verdict{{Action: otp.Refuse, Rule: "block", Key: "+4479123" + strconv.Itoa(i%2) + "xxx"}}
			if _, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both}); err == nil {
				t.Fatal("allowed")
			}
			time.Sleep(30 * time.Second)
		}
		if n := len(r.events); n != 6 {
			t.Errorf("%d events in half an hour of two keys, want 6", n)
		}
	})
}

// A dead guard refuses and says so.
func TestGuardFails(t *testing.T) {
	t.Parallel()
	for want, err := range map[otp.Reason]error{otp.ReasonUnavailable: errors.New("it is down"),
		otp.ReasonFull: store.ErrFull} {
		r, w := guarded(t, nil)
		w.err = err
		_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		wantReason(t, err, want, otp.ErrUnavailable)
		if r.total() > 0 {
			t.Error("a message was sent")
		}
	}
	r := newRig(t, func(c *otp.Config) {
		c.Guard = otp.GuardFunc(func(context.Context, otp.Attempt) (otp.Verdict, error) { panic("secret") })
	})
	_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
	if strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// A session is settled once, by the Verify that wins, with all its messages.
func TestGuardSettlesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := guarded(t, nil)
		c := r.send(t, otp.Request{IP: anIP})
		time.Sleep(time.Minute)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		v := otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code, IdempotencyKey: "k"}
		wrong := v
		wrong.Code = another6(v.Code)
		_ = verify(t.Context(), r, wrong)
		for range 3 {
			if err := verify(t.Context(), r, v); err != nil {
				t.Fatal(err)
			}
		}
		got := w.ends()
		if len(got) != 1 || got[0].Messages != 2 || !got[0].Verified || got[0].IP != anIP ||
			got[0].Phone != "+447912345678" {
			t.Errorf("settled %+v, want once, verified, 2 messages", got)
		}
	})
}

// Nothing that surely was not sent stays counted: neither after an outage, nor
// if a limit or the store refuses behind the guard.
func TestGuardSettlesUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := guarded(t, nil)
		down := make([]error, 50)
		for i := range down {
			down[i] = refusal(channel.Temporary, "down")
		}
		r.a.fail(down...)
		r.b.fail(down...)
		to := channel.Recipient{Phone: "+447912345678"}
		for i := range 50 {
			_, err := r.Send(t.Context(), otp.Request{Subject: "u" + strconv.Itoa(i), To: to, IP: anIP})
			wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
		}
		wantSettled := func(n int) {
			t.Helper()
			got := w.ends()
			if len(got) != n {
				t.Fatalf("settled %d times, want %d", len(got), n)
			}
			for i, s := range got {
				if s.Verified || s.Messages != 1 || !s.At.Equal(w.asked[i].At) || s.IP != anIP {
					t.Errorf("settled %+v", s)
				}
			}
		}
		wantSettled(50)
		for i := range 5 {
			r.send(t, otp.Request{Subject: "v" + strconv.Itoa(i), To: to, IP: anIP})
		}
		w.asked = w.asked[:50]
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: to, IP: anIP})
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		wantSettled(51)
	})
}

// A dropped message is answered as if it were sent.
func TestGuardDrops(t *testing.T) {
	t.Parallel()
	r, w := guarded(t, nil)
	w.verdicts = []otp.Verdict{{Action: otp.Drop, Rule: "opt-out"}}
	c := r.send(t, otp.Request{})
	d := r.send(t, otp.Request{Subject: "u2"})
	if r.total() != 1 || c.State != d.State || c.Route != d.Route {
		t.Errorf("%d messages; dropped %+v, sent %+v", r.total(), c, d)
	}
}

// Bad signals are refused before anything is stored.
func TestSignals(t *testing.T) {
	t.Parallel()
	r, w := guarded(t, nil)
	many := map[string]string{}
	for i := range 33 {
		many[strconv.Itoa(i)] = ""
	}
	for _, signals := range []map[string]string{many, {"": "x"}, {"a\n": ""}, {strings.Repeat("n", 65): ""},
		{"a": strings.Repeat("v", 1025)}} {
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both, Signals: signals})
		if e := wantReason(t, err, otp.ReasonInvalid, otp.ErrInvalidRequest); e.Field != "Signals" {
			t.Error(e)
		}
	}
	if len(w.asked) > 0 {
		t.Error("the guard was asked")
	}
}

// Without a guard, people who verify do not count for their network: an office
// of 300 behind one address is served, and 11 who do not verify are too many.
func TestNetworkLimitWithoutGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 300 {
			n := strconv.Itoa(1000 + i)
			c := r.send(t, otp.Request{Subject: n, To: channel.Recipient{Phone: "+44791234" + n}, IP: anIP})
			messages := r.a.messages()
			if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: n,
				Code: messages[len(messages)-1].Code}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Second)
		}
		refused := 0
		for i := range 11 {
			n := strconv.Itoa(5000 + i)
			_, err := r.Send(t.Context(), otp.Request{Subject: n, To: channel.Recipient{Phone: "+44791234" + n},
				IP: anIP})
			if err != nil {
				wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d of 11 refused, want the last", refused)
		}
	})
}

// Strangers who use up a number's limit do not lock out its owner's known
// device, and the error tells what else there is.
func TestVictimsNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for i := range 5 {
		r.send(t, otp.Request{Subject: "s" + strconv.Itoa(i)})
	}
	_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.Alternatives != channel.Email {
		t.Errorf("Alternatives %v, want e-mail", e.Alternatives)
	}
	for range 5 {
		r.send(t, otp.Request{Known: true})
	}
	_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: both, Known: true})
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
}

// counters is a backend that keeps the sum of all takings, and counts its calls:
// what a request costs in time beside the provider's.
type counters struct {
	backend
	mu   sync.Mutex
	sums map[string]int
}

func (c *counters) called(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sums["calls of "+what]++
}

func (c *counters) Create(ctx context.Context, r *store.Record, now time.Time) error {
	c.called("Create")
	return c.backend.Create(ctx, r, now)
}

func (c *counters) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	c.called("Get")
	return c.backend.Get(ctx, id, now)
}

func (c *counters) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	c.called("Attempt")
	return c.backend.Attempt(ctx, id, t, now)
}

func (c *counters) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (
	*store.Record, error) {
	c.called("Update")
	return c.backend.Update(ctx, id, revision, delivery, now)
}

func (c *counters) Enqueue(ctx context.Context, j store.Job) error {
	c.called("Enqueue")
	return c.backend.Enqueue(ctx, j)
}

func (c *counters) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	d, err := c.backend.Take(ctx, now, limits...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range limits {
		if d.Allowed && !l.Peek {
			scope, _, _ := strings.Cut(l.Key, "/")
			c.sums[scope+" "+l.Per.String()] += l.Takings()
		}
	}
	return d, err
}

// A decoy leaves the same counters as a real Send, calls the store as often, and
// gets the same answers to all that a person may do; nothing is sent, and its code verifies nothing.
func TestDecoy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, async := range []bool{false, true} {
			var answers [2][]string
			var sums [2]map[string]int
			var asked [2]int
			for i := range 2 {
				decoy := i == 1
				r, w := guarded(t, func(c *otp.Config) { c.Async = async })
				limiter := &counters{backend: r.store, sums: map[string]int{}}
				r.cfg.Store = limiter
				r.Service = r.another(t)
				if async {
					work(t, r.Service)
				}
				answers[i] = behave(t, r, decoy)
				sums[i], asked[i] = limiter.sums, len(w.asked)
				if decoy && r.total() > 0 {
					t.Errorf("async %v: %d messages of decoys", async, r.total())
				}
				for _, e := range r.events {
					if e.Decoy != decoy && e.Kind != otp.EventRejected {
						t.Errorf("event %s: Decoy %v", e.Kind, e.Decoy)
					}
				}
			}
			if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
				t.Errorf("async %v: a decoy is answered otherwise (-real +decoy):\n%s", async, diff)
			}
			if diff := cmp.Diff(sums[0], sums[1]); diff != "" || asked[0] != asked[1] {
				t.Errorf("async %v: the guard was asked %d and %d times, counters (-real +decoy):\n%s", async, asked[0],
					asked[1], diff)
			}
		}
	})
}

// behave does what a person may do, and returns the answers.
func behave(t *testing.T, r *rig, decoy bool) (answers []string) {
	t.Helper()
	note := func(what string, c *otp.Challenge, err error) {
		text := what + ": "
		var e *otp.Error
		if errors.As(err, &e) {
			text += string(e.Reason) + " " + e.RetryAfter.String() + " " + strconv.Itoa(e.AttemptsLeft)
		}
		if c != nil {
			text += strings.Join([]string{c.To.String(), c.State.String(), c.Outcome.String(), string(c.Next), c.Route,
				c.Address.String(), c.Used.String(), c.Alternatives.String(), strconv.Itoa(c.SendsLeft),
				strconv.Itoa(c.AttemptsLeft), strconv.Itoa(len(c.Hops)), c.Expires.Sub(c.Created).String(),
				strconv.Itoa(len(c.ID))}, " ")
		}
		answers = append(answers, text)
	}
	q := otp.Request{Subject: "u1", To: both, IP: anIP, Purpose: "login", Decoy: decoy, IdempotencyKey: "k"}
	c, err := r.Send(t.Context(), q)
	note("Send", c, err)
	if err != nil {
		return answers
	}
	synctest.Wait()
	repeated, err := r.Send(t.Context(), q)
	note("Send again", repeated, err)
	status, err := r.Status(t.Context(), ref(c.ID))
	note("Status", status, err)
	_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
	note("Resend too soon", nil, err)
	time.Sleep(time.Minute)
	again, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
	note("Resend", again, err)
	synctest.Wait()
	for _, typed := range []string{"12", "-", "000000", "000001", "000002", "000003", "000004", "000005"} {
		_, err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Purpose: "login", Code: typed})
		note("Verify "+typed, nil, err)
	}
	status, err = r.Status(t.Context(), ref(c.ID))
	note("Status", status, err)
	return answers
}

// constant is a Generator of one code.
type constant string

func (c constant) Generate(otp.Seed) (string, error) { return string(c), nil }

// Not even the right code verifies a decoy, and it is charged as a wrong one.
func TestDecoyVerifiesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Generator = constant("123456") })
	for _, decoy := range []bool{true, false} {
		c := r.send(t, otp.Request{Decoy: decoy})
		_, err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: "123456"})
		if !decoy {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if e := wantReason(t, err, otp.ReasonWrong, otp.ErrInvalidCode); e.AttemptsLeft != 4 {
			t.Errorf("AttemptsLeft %d, want 4", e.AttemptsLeft)
		}
	}
}
