package smpp_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestShutdownWithoutAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			p.Drain()
		})
		c := newClient(t, config)
		ready(t, c)
		began := time.Now()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		took(t, began, 10*time.Second)
	})
}

// A receipt that is being handed over is answered before the session parts, and
// one that hangs holds it up no longer than a response may take.
func TestShutdownAnswersReceipts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		takes, shutdown time.Duration
		want            []pdu.CommandID
	}{
		{3 * time.Second, 2 * time.Second, []pdu.CommandID{pdu.DeliverSmRespID, pdu.UnbindID}},
		{time.Hour, 60 * time.Second, []pdu.CommandID{pdu.UnbindID}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []pdu.CommandID
			done := make(chan struct{})
			config := peers(t, func(p *peer, _ int) {
				defer close(done)
				p.bind()
				_, _ = p.Write(deliver(5, "m1"))
				for f := p.Next(); f.ID != 0; f = p.Next() {
					switch f.ID {
					case pdu.EnquireLinkID:
						_, _ = p.Write(peertest.Answer(f))
						continue
					case pdu.UnbindID:
						_, _ = p.Write(peertest.Answer(f))
					}
					got = append(got, f.ID)
				}
			})
			config.ResponseTimeout = 60 * time.Second
			release := make(chan struct{})
			config.Receipt = func(context.Context, channel.Receipt) error {
				select {
				case <-time.After(tt.takes):
				case <-release: // deaf to its ctx
				}
				return nil
			}
			c := newClient(t, config)
			ready(t, c)
			time.Sleep(time.Second)
			began := time.Now()
			go func() {
				<-done
				took(t, began, tt.shutdown)
				close(release)
			}()
			if err := c.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			<-done
			if !slices.Equal(got, tt.want) {
				t.Errorf("the SMSC heard %v, want %v", got, tt.want)
			}
		})
	}
}

func TestShutdownDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.On(ann, smpptest.Reply{Stall: true})
		sent := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(ann, "482910"))
			sent <- err
		}()
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		wantClass(t, <-sent, channel.Unknown, "")
		took(t, began, 3*time.Second)
	})
}

// Sends that wait for a bind do not hold up Shutdown.
func TestShutdownUnbound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := refusing(t, smpp.StatusSystemError)
		began := time.Now()
		go func() {
			_, err := c.Send(context.Background(), message(ann, "482910"))
			if channel.ClassOf(err) != channel.Temporary || !errors.Is(err, smpp.ErrClosed) {
				t.Errorf("Send: %v", err)
			}
		}()
		synctest.Wait()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		took(t, began, 0)
	})
}

// TestShutdownWhileBinding: a bind that is under way is waited for, since the
// SMSC may have accepted it, and unbound.
func TestShutdownWhileBinding(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]smpp.Status{"accepted": smpp.StatusOK, "refused": smpp.StatusSystemError} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				heard := make(chan pdu.CommandID, 2)
				c := newClient(t, peers(t, func(p *peer, _ int) {
					f, _ := p.Await(pdu.BindTransceiverID)
					time.Sleep(2 * time.Second)
					_, _ = p.Write(wire.AppendID(nil, f.Response(), uint32(status), f.Seq, "smsc"))
					f = p.Next()
					heard <- f.ID
					_, _ = p.Write(peertest.Answer(f))
				}))
				time.Sleep(time.Second)
				began := time.Now()
				if err := c.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				took(t, began, time.Second)
				want := pdu.UnbindID
				if status != smpp.StatusOK {
					want = 0 // closed
				}
				if got := <-heard; got != want {
					t.Errorf("then the SMSC heard %v, want %v", got, want)
				}
			})
		})
	}
}

// TestShutdownWhileConnecting: nothing was said yet, so nothing is waited for.
func TestShutdownWhileConnecting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := peers(t, func(p *peer, _ int) { _, _ = io.Copy(io.Discard, p) })
		config.DangerouslyPlaintext = false // the handshake is not answered
		c := newClient(t, config)
		time.Sleep(time.Second)
		began := time.Now()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		took(t, began, 0)
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	smsc := newServer(t, smpptest.Config{})
	smsc.On(ann, smpptest.Reply{Delay: 50 * time.Millisecond})
	got := newReceipts()
	config := plain(smsc)
	config.Receipt = got.handle
	c := newClient(t, config)
	ready(t, c)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Send(context.Background(), message(ann, "482910"))
		sent <- err
	}()
	waitSubmits(t, smsc, 1)
	if err := c.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Errorf("Send during Shutdown: %v", err)
	}
	_, err := c.Send(t.Context(), message(ann, "482910"))
	wantClass(t, err, channel.Temporary, "")
	if !errors.Is(err, smpp.ErrClosed) {
		t.Errorf("Send after Shutdown: %v", err)
	}
	for range 2 {
		if err := errors.Join(c.Shutdown(t.Context()), c.Close()); err != nil {
			t.Errorf("again: %v", err)
		}
	}
}
