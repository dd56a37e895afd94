package smpp_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// blaming are the statuses that blame the credentials or the address.
var blaming = []smpp.Status{smpp.StatusBindFailed, smpp.StatusInvalidPassword, smpp.StatusInvalidSystemID,
	smpp.StatusInvalidSystemType}

// eachBlaming runs f in a bubble for each status that blames the credentials.
func eachBlaming(t *testing.T, f func(t *testing.T, status smpp.Status)) {
	for _, status := range blaming {
		t.Run(status.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, status) })
		})
	}
}

// refuse answers the bind with a status.
func (p *peer) refuse(status smpp.Status) {
	f := p.Next()
	_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), uint32(status), f.Seq))
}

// serve accepts the bind and answers everything until the connection ends.
func (p *peer) serve() {
	p.bindAs()
	for f := p.Next(); f.ID != 0; f = p.Next() {
		switch {
		case f.ID == pdu.SubmitSmID:
			_, _ = p.Write(accept(f, "m1"))
		case !f.IsResponse():
			_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
		}
	}
}

// refusals returns the meanings of the refused binds.
func (e *events) refusals() map[smpp.Refusal]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := map[smpp.Refusal]int{}
	for _, v := range e.all {
		if v.Kind == smpp.EventRefused {
			n[v.Refusal]++
		}
	}
	return n
}

// sends wants n messages to be accepted, one a second.
func sends(t *testing.T, c *smpp.Client, n int) {
	t.Helper()
	for i := range n {
		if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
			t.Errorf("message %d: %v", i, err)
			return
		}
		time.Sleep(time.Second)
	}
}

// A bind too many is refused: the one that stands carries everything, also when it
// is replaced.
func TestSurplusBindRefused(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		var mu sync.Mutex
		standing, refused := 0, 0
		told := &events{}
		config := peers(t, func(p *peer, _ int) {
			mu.Lock()
			full := standing > 0
			if full {
				refused++
			} else {
				standing++
			}
			mu.Unlock()
			if full {
				p.refuse(status)
				return
			}
			p.serve()
			mu.Lock()
			standing--
			mu.Unlock()
		})
		config.Binds, config.Event, config.MaxSession = 3, told.handle, 10*time.Minute
		c := newClient(t, config)
		sends(t, c, 3600)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if n := told.refusals(); n[smpp.RefusedAccepted] != refused || len(n) != 1 {
			t.Errorf("refusals are %v, want %d of accepted credentials", n, refused)
		}
		if refused < 5 || refused > 40 {
			t.Errorf("%d binds refused in an hour", refused)
		}
	})
}

// An SMSC that starts up refuses the bind for a minute.
func TestRefusedWhileStartingUp(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		told := &events{}
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Binds, c.Event = 4, told.handle })
		sends(t, c, 60)
		s.RefuseBinds(status)
		s.Disconnect()
		synctest.Wait()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "")
		if !errors.Is(err, status) {
			t.Errorf("error is %v, want one that says why", err)
		}
		time.Sleep(55 * time.Second)
		s.RefuseBinds(smpp.StatusOK)
		time.Sleep(45 * time.Second)
		sends(t, c, 10)
		for i, v := range c.State().Sessions {
			if !v.Bound {
				t.Errorf("bind %d does not stand: %v", i, v.Err)
			}
		}
		if n := told.refusals(); n[smpp.RefusedCredentials] != 0 || n[smpp.RefusedAccepted] > 14 {
			t.Errorf("refusals are %v", n)
		}
	})
}

// Of a rolling deploy the old process holds the account: the client that is put out
// comes back in seconds, and so does a new one if Classes says what the status is.
func TestRefusedWhileAnotherProcessHoldsTheAccount(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		t.Cleanup(s.Close)
		config := piped(s)
		config.Classes = map[smpp.Status]channel.Class{status: channel.Temporary}
		s.RefuseBinds(status)
		c := newClient(t, config)
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "")
		time.Sleep(20 * time.Second)
		s.RefuseBinds(smpp.StatusOK)
		time.Sleep(45 * time.Second)
		sends(t, c, 1)
	})
}

// A host that refuses, before or after the other has accepted, costs nothing.
func TestSecondHostRefuses(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		for _, first := range []string{"a.example:2775", "b.example:2775"} { // refuses, and at once
			var up atomic.Bool
			config := peers(t, func(p *peer, _ int) {})
			servers := map[string]*smpptest.Server{}
			for _, addr := range []string{"a.example:2775", "b.example:2775"} {
				servers[addr] = smpptest.NewPipeServer(smpptest.Config{})
				t.Cleanup(servers[addr].Close)
			}
			servers[first].RefuseBinds(status)
			config.Addr, config.Addrs = "a.example:2775", []string{"b.example:2775"}
			config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != first && !up.Load() {
					time.Sleep(time.Second)
				}
				return servers[addr].Dial(ctx, network, addr)
			}
			c := newClient(t, config)
			time.Sleep(2 * time.Second)
			up.Store(true)
			sends(t, c, 60)
			for addr, s := range servers { // of the other, the session ends
				if addr != first {
					s.Disconnect()
				}
			}
			synctest.Wait()
			sends(t, c, 60)
			servers[first].RefuseBinds(smpp.StatusOK)
			time.Sleep(6 * time.Minute)
			for i, v := range c.State().Sessions {
				if !v.Bound {
					t.Errorf("bind %d does not stand: %v", i, v.Err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// The SMSC counts the session that MaxSession has replaced for some seconds more.
func TestRefusedAfterMaxSession(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.MaxSession = time.Hour })
		ready(t, c)
		s.RefuseBinds(status)
		time.Sleep(time.Hour + time.Second)
		s.RefuseBinds(smpp.StatusOK)
		time.Sleep(60 * time.Second)
		sends(t, c, 5)
	})
}

