package otp_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/template"
	"github.com/otpcourier/otpcourier/store"
)

func TestSendAndVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{Purpose: "login", RequestID: "req-1"})
		m := r.a.messages()[0]
		if len(m.Code) != 6 || !strings.Contains(m.Text, m.Code) || !strings.Contains(m.Body, m.Code) || !strings.Contains(m.HTML, m.Code) {
			t.Errorf("message %q, %q with code %q", m.Text, m.Body, m.Code)
		}
		if !strings.Contains(m.Text, "MyBank") || !strings.Contains(m.Text, "5 minutes") || strings.Contains(m.Subject, m.Code) {
			t.Errorf("text %q, subject %q", m.Text, m.Subject)
		}
		if !strings.HasPrefix(m.ID, c.ID+".1-") || len(m.ID) > 36 || m.To != both || m.Sender != "MyBank" || m.Purpose != "login" || m.Language != "en" {
			t.Errorf("message %+v", m)
		}
		want := &otp.Challenge{ID: c.ID, To: both.Masked(), State: channel.Sent, Route: "A", Created: time.Now(), Expires: time.Now().Add(5 * time.Minute),
			ResendAt: time.Now().Add(30 * time.Second), SendsLeft: 2, AttemptsLeft: 5, Attempts: c.Attempts}
		if diff := cmp.Diff(want, c, cmp.Comparer(func(a, b channel.Recipient) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if len(c.Attempts) != 1 || c.Attempts[0].Route != "A" {
			t.Errorf("attempts %+v", c.Attempts)
		}

		v := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "login", Code: "000000"}
		if v.Code == m.Code {
			v.Code = "111111"
		}
		if e := wantReason(t, r.Verify(t.Context(), v), otp.ReasonWrong, otp.ErrInvalidCode); e.AttemptsLeft != 4 {
			t.Errorf("%d attempts left", e.AttemptsLeft)
		}
		v.Code = m.Code[:3] + "-" + m.Code[3:]
		if err := r.Verify(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		wantReason(t, r.Verify(t.Context(), v), otp.ReasonClosed, otp.ErrInvalidCode)
		if s, err := r.Status(t.Context(), c.ID); err != nil || s.Outcome != store.Verified || s.SendsLeft != 0 || !s.ResendAt.IsZero() {
			t.Errorf("status %+v, %v", s, err)
		}
		kinds := r.kinds()
		if diff := cmp.Diff([]otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventRejected, otp.EventVerified, otp.EventRejected}, kinds); diff != "" {
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
	for name, spoil := range map[string]func(*otp.Verification){
		"purpose": func(v *otp.Verification) { v.Purpose = "login" },
		"subject": func(v *otp.Verification) { v.Subject = "u2" },
		"binding": func(v *otp.Verification) { v.Binding = []byte("11 EUR to Bob") },
		"none":    func(v *otp.Verification) { v.Binding = nil },
	} {
		v := right
		spoil(&v)
		if err := r.Verify(t.Context(), v); !errors.Is(err, otp.ErrInvalidCode) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	old := r.cfg.Keys
	r.cfg.Keys = otp.Keyring{Current: "k2", Keys: map[string][]byte{"k1": old.Keys["k1"], "k2": otp.NewKeyring().Keys["k1"]}, Index: old.Index}
	rotated := r.another(t)
	r.cfg.Keys.Keys = map[string][]byte{"k2": r.cfg.Keys.Keys["k2"]}
	if err := r.another(t).Verify(t.Context(), right); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("without the key: %v", err)
	}
	if err := rotated.Verify(t.Context(), right); !errors.Is(err, otp.ErrWait) { // four wrong and one without a key
		t.Errorf("a sixth attempt: %v", err)
	}
	c = r.send(t, otp.Request{Purpose: "pay"})
	if err := rotated.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Purpose: "pay", Code: r.a.messages()[1].Code}); err != nil {
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
		wrong := "000000"
		if r.a.messages()[i].Code == wrong {
			wrong = "111111"
		}
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
			switch err := s.Verify(t.Context(), otp.Verification{ID: id, Subject: "u1", Code: code}); {
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
				_ = r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Purpose: "other", Code: "000000"})
			}
		}
		if e := r.last(); e.Left != 0 || e.Reason != otp.ReasonWrong {
			t.Errorf("the locking failure: %+v", e)
		}
		old := r.cfg.Keys
		r.cfg.Keys = otp.Keyring{Current: "k2", Keys: map[string][]byte{"k1": old.Keys["k1"], "k2": otp.NewKeyring().Keys["k1"]}, Index: old.Index}
		r.Service = r.another(t)
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		if e := wantReason(t, err, otp.ReasonLocked, otp.ErrWait); e.RetryAfter != 30*time.Minute || e.Support != "help@example.com" {
			t.Errorf("locked: %+v", e)
		}
		r.send(t, otp.Request{Subject: "u2"})
		time.Sleep(30 * time.Minute)
		r.send(t, otp.Request{})
	})
}

