package otp_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

func TestSendAndVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{Purpose: "login", RequestID: "req-1", Reference: "order-7"})
		m := r.a.messages()[0]
		if len(m.Code) != 6 || !strings.Contains(m.Text, m.Code) || !strings.Contains(m.Body, m.Code) ||
			!strings.Contains(m.HTML, m.Code) {
			t.Errorf("message %q, %q with code %q", m.Text, m.Body, m.Code)
		}
		if !strings.Contains(m.Text, "MyBank") || !strings.Contains(m.Text, "5 minutes") || strings.Contains(m.Subject,
			m.Code) {
			t.Errorf("text %q, subject %q", m.Text, m.Subject)
		}
		if !strings.HasPrefix(m.ID, c.ID+".1-") || len(m.ID) > 36 || m.To != both || m.Sender != "MyBank" ||
			m.Purpose != "login" || m.Language != "en" {
			t.Errorf("message %+v", m)
		}
		want := &otp.Challenge{ID: c.ID, To: both.Masked(), State: channel.Sent, Route: "A", Created: time.Now(),
			Expires: time.Now().Add(5 * time.Minute),
			Next:    otp.NextWait,
			Purpose: "login", Reference: "order-7", Address: channel.Phone, Used: channel.Phone,
			ResendAt: time.Now().Add(40 * time.Second), SendsLeft: 2, AttemptsLeft: 5, Alternatives: channel.Email,
			Hops: c.Hops}
		if diff := cmp.Diff(want, c, cmp.Comparer(func(a, b channel.Recipient) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if len(c.Hops) != 1 || c.Hops[0].Route != "A" {
			t.Errorf("hops %+v", c.Hops)
		}

		v := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "login", Code: another6(m.Code)}
		if e := wantReason(t, verify(t.Context(), r, v), otp.ReasonWrong, otp.ErrInvalidCode); e.AttemptsLeft != 4 {
			t.Errorf("%d attempts left", e.AttemptsLeft)
		}
		v.Code = m.Code[:3] + "-" + m.Code[3:]
		proven, err := r.Verify(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if proven.ID != c.ID || proven.Route != "A" || proven.Used != channel.Phone || proven.Purpose != "login" ||
			proven.Reference != "order-7" ||
			proven.To != c.To || proven.Outcome != store.Verified || proven.Repeated {
			t.Errorf("proven %+v", proven)
		}
		wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
		if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.Outcome != store.Verified ||
			s.Next != otp.NextDone || s.SendsLeft != 0 || !s.ResendAt.IsZero() {
			t.Errorf("status %+v, %v", s, err)
		}
		kinds := r.kinds()
		if diff := cmp.Diff([]otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventRejected, otp.EventVerified,
			otp.EventRejected}, kinds); diff != "" {
			t.Error(diff)
		}
	})
}

// Purpose, subject and binding belong to the code, and its key may retire.
func TestCodeIsForItsTermsOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{Purpose: "pay", Binding: []byte("10 EUR to Bob"), Details: "10 EUR to Bob"})
	m := r.a.messages()[0]
	if !strings.Contains(m.Text, "10 EUR to Bob") {
		t.Errorf("text %q lacks the details", m.Text)
	}
	right := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "pay", Code: m.Code, Binding: []byte("10 EUR to Bob")}
	for name, c := range map[string]struct {
		spoil  func(*otp.Verification)
		reason otp.Reason
	}{
		"purpose":    {func(v *otp.Verification) { v.Purpose = "login" }, otp.ReasonWrong},
		"no purpose": {func(v *otp.Verification) { v.Purpose = "" }, otp.ReasonWrong},
		"binding":    {func(v *otp.Verification) { v.Binding = []byte("11 EUR to Bob") }, otp.ReasonWrong},
		"none":       {func(v *otp.Verification) { v.Binding = nil }, otp.ReasonWrong},
		"subject":    {func(v *otp.Verification) { v.Subject = "u2" }, otp.ReasonNotFound}, // and not charged
	} {
		v := right
		c.spoil(&v)
		if err := verify(t.Context(), r, v); otp.ReasonOf(err) != c.reason || !errors.Is(err, otp.ErrInvalidCode) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	old := r.cfg.Keys
	r.cfg.Keys = otp.Keyring{Current: "k2", Keys: map[string][]byte{"k1": old.Keys["k1"],
		"k2": otp.NewKeyring().Keys["k1"]}, Index: old.Index}
	rotated := r.another(t)
	r.cfg.Keys.Keys = map[string][]byte{"k2": r.cfg.Keys.Keys["k2"]}
	if err := verify(t.Context(), r.another(t), right); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("without the key: %v", err)
	}
	if err := verify(t.Context(), rotated, right); !errors.Is(err, otp.ErrWait) { // four wrong and one without a key
		t.Errorf("a sixth attempt: %v", err)
	}
	c = r.send(t, otp.Request{Purpose: "pay"})
	if err := verify(t.Context(), rotated, otp.Verification{ID: c.ID, Subject: "u1", Purpose: "pay",
		Code: r.a.messages()[1].Code}); err != nil {
		t.Errorf("after rotation: %v", err)
	}
}

func TestParallelRightCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.MaxAttempts = 10; c.Policy.PerRecipient = []otp.Rate{} })
	for range 20 {
		c := r.send(t, otp.Request{})
		codes := r.a.messages()
		won, _ := storm(t, r, c.ID, codes[len(codes)-1].Code)
		if won != 1 {
			t.Fatalf("%d of 64 parallel right codes succeeded", won)
		}
	}
}

func TestParallelWrongCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{} })
	for i := range 2 { // a third run would meet the subject's lock
		c := r.send(t, otp.Request{})
		wrong := another6(r.a.messages()[i].Code)
		if won, compared := storm(t, r, c.ID, wrong); won != 0 || compared != 5 {
			t.Fatalf("64 parallel wrong codes: %d succeeded, %d were compared, want 0 and 5", won, compared)
		}
	}
}

// storm verifies one code from 64 goroutines, half of them another process's.
func storm(t *testing.T, r *rig, id, code string) (won, compared int32) {
	other := r.another(t)
	var wins, wrongs atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		s := r.Service
		if i%2 == 0 {
			s = other
		}
		wg.Go(func() {
			switch err := verify(t.Context(), s, otp.Verification{ID: id, Subject: "u1", Code: code}); {
			case err == nil:
				wins.Add(1)
			case otp.ReasonOf(err) == otp.ReasonWrong:
				wrongs.Add(1)
			}
		})
	}
	wg.Wait()
	return wins.Load(), wrongs.Load()
}

// The lock belongs to the subject: it outlives challenges and key rotation.
func TestSubjectLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Support = "help@example.com" })
		for range 2 {
			c := r.send(t, otp.Request{})
			for range 5 {
				_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Purpose: "other", Code: "000000"})
			}
		}
		if e := r.last(); e.AttemptsLeft != 0 || e.Reason != otp.ReasonWrong {
			t.Errorf("the locking failure: %+v", e)
		}
		old := r.cfg.Keys
		r.cfg.Keys = otp.Keyring{Current: "k2", Keys: map[string][]byte{"k1": old.Keys["k1"],
			"k2": otp.NewKeyring().Keys["k1"]}, Index: old.Index}
		r.Service = r.another(t)
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		if e := wantReason(t, err, otp.ReasonLocked, otp.ErrWait); e.RetryAfter != 30*time.Minute ||
			e.Support != "help@example.com" {
			t.Errorf("locked: %+v", e)
		}
		r.send(t, otp.Request{Subject: "u2"})
		time.Sleep(30 * time.Minute)
		r.send(t, otp.Request{})
	})
}

func TestFailover(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.a.errs = []error{refusal(channel.InvalidRecipient, "0x0B")}
	c := r.send(t, otp.Request{})
	if r.b.count() != 0 || c.Route != "M" || len(c.Hops) != 2 || c.Hops[0].Code != "0x0B" {
		t.Errorf("the number is wrong: %+v, B used %d times", c, r.b.count())
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	q := otp.Request{Subject: "u1", To: both, IdempotencyKey: "click-1"}
	var ids sync.Map
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			c, err := r.Send(t.Context(), q)
			if err != nil {
				t.Error(err)
				return
			}
			ids.Store(c.ID, true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != 1 || r.a.count() != 1 {
		t.Errorf("%d challenges, %d messages", n, r.a.count())
	}
	q.To.Phone = "+447912345679"
	_, err := r.Send(t.Context(), q)
	wantReason(t, err, otp.ReasonConflict, otp.ErrInvalidRequest)
	q.Subject = "u2"
	if c := r.send(t, q); c.ID == "" || r.a.count() != 2 {
		t.Error("another subject's key is the same")
	}
}

// takenMeanwhile is a limiter whose first Take is overtaken.
type takenMeanwhile struct {
	store.Limiter
	by func()
}

func (l *takenMeanwhile) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if by := l.by; by != nil {
		l.by = nil
		by()
	}
	return l.Limiter.Take(ctx, now, limits...)
}

// TestIdempotencyKeyOverLimit: a repeat that finds the limit used up by what it
// repeats is no further message.
func TestIdempotencyKeyOverLimit(t *testing.T) {
	t.Parallel()
	l := &takenMeanwhile{}
	r := newRig(t, func(c *otp.Config) {
		l.Limiter, c.Limiter = c.Store.(store.Limiter), l
		c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}}
	})
	q := otp.Request{Subject: "u1", To: both, IdempotencyKey: "click-1"}
	var first *otp.Challenge
	l.by = func() { first = r.send(t, q) }
	if second := r.send(t, q); second.ID != first.ID || r.a.count() != 1 {
		t.Errorf("challenges %s and %s, %d messages", first.ID, second.ID, r.a.count())
	}
	q.IdempotencyKey = "click-2"
	_, err := r.Send(t.Context(), q)
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	if err := r.Cancel(t.Context(), ref(c.ID)); err != nil {
		t.Fatal(err)
	}
	wantReason(t, r.Cancel(t.Context(), ref(c.ID)), otp.ReasonClosed, otp.ErrInvalidCode)
	wantReason(t, verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code}),
		otp.ReasonClosed, otp.ErrInvalidCode)
	_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
	wantReason(t, err, otp.ReasonClosed, otp.ErrInvalidCode)
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{})
		time.Sleep(5 * time.Minute)
		err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code})
		if reason := otp.ReasonOf(err); reason != otp.ReasonExpired && reason != otp.ReasonNotFound || !errors.Is(err,
			otp.ErrInvalidCode) {
			t.Errorf("at its end: %v", err)
		}
	})
}

