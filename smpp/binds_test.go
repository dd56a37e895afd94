package smpp_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// events collects what a client tells.
type events struct {
	mu  sync.Mutex
	all []smpp.Event
}

func (e *events) handle(v smpp.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, v)
}

func (e *events) kinds() []smpp.EventKind {
	e.mu.Lock()
	defer e.mu.Unlock()
	var kinds []smpp.EventKind
	for _, v := range e.all {
		kinds = append(kinds, v.Kind)
	}
	return kinds
}

// Binds are spread over the addresses, and messages over the binds.
func TestManyBinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hosts := map[string]*smpptest.Server{}
		for _, addr := range []string{"a.example:2775", "b.example:2775"} {
			hosts[addr] = smpptest.NewPipeServer(smpptest.Config{})
			t.Cleanup(hosts[addr].Close)
		}
		told := &events{}
		c := newClient(t, smpp.Config{
			Addr: "a.example:2775", Addrs: []string{"b.example:2775"}, Binds: 4, DangerouslyPlaintext: true,
			Event: told.handle,
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return hosts[addr].Dial(ctx, network, addr)
			},
		})
		synctest.Wait()
		var want []smpp.Session
		for i := range 4 {
			want = append(want, smpp.Session{Addr: []string{"a.example:2775", "b.example:2775"}[i%2], Bound: true,
				Since: time.Now()})
		}
		if diff := cmp.Diff(smpp.State{Sessions: want}, c.State()); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		for i := range 20 {
			if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
				t.Fatal(err)
			}
		}
		for addr, s := range hosts {
			perConn := map[int]int{}
			for _, m := range s.Submits() {
				perConn[m.Conn]++
			}
			if perConn[1] != 5 || perConn[2] != 5 {
				t.Errorf("%s: messages per connection are %v, want 5 each", addr, perConn)
			}
		}

		// One host is gone: the other carries on.
		hosts["a.example:2775"].Close()
		synctest.Wait()
		for i := range 5 {
			if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
				t.Error(err)
			}
		}
		bound, lost := smpp.EventBound, smpp.EventLost
		if got := told.kinds(); !slices.Equal(got, []smpp.EventKind{bound, bound, bound, bound, lost, lost}) {
			t.Errorf("events are %v", got)
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := hosts["b.example:2775"].Connections(); n != 0 {
			t.Errorf("%d connections are open after Shutdown", n)
		}
	})
}

// A bind that is slow gets fewer messages.
func TestLeastOutstanding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{Handler: func(m smpptest.Submit) smpptest.Reply {
			return smpptest.Reply{Stall: m.Conn == 1}
		}}, func(c *smpp.Config) { c.Binds, c.Window = 2, 100 })
		synctest.Wait()
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 10 {
			wg.Go(func() { _, _ = c.Send(ctx, message(numbered(i), "482910")) })
			synctest.Wait()
		}
		perConn := map[int]int{}
		for _, m := range s.Submits() {
			perConn[m.Conn]++
		}
		if perConn[1] != 1 || perConn[2] != 9 {
			t.Errorf("messages per connection are %v, want one to that which answers nothing", perConn)
		}
		if st := c.State(); st.Sessions[0].Outstanding+st.Sessions[1].Outstanding != 1 {
			t.Errorf("state is %+v, want one outstanding", st)
		}
		cancel()
		wg.Wait()
	})
}

// bindAs accepts one bind and returns its command_id and body.
func (p *peer) bindAs() (pdu.CommandID, wire.Bind) {
	f := p.Next()
	b, _ := wire.DecodeBind(f.Body)
	_, _ = p.Write(wire.AppendID(nil, f.Response(), 0, f.Seq, "smsc"))
	return f.ID, b
}

