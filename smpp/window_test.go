package smpp

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// newTestSession is a session that nobody serves.
func newTestSession(t *testing.T, window int) *session {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	s := newSession(&Config{Window: window, ResponseTimeout: time.Minute}, a, a, wire.NewReader(a))
	t.Cleanup(func() { s.expiry.Stop() })
	return s
}

// submitOne submits a message for which the window has a slot.
func submitOne(t *testing.T, s *session) *call {
	t.Helper()
	c := newCall()
	if err := s.submit(c, &wire.Message{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSequenceWraps(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, 3)
	s.seq = wire.MaxSequence - 1
	var got []uint32
	for range 3 {
		got = append(got, submitOne(t, s).seq)
	}
	if got[0] != wire.MaxSequence || got[1] != 1 || got[2] != 2 {
		t.Errorf("sequence numbers are %x", got)
	}
	s.seq = wire.MaxSequence // 1 and 2 are outstanding still
	if seq := s.nextSeq(); seq != 3 {
		t.Errorf("next is %d, want 3", seq)
	}
}

// However calls end, each ends once and its slot comes back.
func TestCallsEndOnce(t *testing.T) {
	t.Parallel()
	const n = 5
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}} {
		s := newTestSession(t, n)
		var calls []*call
		for range n {
			calls = append(calls, submitOne(t, s))
		}
		for i, at := range order {
			seq := calls[at].seq
			if !s.complete(pdu.SubmitSmRespID, seq, outcome{id: "id"}) || s.complete(pdu.SubmitSmRespID, seq, outcome{id: "again"}) {
				t.Fatalf("order %v: call %d did not end once", order, at)
			}
			if o := <-calls[at].done; o.id != "id" {
				t.Errorf("order %v: outcome is %+v", order, o)
			}
			if s.slots != i+1 || len(s.calls) != n-i-1 {
				t.Errorf("order %v: %d slots, %d calls after %d", order, s.slots, len(s.calls), i+1)
			}
		}
		if s.open != (callList{}) {
			t.Errorf("order %v: the list is not empty", order)
		}
	}
}

// Whoever waits for the window is served in order, also past those who gave up,
// and no slot is lost on the way.
func TestWindowLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestSession(t, 1)
		first := submitOne(t, s)
		if err := s.submit(newCall(), &wire.Message{}, time.Now()); !errors.Is(err, errWindowFull) {
			t.Fatalf("window of one takes two: %v", err)
		}
		var served []int
		var giveUp []context.CancelFunc
		for i := range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			giveUp = append(giveUp, cancel)
			go func() {
				c := newCall()
				if err := s.wait(ctx, c); err != nil {
					if channel.ClassOf(err) != channel.Temporary || !errors.Is(err, context.Canceled) {
						t.Errorf("error is %v", err)
					}
					return
				}
				served = append(served, i)
				s.giveBack(c)
			}()
			synctest.Wait()
		}
		giveUp[0]()
		giveUp[2]()
		synctest.Wait()
		if len(served) != 0 {
			t.Errorf("served before there is a slot: %v", served)
		}
		s.complete(pdu.SubmitSmRespID, first.seq, outcome{})
		synctest.Wait()
		if !slices.Equal(served, []int{1, 3}) || s.slots != 1 || s.waiting != (callList{}) {
			t.Errorf("served %v; %d slots", served, s.slots)
		}
		giveUp[1]()
		giveUp[3]()
	})
}

// A slot that is handed over to one who gives up meanwhile goes on to the next.
func TestWindowSlotNotTaken(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, 1)
	open, leaving, next := submitOne(t, s), newCall(), newCall()
	s.waiting.push(leaving)
	s.waiting.push(next)
	s.complete(pdu.SubmitSmRespID, open.seq, outcome{})
	s.giveBack(leaving) // has its slot already
	if leaving.holds || !next.holds || len(next.granted) != 1 || len(leaving.granted) != 0 || s.slots != 0 {
		t.Errorf("the slot did not go on: %d free", s.slots)
	}
	s.giveBack(next)
	if s.slots != 1 || len(next.granted) != 0 {
		t.Errorf("%d slots in the end", s.slots)
	}
}

// What a connection was given may have arrived, what it was not has not.
func TestAbandonClasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestSession(t, 2)
		go s.out.Run()
		submit := func() *call {
			c := submitOne(t, s)
			synctest.Wait()
			return c
		}
		first := submit() // stays in Write, as nobody reads
		second := submit()
		s.out.Stop()
		s.abandon(errUnbound)
		if o := <-first.done; o.err.Class != channel.Unknown {
			t.Errorf("written: %v", o.err)
		}
		if o := <-second.done; o.err.Class != channel.Temporary {
			t.Errorf("not written: %v", o.err)
		}
		if err := s.submit(newCall(), &wire.Message{}, time.Now()); !errors.Is(err, errRetired) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// A session that is bound while the client closes takes no messages.
func TestAttachWhileClosing(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, 1)
	s.onRetire = func(error) {}
	c := &Client{life: transport.NewLifecycle(ErrClosed, errExpired)}
	c.life.Refuse()
	l := &link{client: c, host: &host{}}
	c.links = []*link{l}
	c.attach(l, s)
	select {
	case <-s.drained:
	default:
		t.Error("the session is not told to part")
	}
	if l.session != nil {
		t.Error("the session is offered to Sends")
	}
	if err := s.submit(newCall(), &wire.Message{}, time.Now()); !errors.Is(err, errRetired) {
		t.Errorf("submit: %v", err)
	}
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	for class, codes := range map[channel.Class][]Status{
		channel.Temporary:        {0x04, 0x05, 0x08, 0x64},
		channel.Throttled:        {0x14, 0x58},
		channel.Unreachable:      {0x45},
		channel.InvalidRecipient: {0x0B},
		channel.Misconfigured:    {0x01, 0x0A, 0x0D, 0x0E, 0x0F, 0x15, 0x43, 0x48, 0x49, 0x50, 0x51, 0x53, 0x62, 0xC0, 0xC4},
		channel.Unknown:          {0x65, 0x66, 0xFE, 0xFF, 0x400, 0x12345678},
	} {
		for _, s := range codes {
			if s.Class() != class {
				t.Errorf("%v (%s) is %v, want %v", s, s.Code(), s.Class(), class)
			}
		}
	}
	if s := Status(0x45); s.Code() != "0x45" || s.Error() != "ESME_RSUBMITFAIL" {
		t.Errorf("0x45 reads %s, %s", s.Code(), s)
	}
	if s := Status(0x411); s.Code() != "0x411" || s.String() != "0x411" {
		t.Errorf("0x411 reads %s, %s", s.Code(), s)
	}
}