func TestResend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Support = "+44 20 7946 0000"; c.ShowTry = true })
		c := r.send(t, otp.Request{})
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		if e := wantReason(t, err, otp.ReasonTooSoon, otp.ErrWait); e.RetryAfter != 30*time.Second {
			t.Errorf("too soon: %+v", e)
		}
		for i, minutes := range []string{"4 minutes", "3 minutes"} {
			time.Sleep(time.Minute)
			again, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
			if err != nil {
				t.Fatal(err)
			}
			m := r.a.messages()
			first, latest := m[0], m[len(m)-1]
			if latest.Code != first.Code || latest.ID == m[len(m)-2].ID || !strings.Contains(latest.Text, minutes) || !latest.Expires.Equal(first.Expires) {
				t.Errorf("resend %d: %q with id %s", i, latest.Text, latest.ID)
			}
			if again.SendsLeft != 1-i {
				t.Errorf("%d sends left", again.SendsLeft)
			}
		}
		_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		if e := wantReason(t, err, otp.ReasonSends, otp.ErrWait); e.Left != channel.Email || e.Support == "" || e.RetryAfter != 0 {
			t.Errorf("used up: %+v", e)
		}
		if err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[2].Code}); err != nil {
			t.Error(err)
		}
	})
}

func TestResendNearTheEndIsExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{})
		time.Sleep(4 * time.Minute)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil {
			t.Errorf("with a minute left: %v", err)
		}
		time.Sleep(time.Second)
		s, err := r.Status(t.Context(), c.ID)
		if err != nil || s.SendsLeft != 0 {
			t.Errorf("status offers %+v, %v", s, err)
		}
		_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		wantReason(t, err, otp.ReasonExpired, otp.ErrInvalidCode)
		if r.a.count() != 2 {
			t.Errorf("%d messages", r.a.count())
		}
	})
}

func TestNewCodes(t *testing.T) {
	t.Parallel()
	for _, g := range []otp.Generator{otp.Random{Length: 8}, otp.HOTP{Digits: 8}, otp.TOTP{Digits: 8}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Policy.NewCode = true; c.Generator = g })
			c := r.send(t, otp.Request{})
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil {
				t.Fatal(err)
			}
			m := r.a.messages()
			if m[0].Code == m[1].Code {
				t.Errorf("%T: the resend carries the same code", g)
			}
			if err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: m[0].Code}); err != nil {
				t.Errorf("%T: the older code: %v", g, err)
			}
		})
	}
}

// A user's choice of route holds, at first and for a resend.
func TestRouteByName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.send(t, otp.Request{Route: "M"})
		if r.a.count() != 0 || r.mail.count() != 1 {
			t.Errorf("%d SMS, %d mails", r.a.count(), r.mail.count())
		}
		c := r.send(t, otp.Request{Subject: "u2"})
		time.Sleep(time.Minute)
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Route: "M"}); err != nil || got.Route != "M" {
			t.Errorf("resent by %+v, %v", got, err)
		}
		if r.mail.messages()[1].Code != r.a.messages()[0].Code {
			t.Error("the mail has another code")
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both, Route: "X"})
		if e := wantReason(t, err, otp.ReasonInvalid, otp.ErrInvalidRequest); e.Field != "Route" {
			t.Errorf("unknown route: %+v", e)
		}
	})
}

func TestFailover(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.a.errs = []error{refusal(channel.InvalidRecipient, "0x0B")}
	c := r.send(t, otp.Request{})
	if r.b.count() != 0 || c.Route != "M" || len(c.Attempts) != 2 || c.Attempts[0].Code != "0x0B" {
		t.Errorf("the number is wrong: %+v, B used %d times", c, r.b.count())
	}
}

