package smppserver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestClosedFromCallback: closing the server in a callback returns an error,
// instead of waiting for itself for ever.
func TestClosedFromCallback(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(c *smppserver.Config, callback func()){
		"OnReceipt": func(c *smppserver.Config, callback func()) {
			c.OnReceipt = func(string, smppserver.DeliveryReceipt, error) { callback() }
		},
		"OnReceipt when its session ends": func(c *smppserver.Config, callback func()) {
			c.ReceiptTimeout, c.ReceiptAttempts, c.InactivityTimeout = time.Hour, 1, time.Second
			c.OnReceipt = func(string, smppserver.DeliveryReceipt, error) { callback() }
		},
		"OnBind": func(c *smppserver.Config, callback func()) {
			c.OnBind = func(smppserver.BindRequest, smpp.Status) { callback() }
		},
		"Authenticate": func(c *smppserver.Config, callback func()) {
			c.Authenticate = func(context.Context,
				smppserver.BindRequest) smpp.Status {
				callback()
				return smpp.StatusOK
			}
		},
		"Handler": func(c *smppserver.Config, callback func()) {
			c.Handler = func(context.Context, *smppserver.Submit) (string, error) { callback(); return "", nil }
		},
		"AsyncHandler": func(c *smppserver.Config, callback func()) {
			c.Handler = nil
			c.AsyncHandler = func(_ context.Context, _ *smppserver.Submit, answer func(string, error)) {
				callback()
				answer("m1", nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peertest.ClosesItself(t, 20*time.Second, func(t *testing.T, callback func()) peertest.Closer {
				config := serverConfig()
				set(&config, callback)
				s, err := smppserver.New(config)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					_ = s.Deliver("bank", smppserver.DeliveryReceipt{ID: "m1", From: ann, To: "MyBank"})
				}
				e := dial(t, s)
				go func() {
					e.Write(bindFrame(t, pdu.BindTransceiverID, "bank", "secret"))
					e.Write(submitFrame(2, nil))
					for f := e.Next(); f.ID != 0; f = e.Next() {
						if !f.IsResponse() && (f.ID != pdu.DeliverSmID || config.ReceiptAttempts != 1) {
							e.Write(peertest.Answer(f))
						}
					}
				}()
				return s
			})
		})
	}
}

// TestCloseWithDeafCallback: nor does a callback that never ends, whatever its
// ctx says, keep Close from returning.
func TestCloseWithDeafCallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		config := serverConfig()
		config.Handler = func(context.Context, *smppserver.Submit) (string, error) { <-release; return "", nil }
		s := startServer(t, config)
		bound(t, s).Write(submitFrame(2, nil))
		synctest.Wait()
		for n, want := range []time.Duration{5 * time.Second, 0} { // the time is counted once
			began := time.Now()
			if err := s.Close(); err == nil || time.Since(began) != want {
				t.Errorf("Close %d: %v after %v, want an error after %v", n+1, err, time.Since(began), want)
			}
		}
		close(release)
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("once it has ended: %v", err)
		}
	})
}
