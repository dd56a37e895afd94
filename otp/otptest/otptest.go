package otptest

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
)

// A Service is an [otp.Service] whose messages go to an Inbox.
type Service struct {
	*otp.Service
	Inbox *Inbox

	t     testing.TB
	store *switched
}

// New returns a Service for c. Channel, Receipts, Store, Limiter, Tracker and
// Queue of c must be empty, because New sets them. If c has no Keys, New makes
// some; if it has no brand, the brand is "Test". The routes are "sms", "email",
// "push" and "chat", in this order. Work runs until the test ends. If otp.New
// refuses the Config, the test fails at once.
func New(t testing.TB, c otp.Config) *Service {
	t.Helper()
	carried := c.Channel != nil || c.Receipts != nil
	if stored := c.Store != nil || c.Limiter != nil || c.Tracker != nil || c.Queue != nil; carried || stored {
		t.Fatal("otptest: New brings the channel, the receipts and the store: leave these fields of the Config empty")
	}
	s := &Service{Inbox: newInbox(t), t: t, store: newSwitched()}
	routes, err := failover.New(failover.Config{Router: failover.List(s.Inbox.routes()...)})
	if err != nil {
		t.Fatal("otptest:", err)
	}
	c.Channel, c.Receipts, c.Store = routes, &s.Inbox.receipts, s.store
	c.Wording.Brand = cmp.Or(c.Wording.Brand, "Test")
	if c.Keys.Current == "" && len(c.Keys.Keys) == 0 {
		c.Keys = otp.NewKeyring()
	}
	if s.Service, err = otp.New(c); err != nil {
		t.Fatal(err)
	}
	s.work()
	return s
}

// work runs Work until the test ends.
func (s *Service) work() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Work(ctx) // it returns when ctx ends
	}()
	s.t.Cleanup(func() {
		stop()
		<-done
	})
}

// Down makes every call of the store fail if down is true, as if its server were
// unreachable. Send, Resend and Verify then return an error that matches
// [otp.ErrUnavailable]. Down(false) ends that.
func (s *Service) Down(down bool) { s.store.down.Store(down) }

// Lock locks a subject as a guessing stranger would: by wrong codes, until
// [otp.Policy].MaxFailures is reached. The Inbox does not show the codes for
// this.
func (s *Service) Lock(subject string) {
	s.t.Helper()
	ctx := context.Background()
	for n := range 101 { // MaxFailures is 100 at most
		mine, err := s.lockCode(ctx, subject, n)
		if otp.ReasonOf(err) == otp.ReasonLocked {
			return
		}
		other, failed := s.lockCode(ctx, subject+" and another", n)
		if err != nil || failed != nil {
			s.t.Fatalf("otptest: Lock: %v", cmp.Or(err, failed))
		}
		if wrong := other.code; wrong != mine.code {
			s.guess(ctx, otp.Verification{ID: mine.id, Subject: subject, Code: wrong})
		}
	}
	s.t.Fatal("otptest: Lock: wrong codes did not lock the subject")
}

type sentCode struct{ id, code string }

// lockCode sends a code to an address that only Lock uses.
func (s *Service) lockCode(ctx context.Context, subject string, n int) (sentCode, error) {
	to := fmt.Sprintf("%d.%d@%s", n, time.Now().UnixNano(), lockDomain)
	c, err := s.Send(ctx, otp.Request{Subject: subject, To: channel.Recipient{Email: to}})
	if err != nil {
		return sentCode{}, err
	}
	m, err := s.Inbox.wait(to)
	if err != nil {
		return sentCode{}, err
	}
	return sentCode{c.ID, m.Code}, nil
}

// guess verifies a wrong code until the challenge has no attempt left.
func (s *Service) guess(ctx context.Context, v otp.Verification) {
	for range 10 { // MaxAttempts is 10 at most
		if _, err := s.Verify(ctx, v); otp.ReasonOf(err) != otp.ReasonWrong {
			return
		}
	}
}