// What surely never went out costs nothing, and its key may be used again.
func TestUndeliveredIsFree(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 3, Per: time.Hour}} })
	down := []error{refusal(channel.Temporary, "0x08")}
	for range 4 { // over the limit of three
		r.a.errs, r.b.errs, r.mail.errs = down, down, down
		c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"})
		wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
		if channel.ClassOf(err) != channel.Temporary || c.State != channel.Failed || len(c.Attempts) == 0 {
			t.Fatalf("challenge %+v beside %v", c, err)
		}
	}
	r.a.errs, r.b.errs, r.mail.errs = nil, nil, nil
	c := r.send(t, otp.Request{IdempotencyKey: "k"})
	if c.Route == "" || c.State != channel.Sent {
		t.Errorf("after the outage: %+v", c)
	}
}

// What may have gone out is counted, and can be verified.
func TestUnknownCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}} })
	r.a.errs = []error{refusal(channel.Unknown, "")}
	c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"})
	if channel.ClassOf(err) != channel.Unknown || c == nil || c.State != channel.Sent {
		t.Fatalf("%+v, %v", c, err)
	}
	_, err = r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}})
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	if err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code}); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 5 {
			r.send(t, otp.Request{Subject: strings.Repeat("x", i+1)})
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "other", To: channel.Recipient{Phone: "+44 7912 345678"}})
		if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.RetryAfter != 10*time.Minute {
			t.Errorf("recipient: %+v", e)
		}
		r.send(t, otp.Request{To: channel.Recipient{Phone: "+447912345679"}})
		time.Sleep(10 * time.Minute)
		for range 5 {
			r.send(t, otp.Request{Subject: "again"})
		}
		time.Sleep(10 * time.Minute)
		_, err = r.Send(t.Context(), otp.Request{Subject: "other", To: both})
		if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.RetryAfter != 24*time.Hour-20*time.Minute {
			t.Errorf("ten a day: %+v", e)
		}
	})
}

func TestLimitPerIP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		number := func(i int) channel.Recipient {
			return channel.Recipient{Phone: "+4479123456" + string([]byte{byte('0' + i/10), byte('0' + i%10)})}
		}
		for i := range 10 {
			ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}) // one /64
			r.send(t, otp.Request{To: number(i), IP: ip})
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: number(11), IP: netip.MustParseAddr("2001:db8::ffff")})
		if e := wantReason(t, err, otp.ReasonLimited, otp.ErrWait); e.RetryAfter != time.Hour {
			t.Errorf("%+v", e)
		}
		r.send(t, otp.Request{To: number(12), IP: netip.MustParseAddr("2001:db8:0:1::1")})
		r.send(t, otp.Request{To: number(13), IP: netip.MustParseAddr("192.0.2.1")})
	})
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

func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	if err := r.Cancel(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	wantReason(t, r.Cancel(t.Context(), c.ID), otp.ReasonClosed, otp.ErrInvalidCode)
	wantReason(t, r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code}), otp.ReasonClosed, otp.ErrInvalidCode)
	_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
	wantReason(t, err, otp.ReasonClosed, otp.ErrInvalidCode)
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{})
		time.Sleep(5 * time.Minute)
		err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code})
		if reason := otp.ReasonOf(err); reason != otp.ReasonExpired && reason != otp.ReasonNotFound || !errors.Is(err, otp.ErrInvalidCode) {
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
		{ID: "abc-aaaaaaaaaaaaaaaaaaaaaaaa", Subject: "u1", Code: code},
		{ID: "", Subject: "u1", Code: code},
		{ID: strings.Repeat("x", 1<<20), Subject: "u1", Code: code},
		{ID: c.ID, Subject: "u1", Code: code},
		{ID: c.ID, Subject: "u1", Code: code},
	} {
		if err := r.Verify(t.Context(), v); err != nil {
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
		wantReason(t, r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: code}), otp.ReasonMalformed, otp.ErrInvalidCode)
	}
	if s, err := r.Status(t.Context(), c.ID); err != nil || s.AttemptsLeft != 5 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFixedCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) {
		c.FixedCodes = []otp.FixedCode{{Address: "+447912345600", Code: "123456"}, {Address: "review@example.com", Code: "654321"}}
		c.DangerouslyAcceptFixedCodes = true
	})
	for _, to := range []channel.Recipient{{Phone: "+44 7912 345600"}, {Email: "review@example.com"}} {
		code := map[bool]string{true: "123456", false: "654321"}[to.Phone != ""]
		c := r.send(t, otp.Request{To: to, Purpose: "login"})
		if e := r.last(); !c.Fixed || !e.Fixed || r.a.count()+r.b.count()+r.mail.count() != 0 {
			t.Errorf("challenge %+v, event %+v, something was sent", c, e)
		}
		v := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "pay", Code: code}
		wantReason(t, r.Verify(t.Context(), v), otp.ReasonWrong, otp.ErrInvalidCode)
		v.Purpose = "login"
		if err := r.Verify(t.Context(), v); err != nil || !r.last().Fixed {
			t.Errorf("%v, event %+v", err, r.last())
		}
		wantReason(t, r.Verify(t.Context(), v), otp.ReasonClosed, otp.ErrInvalidCode)
	}
	c := r.send(t, otp.Request{To: channel.Recipient{Phone: "+447912345600", Email: "ann@example.com"}}) // somebody else's mailbox
	if c.Fixed || r.a.count() != 1 {
		t.Error("a recipient with a second address got a fixed code")
	}
	c = r.send(t, otp.Request{To: channel.Recipient{Email: "review@example.com"}})
	r.cfg.FixedCodes, r.cfg.DangerouslyAcceptFixedCodes = nil, false
	if err := r.another(t).Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: "654321"}); err == nil {
		t.Error("a fixed code passes where none is configured")
	}
}

func TestStoreDownFailsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	r.cfg.Limiter, r.cfg.Tracker, r.cfg.Queue = r.store, r.store, nil
	r.cfg.Store = broken{r.store}
	s := r.another(t)
	_, err := s.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
	wantReason(t, s.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code}), otp.ReasonUnavailable, otp.ErrUnavailable)
	if r.a.count() != 1 || !errors.Is(err, errDown) {
		t.Errorf("%d messages, %v", r.a.count(), err)
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
	if s, err := r.Status(t.Context(), c.ID); err != nil || s.State != channel.Sent || s.Route != "A" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, c := range map[string]struct {
		q     otp.Request
		field string
	}{
		"no subject":        {otp.Request{To: both}, "Subject"},
		"long subject":      {otp.Request{Subject: strings.Repeat("x", 257), To: both}, "Subject"},
		"no address":        {otp.Request{Subject: "u"}, "To"},
		"words for a phone": {otp.Request{Subject: "u", To: channel.Recipient{Phone: "call me"}}, "To.Phone"},
		"national":          {otp.Request{Subject: "u", To: channel.Recipient{Phone: "07912 345678"}}, "To.Phone"},
		"not assigned":      {otp.Request{Subject: "u", To: channel.Recipient{Phone: "+447700900123"}}, "To.Phone"},
		"fixed line":        {otp.Request{Subject: "u", To: channel.Recipient{Phone: "+442079460000"}}, "To.Phone"},
		"premium":           {otp.Request{Subject: "u", To: channel.Recipient{Phone: "+449012345678"}}, "To.Phone"},
		"huge phone":        {otp.Request{Subject: "u", To: channel.Recipient{Phone: strings.Repeat("1", 1<<20)}}, "To.Phone"},
		"bad mailbox":       {otp.Request{Subject: "u", To: channel.Recipient{Email: "ann@"}}, "To.Email"},
		"header injection":  {otp.Request{Subject: "u", To: channel.Recipient{Email: "ann@example.com\r\nBcc: eve@example.com"}}, "To.Email"},
		"parameters":        {otp.Request{Subject: "u", To: channel.Recipient{Email: "x@y> NOTIFY=NEVER ORCPT=<q"}}, "To.Email"},
		"push alone":        {otp.Request{Subject: "u", To: channel.Recipient{Push: "token"}}, "To"},
		"language":          {otp.Request{Subject: "u", To: both, Language: "xx"}, "Language"},
		"garbled language":  {otp.Request{Subject: "u", To: both, Language: "\x00!!"}, "Language"},
		"purpose":           {otp.Request{Subject: "u", To: both, Purpose: "a\nb"}, "Purpose"},
		"details":           {otp.Request{Subject: "u", To: both, Details: "10 EUR\nto Bob"}, "Details"},
		"long details":      {otp.Request{Subject: "u", To: both, Details: strings.Repeat("x", 201)}, "Details"},
		"request id":        {otp.Request{Subject: "u", To: both, RequestID: "a\nb"}, "RequestID"},
		"binding":           {otp.Request{Subject: "u", To: both, Binding: make([]byte, 1<<17)}, "Binding"},
		"idempotency key":   {otp.Request{Subject: "u", To: both, IdempotencyKey: strings.Repeat("x", 257)}, "IdempotencyKey"},
		"route":             {otp.Request{Subject: "u", To: both, Route: "fax"}, "Route"},
		"route without":     {otp.Request{Subject: "u", To: channel.Recipient{Phone: both.Phone}, Route: "M"}, "To"},
	} {
		_, err := r.Send(t.Context(), c.q)
		var e *otp.Error
		if !errors.As(err, &e) || !errors.Is(err, otp.ErrInvalidRequest) || e.Field != c.field {
			t.Errorf("%s: %v with field %+v, want %s", name, err, e, c.field)
		}
		if e := r.last(); e.Kind != otp.EventRefused || e.Reason != otp.ReasonInvalid {
			t.Errorf("%s: event %+v", name, e)
		}
	}
	if n := r.a.count() + r.b.count() + r.mail.count(); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	if _, err := r.Send(t.Context(), otp.Request{Subject: "u", To: channel.Recipient{Phone: "\u200e+44 (7912) 345-678"}}); err != nil {
		t.Errorf("as people write it: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*otp.Config){
		"Channel": func(c *otp.Config) { c.Channel = nil },
		"Store":   func(c *otp.Config) { c.Store = nil },
		"Limiter": func(c *otp.Config) { c.Store = onlyStore{c.Store} },
		"Queue is required for": func(c *otp.Config) {
			c.Store = onlyStore{c.Store}
			c.Limiter = newStore(t)
			c.Receipts = nil
			c.Async = true
		},
		"Tracker":                     func(c *otp.Config) { c.Store = onlyStore{c.Store}; c.Limiter = newStore(t) },
		"Index":                       func(c *otp.Config) { c.Keys.Index = nil },
		"Current":                     func(c *otp.Config) { c.Keys.Current = "k9" },
		`Keys["k1"]`:                  func(c *otp.Config) { c.Keys.Keys = map[string][]byte{"k1": []byte("short")} },
		"differ":                      func(c *otp.Config) { c.Keys.Index = c.Keys.Keys["k1"] },
		"Generator":                   func(c *otp.Config) { c.Generator = otp.Random{Length: 3} },
		"Wording":                     func(c *otp.Config) { c.Wording.Brand = "" },
		"Life":                        func(c *otp.Config) { c.Policy.Life = time.Hour },
		"MaxAttempts":                 func(c *otp.Config) { c.Policy.MaxAttempts = 11 },
		"Waits":                       func(c *otp.Config) { c.Policy.Waits = []time.Duration{0} },
		"MaxFailures":                 func(c *otp.Config) { c.Policy.MaxFailures = 101 },
		"Lock":                        func(c *otp.Config) { c.Policy.Lock = time.Second },
		"Rate":                        func(c *otp.Config) { c.Policy.PerIP = []otp.Rate{{0, time.Hour}} },
		"Workers":                     func(c *otp.Config) { c.Workers = -1 },
		"Takeover":                    func(c *otp.Config) { c.Takeover = time.Millisecond },
		"DangerouslyAcceptFixedCodes": func(c *otp.Config) { c.FixedCodes = []otp.FixedCode{{"+447912345678", "123456"}} },
		"without FixedCodes":          func(c *otp.Config) { c.DangerouslyAcceptFixedCodes = true },
		"FixedCodes[0].Address": func(c *otp.Config) {
			c.FixedCodes, c.DangerouslyAcceptFixedCodes = []otp.FixedCode{{"everyone", "123456"}}, true
		},
		"FixedCodes[0].Code": func(c *otp.Config) {
			c.FixedCodes, c.DangerouslyAcceptFixedCodes = []otp.FixedCode{{"+447912345678", "1"}}, true
		},
	} {
		r := newRig(t, nil)
		cfg := r.cfg
		spoil(&cfg)
		if _, err := otp.New(cfg); err == nil || !strings.Contains(err.Error(), field) || !strings.HasPrefix(err.Error(), "otp: ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	r := newRig(t, nil)
	cfg := r.cfg
	cfg.Channel, cfg.Store, cfg.Limiter, cfg.Tracker = r.failover(t, time.Minute), onlyStore{r.store}, r.store, r.store
	if _, err := otp.New(cfg); err == nil || !strings.Contains(err.Error(), `route "A" has an Await`) {
		t.Errorf("Await without a Queue: %v", err)
	}
	cfg.Wording = template.Config{Brand: "MyBank\r\nBcc: eve@example.com"}
	cfg.Queue = r.store
	if _, err := otp.New(cfg); err == nil {
		t.Error("a brand with a line break passes")
	}
}

// onlyStore hides that a store is a limiter, a tracker and a queue too.
type onlyStore struct{ store.Store }