// Of a pair messages go over the transmitter and receipts come over the
// receiver.
func TestPair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		submitted := make(chan struct{})
		var answered wire.Header
		got := newReceipts()
		config := peers(t, func(p *peer, _ int) {
			kind, b := p.bindAs()
			if b.Version != 0x50 {
				t.Errorf("interface_version is %#x", b.Version)
			}
			if kind == pdu.BindReceiverID {
				<-submitted
				_, _ = p.Write(deliver(1, "m1"))
				answered = p.Next().Header
			} else if f, ok := p.Await(pdu.SubmitSmID); ok && kind == pdu.BindTransmitterID {
				_, _ = p.Write(accept(f, "m1"))
				close(submitted)
			}
			if f, ok := p.Await(pdu.UnbindID); ok {
				_, _ = p.Write(peertest.Answer(f))
			}
		})
		config.Pair, config.Version, config.Receipt = true, 0x50, got.handle
		c := newClient(t, config)
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Fatal(err)
		}
		if r := got.wait(t, 1)[0]; r.ProviderID != "m1" {
			t.Errorf("receipt is %+v", r)
		}
		if st := c.State(); len(st.Sessions) != 2 || st.Sessions[0].Receiver || !st.Sessions[1].Receiver {
			t.Errorf("state is %+v", st)
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if want := (wire.Header{ID: pdu.DeliverSmRespID, Seq: 1}); answered != want {
			t.Errorf("receipt was answered with %+v", answered)
		}
	})
}

// A receiver alone carries nothing.
func TestPairWithoutTransmitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := peers(t, func(p *peer, _ int) {
			f := p.Next()
			if f.ID == pdu.BindTransmitterID {
				_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), uint32(smpp.StatusSystemError), f.Seq))
				return
			}
			_, _ = p.Write(wire.AppendID(nil, f.Response(), 0, f.Seq, "smsc"))
			p.Drain()
		})
		config.Pair = true
		c := newClient(t, config)
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "")
		if !errors.Is(err, smpp.StatusSystemError) {
			t.Errorf("error is %v", err)
		}
	})
}

// However many binds there are, a wrong password is tried once in a quarter of
// an hour.
func TestManyBindsDoNotHammer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		t.Cleanup(s.Close)
		s.RefuseBinds(smpp.StatusInvalidPassword)
		told := &events{}
		config := piped(s)
		config.Binds, config.Event = 10, told.handle
		c := newClient(t, config)
		wantClass(t, c.Ready(t.Context()), channel.Misconfigured, "0x0E")
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.Binds()); n < 3 || n > 4 {
			t.Errorf("%d binds in an hour, want 3 or 4", n)
		}
		if got := told.kinds(); len(got) != len(s.Binds()) || got[0] != smpp.EventRefused {
			t.Errorf("events are %v for %d binds", got, len(s.Binds()))
		}
		s.RefuseBinds(smpp.StatusOK)
		time.Sleep(19 * time.Minute)
		for i, l := range c.State().Sessions {
			if !l.Bound {
				t.Errorf("bind %d does not stand: %+v", i, l)
			}
		}
	})
}

// An SMSC that allows fewer binds than asked for is used with those.
func TestAlreadyBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		first := true
		config := peers(t, func(p *peer, _ int) {
			if first {
				first = false
				p.bindAs()
				f, ok := p.Await(pdu.SubmitSmID)
				for ; ok; f, ok = p.Await(pdu.SubmitSmID) {
					_, _ = p.Write(accept(f, "m1"))
				}
				return
			}
			f := p.Next()
			tries = append(tries, time.Now())
			_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), uint32(smpp.StatusAlreadyBound), f.Seq))
		})
		config.Binds, config.EnquireLink = 2, 2*time.Hour
		c := newClient(t, config)
		synctest.Wait()
		for range 10 {
			if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for i := 1; i < len(tries); i++ {
			if gap := tries[i].Sub(tries[i-1]); gap < 15*time.Second || gap > 45*time.Second {
				t.Errorf("pause %d is %v, want 15 s to 45 s", i, gap)
			}
		}
		if len(tries) < 10 {
			t.Errorf("%d tries in 10 min", len(tries))
		}
		if err := c.State().Sessions; !errors.Is(err[0].Err, smpp.StatusAlreadyBound) &&
			!errors.Is(err[1].Err, smpp.StatusAlreadyBound) {
			t.Errorf("state is %+v", err)
		}
	})
}
