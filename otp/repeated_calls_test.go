package otp_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestRepeatedVerify: after a lost answer the same call has the same result, and
// costs no second attempt. Another code under the same key is another guess.
func TestRepeatedVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), nil)
		c := b.send(t, otp.Request{Reference: "order-7"})
		verify := func(code, key string) (*otp.Challenge, error) {
			return b.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "user-1", Purpose: "login", Code: code,
				IdempotencyKey: key})
		}
		wrong := other(b.code(t))
		for range 3 {
			_, err := verify(wrong, "k1")
			if e := wantReasonOf(t, err, otp.ReasonWrong); e.AttemptsLeft != 4 {
				t.Errorf("%d attempts left, want 4", e.AttemptsLeft)
			}
		}
		_, err := verify(other(wrong), "k1")
		if e := wantReasonOf(t, err, otp.ReasonWrong); e.AttemptsLeft != 3 {
			t.Errorf("another code under the same key: %d attempts left, want 3", e.AttemptsLeft)
		}
		_, err = verify(wrong, "k1")
		if e := wantReasonOf(t, err, otp.ReasonWrong); e.AttemptsLeft != 4 {
			t.Errorf("the first call again: %d attempts left, want 4", e.AttemptsLeft)
		}
		for i := range 3 {
			got, err := verify(b.code(t), "k2")
			if err != nil || got.Repeated != (i > 0) || got.Outcome != store.Verified || got.Reference != "order-7" ||
				got.Used != channel.Phone || got.Route != "sms" || got.Address != channel.Phone {
				t.Errorf("try %d: %+v, %v", i, got, err)
			}
		}
		_, err = verify(b.code(t), "k3")
		wantReasonOf(t, err, otp.ReasonClosed)
		_, err = verify(b.code(t), "")
		wantReasonOf(t, err, otp.ReasonClosed)
	})
}

// other returns a code that is not code.
func other(code string) string {
	b := []byte(code)
	b[0] = '0' + (b[0]-'0'+1)%10
	return string(b)
}

func wantReasonOf(t testing.TB, err error, reason otp.Reason) *otp.Error {
	t.Helper()
	if otp.ReasonOf(err) != reason {
		t.Fatalf("error %v (%q), want %q", err, otp.ReasonOf(err), reason)
	}
	e, _ := err.(*otp.Error) //nolint:errorlint // the Service's own
	return e
}

// TestParallelRepeatedVerify: of parallel calls with one key all succeed, and no
// other does.
func TestParallelRepeatedVerify(t *testing.T) {
	t.Parallel()
	b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), nil)
	c := b.send(t, otp.Request{})
	code := b.code(t)
	var same, others atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			key, n := "k", &same
			if i%2 == 1 {
				key, n = "", &others
			}
			_, err := b.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "user-1", Purpose: "login", Code: code,
				IdempotencyKey: key})
			if err == nil {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	if s, o := same.Load(), others.Load(); s+o == 0 || s > 0 && o > 0 || o > 1 {
		t.Errorf("%d with the key and %d others succeeded", s, o)
	}
}

// TestRepeatedResend: the same call sends once, and counts once.
func TestRepeatedResend(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), func(c *otp.Config) {
				c.Async = async
				c.Policy.PerRecipient = []otp.Rate{{Most: 3, Per: time.Hour}}
			})
			stop := workUntil(t, b.Service)
			defer stop()
			c := b.send(t, otp.Request{})
			time.Sleep(time.Minute)
			resend := func(key string) (*otp.Challenge, error) {
				return b.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "user-1", IdempotencyKey: key})
			}
			var wg sync.WaitGroup
			var repeated atomic.Int64
			for range 8 {
				wg.Go(func() {
					got, err := resend("k")
					if err != nil {
						t.Error(err)
					} else if got.Repeated {
						repeated.Add(1)
					}
				})
			}
			wg.Wait()
			if got, err := resend("k"); err != nil || !got.Repeated || repeated.Load() != 7 {
				t.Errorf("%+v, %v, %d of 8 repeated", got, err, repeated.Load())
			}
			_, err := resend("another")
			wantReasonOf(t, err, otp.ReasonTooSoon)
			time.Sleep(time.Minute)
			if got, err := resend("another"); err != nil || got.Repeated {
				t.Errorf("%+v, %v", got, err)
			}
			synctest.Wait()
			if n := len(b.route.Accepted()); n != 3 {
				t.Errorf("%d messages, want 3", n)
			}
		})
	}
}