// To the outside wrong, expired, used and unknown are one error.
func TestInvalidCodeTellsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	code := r.a.messages()[0].Code
	texts := map[string]bool{}
	for _, v := range []otp.Verification{
		{ID: c.ID, Subject: "u2", Code: code},
		{ID: c.ID, Subject: "u1", Code: "12"},
		{ID: noID, Subject: "u1", Code: code},
		{ID: "", Subject: "u1", Code: code},
		{ID: strings.Repeat("x", 1<<20), Subject: "u1", Code: code},
		{ID: c.ID, Subject: "u1", Code: code},
		{ID: c.ID, Subject: "u1", Code: code},
	} {
		if err := verify(t.Context(), r, v); err != nil {
			texts[err.Error()] = true
		}
	}
	if len(texts) != 1 {
		t.Errorf("texts %v", texts)
	}
}

func TestMalformedCodeIsFree(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	for _, code := range []string{"", "12345", "1234567", "abcdef", "12345\x00", strings.Repeat("9", 1<<20)} {
		wantReason(t, verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: code}),
			otp.ReasonMalformed, otp.ErrInvalidCode)
	}
	if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.AttemptsLeft != 5 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFixedCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) {
		c.FixedCodes = []otp.FixedCode{{Address: "+447912345600", Code: "123456"}, {Address: "review@example.com",
			Code: "654321"}}
		c.DangerouslyAcceptFixedCodes = true
	})
	for _, to := range []channel.Recipient{{Phone: "+44 7912 345600"}, {Email: "review@example.com"}} {
		code := map[bool]string{true: "123456", false: "654321"}[to.Phone != ""]
		c := r.send(t, otp.Request{To: to, Purpose: "login"})
		if e := r.last(); !c.Fixed || !e.Fixed || r.a.count()+r.b.count()+r.mail.count() != 0 {
			t.Errorf("challenge %+v, event %+v, something was sent", c, e)
		}
		v := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "pay", Code: code}
		wantReason(t, verify(t.Context(), r, v), otp.ReasonWrong, otp.ErrInvalidCode)
		v.Purpose, v.Subject = "login", "u2"
		wantReason(t, verify(t.Context(), r, v), otp.ReasonNotFound, otp.ErrInvalidCode)
		v.Subject, v.Binding = "u1", []byte("x")
		wantReason(t, verify(t.Context(), r, v), otp.ReasonWrong, otp.ErrInvalidCode)
		v.Binding = nil
		if err := verify(t.Context(), r, v); err != nil || !r.last().Fixed {
			t.Errorf("%v, event %+v", err, r.last())
		}
		wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
	}
	for range 10 { // nothing is sent, so nothing is counted
		r.send(t, otp.Request{To: channel.Recipient{Phone: "+447912345600"}})
	}
	// somebody else's mailbox
	c := r.send(t, otp.Request{To: channel.Recipient{Phone: "+447912345600", Email: "ann@example.com"}})
	if c.Fixed || r.a.count() != 1 {
		t.Error("a recipient with a second address got a fixed code")
	}
	c = r.send(t, otp.Request{To: channel.Recipient{Email: "review@example.com"}})
	r.cfg.FixedCodes, r.cfg.DangerouslyAcceptFixedCodes = nil, false
	if err := verify(t.Context(), r.another(t), otp.Verification{ID: c.ID, Subject: "u1", Code: "654321"}); err == nil {
		t.Error("a fixed code passes where none is configured")
	}
}

// A caller that has gone does not undo what was sent.
func TestCallerGoesWhileSending(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r.a.hook = func(*channel.Message, string) { cancel() }
	c, err := r.Send(ctx, otp.Request{Subject: "u1", To: both})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Sent || s.Route != "A" {
		t.Errorf("%+v, %v", s, err)
	}
}
