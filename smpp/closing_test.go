package smpp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestClosedFromCallback: a callback that closes its client is told that it
// waits for itself, instead of doing so for ever.
func TestClosedFromCallback(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(c *smpp.Config, callback func()){
		"Receipt": func(c *smpp.Config, callback func()) {
			c.Receipt = func(context.Context, channel.Receipt) error { callback(); return nil }
		},
		"Inbound": func(c *smpp.Config, callback func()) {
			c.Inbound = func(context.Context, smpp.Inbound) error { callback(); return nil }
		},
		"Event": func(c *smpp.Config, callback func()) { c.Event = func(smpp.Event) { callback() } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peertest.ClosesItself(t, 40*time.Second, func(t *testing.T, callback func()) peertest.Closer {
				config := peers(t, func(p *peer, _ int) {
					p.bind()
					_, _ = p.Write(deliver(1, "m1"))
					_, _ = p.Write(wire.AppendMessage(nil, pdu.DeliverSmID, 2, from("STOP")))
					for f := p.Next(); f.ID != 0; f = p.Next() {
						if !f.IsResponse() {
							_, _ = p.Write(peertest.Answer(f))
						}
					}
				})
				set(&config, callback)
				c, err := smpp.New(config)
				if err != nil {
					t.Fatal(err)
				}
				return c
			})
		})
	}
}

// TestServerClosedFromCallback is the same for a server.
func TestServerClosedFromCallback(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(c *smpp.ServerConfig, callback func()){
		"OnReceipt": func(c *smpp.ServerConfig, callback func()) {
			c.OnReceipt = func(string, smpp.DeliveryReceipt, error) { callback() }
		},
		"OnReceipt when its session ends": func(c *smpp.ServerConfig, callback func()) {
			c.ReceiptTimeout, c.ReceiptAttempts, c.InactivityTimeout = time.Hour, 1, time.Second
			c.OnReceipt = func(string, smpp.DeliveryReceipt, error) { callback() }
		},
		"OnBind": func(c *smpp.ServerConfig, callback func()) {
			c.OnBind = func(smpp.BindRequest, smpp.Status) { callback() }
		},
		"Authenticate": func(c *smpp.ServerConfig, callback func()) {
			c.Authenticate = func(context.Context, smpp.BindRequest) smpp.Status { callback(); return smpp.StatusOK }
		},
		"Handler": func(c *smpp.ServerConfig, callback func()) {
			c.Handler = func(context.Context, *smpp.Submit) (string, error) { callback(); return "", nil }
		},
		"AsyncHandler": func(c *smpp.ServerConfig, callback func()) {
			c.Handler = nil
			c.AsyncHandler = func(_ context.Context, _ *smpp.Submit, answer func(string, error)) {
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
				s, err := smpp.NewServer(config)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					_ = s.Deliver("bank", smpp.DeliveryReceipt{ID: "m1", From: ann, To: "MyBank"})
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
		config.Handler = func(context.Context, *smpp.Submit) (string, error) { <-release; return "", nil }
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