// workUntil runs Work until stop is called.
func workUntil(t *testing.T, s *otp.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// TestCancelAllOfAPurpose: after a change of number no code that was asked for before
// passes, of the purpose or of all, and codes asked for later do.
func TestCancelAllOfAPurpose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), func(c *otp.Config) {
			c.Policy.PerRecipient = []otp.Rate{}
		})
		ask := func(subject, purpose string) (otp.Verification, func() error) {
			c, err := b.Send(t.Context(), otp.Request{Subject: subject, Purpose: purpose,
				To: channel.Recipient{Phone: "+447912345678"}})
			if err != nil {
				t.Fatal(err)
			}
			v := otp.Verification{ID: c.ID, Subject: subject, Purpose: purpose, Code: b.code(t)}
			return v, func() error { _, err := b.Verify(t.Context(), v); return err }
		}
		_, login := ask("u1", "login")
		pv, payment := ask("u1", "payment")
		_, another := ask("u2", "login")
		time.Sleep(time.Second)
		if err := b.CancelAll(t.Context(), otp.Scope{Subject: "u1", Purpose: "login"}); err != nil {
			t.Fatal(err)
		}
		wantReasonOf(t, login(), otp.ReasonClosed)
		if c, err := b.Status(t.Context(), otp.Ref{ID: pv.ID, Subject: "u1"}); err != nil || c.Outcome != store.Open {
			t.Errorf("another purpose: %+v, %v", c, err)
		}
		time.Sleep(time.Second)
		if err := b.CancelAll(t.Context(), otp.Scope{Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		wantReasonOf(t, payment(), otp.ReasonClosed)
		if c, err := b.Status(t.Context(), otp.Ref{ID: pv.ID, Subject: "u1"}); err != nil ||
			c.Outcome != store.Cancelled || c.Next != otp.NextRestart {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := b.Resend(t.Context(), otp.ResendRequest{ID: pv.ID,
			Subject: "u1"}); otp.ReasonOf(err) != otp.ReasonClosed {
			t.Errorf("a Resend: %v", err)
		}
		if err := another(); err != nil {
			t.Errorf("another subject: %v", err)
		}
		time.Sleep(time.Second)
		if _, later := ask("u1", "login"); later() != nil {
			t.Error("a code that was asked for later does not pass")
		}
		wantReasonOf(t, b.CancelAll(t.Context(), otp.Scope{}), otp.ReasonInvalid)
	})
}

// TestSubjectIsNamed: every call names the subject, and a challenge of another is
// not found and costs it nothing.
func TestSubjectIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBrand(t, "Alpha", otp.NewKeyring(), memstore.New(memstore.Config{}), nil)
		c := b.send(t, otp.Request{})
		time.Sleep(time.Minute)
		for range 20 {
			_, err := b.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "user-2", Purpose: "login",
				Code: b.code(t)})
			wantNotFound(t, err)
		}
		_, err := b.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "user-2"})
		wantNotFound(t, err)
		_, err = b.Status(t.Context(), otp.Ref{ID: c.ID, Subject: "user-2"})
		wantNotFound(t, err)
		wantNotFound(t, b.Cancel(t.Context(), otp.Ref{ID: c.ID, Subject: "user-2"}))
		for _, id := range []string{"", "x", c.ID + "a", c.ID[:25], "abcdefghijklmnopqrstuvwxyz"} {
			_, err := b.Verify(t.Context(), otp.Verification{ID: id, Subject: "user-1", Purpose: "login",
				Code: b.code(t)})
			wantNotFound(t, err)
		}
		_, err = b.Verify(t.Context(), otp.Verification{ID: c.ID, Purpose: "login", Code: b.code(t)})
		wantReasonOf(t, err, otp.ReasonInvalid)
		if got, err := b.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "user-1", Purpose: "login",
			Code: b.code(t)}); err != nil || got.AttemptsLeft != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