// Credentials that were accepted and are revoked then are not tried rapidly.
func TestRevokedCredentialsAreNotHammered(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.Binds = 5 })
		ready(t, c)
		synctest.Wait()
		s.RefuseBinds(status)
		s.Disconnect()
		before := len(s.Binds())
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.Binds()) - before; n < 12 || n > 30 { // five at first
			t.Errorf("%d binds in an hour", n)
		}
		before = len(s.Binds())
		time.Sleep(15 * time.Minute)
		if n := len(s.Binds()) - before; n > 4 {
			t.Errorf("then %d binds in a quarter of an hour", n)
		}
	})
}

// Vendor statuses mean what Config.Classes says; without it they are temporary.
func TestVendorRefusalFollowsClasses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status      smpp.Status
		class       channel.Class // of Classes; 0: none
		want        channel.Class
		refusal     smpp.Refusal
		least, most int // binds in an hour
	}{
		{0x40C, 0, channel.Temporary, smpp.RefusedForNow, 100, 250},
		{0x40D, channel.Misconfigured, channel.Misconfigured, smpp.RefusedCredentials, 3, 4},
		{0x40D, channel.Temporary, channel.Temporary, smpp.RefusedForNow, 100, 250},
		{smpp.StatusBindFailed, channel.Temporary, channel.Temporary, smpp.RefusedForNow, 100, 250},
	} {
		t.Run(tt.status.String()+" "+tt.class.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				told := &events{}
				s := smpptest.NewPipeServer(smpptest.Config{})
				t.Cleanup(s.Close)
				s.RefuseBinds(tt.status)
				config := piped(s)
				config.Event = told.handle
				if tt.class != 0 {
					config.Classes = map[smpp.Status]channel.Class{tt.status: tt.class}
				}
				c := newClient(t, config)
				_, err := c.Send(t.Context(), message(ann, "482910"))
				if channel.ClassOf(err) != tt.want || !errors.Is(err, tt.status) {
					t.Errorf("error is %v", err)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := told.refusals()[tt.refusal]; n < tt.least || n > tt.most {
					t.Errorf("refusals are %v, want %d to %d", told.refusals(), tt.least, tt.most)
				}
			})
		})
	}
}

// A transmitter needs no receiver: one that the SMSC refuses, also at once, is
// reported and keeps no message.
func TestPairWithoutReceiver(t *testing.T) {
	t.Parallel()
	eachBlaming(t, func(t *testing.T, status smpp.Status) {
		told := &events{}
		config := peers(t, func(p *peer, _ int) {
			f := p.Next()
			if f.ID == pdu.BindReceiverID {
				_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), uint32(status), f.Seq))
				return
			}
			time.Sleep(time.Second) // the receiver is refused before
			_, _ = p.Write(wire.AppendID(nil, f.Response(), 0, f.Seq, "smsc"))
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if f.ID == pdu.SubmitSmID {
					_, _ = p.Write(accept(f, "m1"))
				} else if !f.IsResponse() {
					_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), 0, f.Seq))
				}
			}
		})
		config.Pair, config.Event = true, told.handle
		c := newClient(t, config)
		sends(t, c, 100)
		told.mu.Lock()
		defer told.mu.Unlock()
		for _, e := range told.all {
			if e.Receiver != (e.Kind == smpp.EventRefused) {
				t.Errorf("event is %+v", e)
			}
		}
		if len(told.all) < 2 {
			t.Errorf("events are %+v", told.all)
		}
		if st := c.State().Sessions; !st[0].Bound || st[1].Bound || !errors.Is(st[1].Err, status) {
			t.Errorf("state is %+v", st)
		}
	})
}

func TestTransmitterOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := peers(t, func(p *peer, _ int) {
			f := p.Next()
			if f.ID != pdu.BindTransmitterID {
				t.Errorf("bound as %#x", uint32(f.ID))
			}
			_, _ = p.Write(wire.AppendID(nil, f.Response(), 0, f.Seq, "smsc"))
			if f, ok := p.Await(pdu.SubmitSmID); ok {
				_, _ = p.Write(accept(f, "m1"))
			}
			p.Drain()
		})
		config.TransmitterOnly = true
		c := newClient(t, config)
		sends(t, c, 1)
		if st := c.State().Sessions; len(st) != 1 || st[0].Receiver {
			t.Errorf("state is %+v", st)
		}
	})
}
