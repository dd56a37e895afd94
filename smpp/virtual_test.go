package smpp_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
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

// newPipe is a server and a client of it in a bubble, both closed with the test.
func newPipe(t *testing.T, server smpptest.Config, edit func(*smpp.Config)) (*smpptest.Server, *smpp.Client) {
	t.Helper()
	s := smpptest.NewPipeServer(server)
	t.Cleanup(s.Close)
	config := piped(s)
	if edit != nil {
		edit(&config)
	}
	return s, newClient(t, config)
}

// refusing is a server that refuses binds and a client of it.
func refusing(t *testing.T, status smpp.Status) (*smpptest.Server, *smpp.Client) {
	t.Helper()
	s := smpptest.NewPipeServer(smpptest.Config{})
	t.Cleanup(s.Close)
	s.RefuseBinds(status)
	return s, newClient(t, piped(s))
}

// took requires that virtual time has passed since.
func took(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(since); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestResponseTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Stall: true}, smpptest.Reply{})
		began := time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		took(t, began, 10*time.Second)
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Errorf("the slot was not given back: %v", err)
		}
		took(t, began, 10*time.Second)
	})
}

func TestLateResponseIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Delay: 11 * time.Second, ID: "late"}, smpptest.Reply{Delay: 5 * time.Second, ID: "own"})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		sub, err := c.Send(t.Context(), message(ann, "482910"))
		if err != nil || sub.ProviderIDs[0] != "own" {
			t.Errorf("Send: %v, %v; want its own response", sub, err)
		}
	})
}

// Each message has its own time, whatever became of those before.
func TestResponseTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.Handle(func(smpptest.Submit) smpptest.Reply { return smpptest.Reply{Stall: true} })
		ready(t, c)
		for i := range 5 {
			time.Sleep(3 * time.Second)
			go func() {
				began := time.Now()
				_, err := c.Send(context.Background(), message(numbered(i), "482910"))
				if channel.ClassOf(err) != channel.Unknown || time.Since(began) != 10*time.Second {
					t.Errorf("message %d: %v after %v", i, err, time.Since(began))
				}
			}()
		}
		time.Sleep(time.Minute)
	})
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Stall: true}, smpptest.Reply{})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Millisecond) // behind the other
			_, err := c.Send(ctx, message(ann, "482910"))
			if channel.ClassOf(err) != channel.Temporary || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waiting for the window: %v, want class temporary", err)
			}
		}()
		_, err := c.Send(ctx, message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cause is %v", err)
		}
		took(t, began, time.Second)

		// The SMSC may still be at work on it: its slot is taken until it
		// has answered or is given up.
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		took(t, began, 10*time.Second)
		if n := len(s.Submits()); n != 2 {
			t.Errorf("%d submit_sm, want 2", n)
		}
	})
}

func TestExpiresWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Window = 1 })
		s.On(ann, smpptest.Reply{Stall: true}, smpptest.Reply{})
		go func() { _, _ = c.Send(context.Background(), message(ann, "482910")) }()
		synctest.Wait()
		m := message(ann, "482910")
		m.Expires = time.Now().Add(5 * time.Second)
		_, err := c.Send(t.Context(), m)
		wantClass(t, err, channel.Expired, "")
		if n := len(s.Submits()); n != 1 {
			t.Errorf("%d submit_sm, want 1", n)
		}
	})
}

// A message that finds no bind waits no longer than it lives.
func TestExpiresUnbound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, peers(t, func(p *peer, _ int) { p.Drain() }))
		for _, life := range []time.Duration{-time.Second, 0, 3 * time.Second} {
			m := message(ann, "482910")
			m.Expires = time.Now().Add(life)
			began := time.Now()
			_, err := c.Send(t.Context(), m)
			wantClass(t, err, channel.Expired, "")
			took(t, began, max(life, 0))
		}
	})
}

func TestEnquireLinkKeepsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var links int
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if f.ID == pdu.EnquireLinkID {
					links++
					_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
				}
			}
		}))
		ready(t, c)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if links != 120 {
			t.Errorf("%d enquire_link in an hour, want 120", links)
		}
	})
}

func TestEnquireLinkUnanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var binds []time.Time
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			binds = append(binds, time.Now())
			p.Drain()
		}))
		ready(t, c)
		began := time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910")) // does not count as an answer either
		wantClass(t, err, channel.Unknown, "")
		time.Sleep(time.Minute - time.Since(began))
		synctest.Wait()
		if len(binds) != 2 || binds[1].Sub(binds[0]) != 40*time.Second {
			t.Errorf("binds at %v, want a second one 40 s after the first", binds)
		}
	})
}

// A full window must not keep enquire_link from being sent.
func TestEnquireLinkBesideFullWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Window, c.ResponseTimeout, c.EnquireLink = 1, time.Hour, time.Minute
		})
		s.On(ann, smpptest.Reply{Delay: 50 * time.Minute})
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if n := len(s.Binds()); n != 1 {
			t.Errorf("%d binds, want 1", n)
		}
	})
}

func TestReconnectBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials []time.Time
		newClient(t, smpp.Config{
			Addr: "smsc.example:2775", DangerouslyPlaintext: true,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				dials = append(dials, time.Now())
				return nil, errors.New("connection refused")
			},
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		nominal := 500 * time.Millisecond
		for i := 1; i < len(dials); i++ {
			if gap := dials[i].Sub(dials[i-1]); gap < nominal/2 || gap > nominal*3/2+time.Microsecond {
				t.Errorf("pause %d is %v, want %v ± 50 %%", i, gap, nominal)
			}
			nominal = min(2*nominal, 30*time.Second)
		}
		if n := len(dials); n < 90 || n > 250 {
			t.Errorf("%d tries in an hour", n)
		}
	})
}

// An SMSC that takes the bind and hangs up must not be hammered either.
func TestShortSessionsBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var binds int
		newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			binds++
		}))
		time.Sleep(time.Hour)
		synctest.Wait()
		if binds < 90 || binds > 250 {
			t.Errorf("%d binds in an hour", binds)
		}
	})
}

func TestWrongPasswordIsNotHammered(t *testing.T) {
	t.Parallel()
	for _, status := range []smpp.Status{smpp.StatusInvalidPassword, smpp.StatusBindFailed, smpp.StatusInvalidSystemID} {
		t.Run(status.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := refusing(t, status)
				wantClass(t, c.Ready(t.Context()), channel.Misconfigured, status.Code())
				began := time.Now()
				for range 100 {
					_, err := c.Send(t.Context(), message(ann, "482910"))
					wantClass(t, err, channel.Misconfigured, status.Code())
				}
				took(t, began, 0)
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := len(s.Binds()); n < 3 || n > 4 {
					t.Errorf("%d binds in an hour, want one every 15 min to 18 min 45 s", n)
				}
				s.RefuseBinds(smpp.StatusOK)
				time.Sleep(19 * time.Minute)
				if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
					t.Errorf("after the credentials were right: %v", err)
				}
			})
		})
	}
}

// A refusal of the credentials stands until the SMSC answers a bind otherwise;
// a connection that fails tells nothing.
func TestRefusalEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then smpp.Status // answers the second bind; OK: the connection fails
		want channel.Class
		code string
	}{
		"already bound":      {smpp.StatusAlreadyBound, channel.Temporary, ""},
		"system error":       {smpp.StatusSystemError, channel.Temporary, ""},
		"wrong again":        {smpp.StatusBindFailed, channel.Misconfigured, "0x0D"},
		"connection refused": {smpp.StatusOK, channel.Misconfigured, "0x0E"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := refusing(t, smpp.StatusInvalidPassword)
				synctest.Wait()
				_, err := c.Send(t.Context(), message(ann, "482910"))
				wantClass(t, err, channel.Misconfigured, "0x0E")
				s.RefuseBinds(tt.then)
				if tt.then == smpp.StatusOK {
					s.Close()
				}
				time.Sleep(19 * time.Minute) // RefusedWait is at most 18 min 45 s
				_, err = c.Send(t.Context(), message(ann, "482910"))
				wantClass(t, err, tt.want, tt.code)
			})
		})
	}
}

func TestAlreadyBoundIsTemporary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := refusing(t, smpp.StatusAlreadyBound)
		began := time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "")
		if !errors.Is(err, smpp.StatusAlreadyBound) {
			t.Errorf("error is %v, want one that says why", err)
		}
		took(t, began, 5*time.Second)
		s.RefuseBinds(smpp.StatusOK)
		time.Sleep(time.Minute)
		if err := c.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSendWaitsForBind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		t.Cleanup(s.Close)
		config := piped(s)
		config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			return s.Dial(ctx, network, addr)
		}
		c := newClient(t, config)
		began := time.Now()
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		took(t, began, 3*time.Second)
	})
}

func TestBindTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, peers(t, func(p *peer, _ int) { p.Drain() }))
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second+time.Millisecond)
		defer cancel()
		err := c.Ready(ctx)
		wantClass(t, err, channel.Temporary, "")
		if !strings.Contains(err.Error(), "bind_transceiver") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
	})
}

// A session that stood long is replaced at once, and nothing is lost: 24 h is
// a limit of OTP Blue's integration guide.
func TestMaxSessionDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		ready(t, c)
		for range 3 {
			time.Sleep(24 * time.Hour)
			s.Disconnect()
			synctest.Wait() // a message on its way at that very moment is lost
			began := time.Now()
			if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
				t.Error(err)
			}
			took(t, began, 0)
		}
		if n := len(s.Messages()); n != 3 {
			t.Errorf("%d messages, want 3", n)
		}
	})
}

// Binds that began together do not end together.
func TestMaxSessionIsSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ages []time.Duration
		began := time.Now()
		_, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Binds, c.MaxSession = 10, time.Hour
			c.Event = func(e smpp.Event) {
				if e.Kind == smpp.EventLost {
					ages = append(ages, time.Since(began))
				}
			}
		})
		ready(t, c)
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		slices.Sort(ages)
		if len(ages) != 10 || ages[0] < time.Hour*99/100 || ages[9] > time.Hour || len(slices.Compact(ages)) < 2 {
			t.Errorf("sessions ended after %v", ages)
		}
	})
}

// What was given to a connection whose peer does not read may have arrived;
// what waited behind it has not and looks for the next bind.
func TestPeerStopsReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		config := peers(t, func(p *peer, n int) {
			if n == 1 {
				p.bind()
			}
			<-done
		})
		config.ResponseTimeout = time.Minute
		c := newClient(t, config)
		t.Cleanup(func() { close(done) })
		ready(t, c)
		began := time.Now()
		behind := make(chan error)
		go func() {
			time.Sleep(time.Second)
			_, err := c.Send(t.Context(), message(ann, "482910"))
			behind <- err
		}()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		took(t, began, 10*time.Second)
		wantClass(t, <-behind, channel.Temporary, "")
		took(t, began, 15*time.Second)
	})
}

// A peer that does not read holds up a Send whose ctx ends for WriteTimeout at
// most.
func TestContextEndsWhileWriting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		config := peers(t, func(p *peer, _ int) {
			p.bind()
			<-done
		})
		config.WriteTimeout = 3 * time.Second
		c := newClient(t, config)
		t.Cleanup(func() { close(done) })
		ready(t, c)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

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

func TestUnbindFromSMSC(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.On(ann, smpptest.Reply{Delay: time.Second}, smpptest.Reply{})
		sent := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(ann, "482910"))
			sent <- err
		}()
		synctest.Wait()
		s.Unbind() // closes when answered, with one outstanding
		wantClass(t, <-sent, channel.Unknown, "")
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Errorf("over the next session: %v", err)
		}
		if n := len(s.Binds()); n != 2 {
			t.Errorf("%d binds, want 2", n)
		}
	})
}

// An SMSC that unbinds and still answers what is outstanding is listened to.
func TestUnbindThenResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		c := newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			f, ok := p.Await(pdu.SubmitSmID)
			if !ok {
				return
			}
			_, _ = p.Write(wire.AppendEmpty(nil, pdu.UnbindID, 0, 1))
			if _, ok := p.Await(pdu.UnbindRespID); ok {
				time.Sleep(time.Second)
				_, _ = p.Write(accept(f, "m1"))
			}
			p.Drain() // until the client closes: the SMSC has had its say
			ended <- time.Now()
		}))
		began := time.Now()
		sub, err := c.Send(t.Context(), message(ann, "482910"))
		if err != nil || sub.ProviderIDs[0] != "m1" {
			t.Errorf("Send: %v, %v", sub, err)
		}
		if d := (<-ended).Sub(began); d != time.Second {
			t.Errorf("the client closed after %v, want at once when nothing was outstanding", d)
		}
	})
}

// 0x04 for a message means that no other would fare better on this session.
func TestNotBoundStatusRebinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.On(ann, smpptest.Reply{Status: smpp.StatusInvalidBindStatus}, smpptest.Reply{})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "0x04")
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if n := len(s.Binds()); n != 2 {
			t.Errorf("%d binds, want 2", n)
		}
	})
}
