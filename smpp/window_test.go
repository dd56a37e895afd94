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
			if !s.complete(pdu.SubmitSmRespID, seq, outcome{id: "id"}) ||
				s.complete(pdu.SubmitSmRespID, seq, outcome{id: "again"}) {
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
				if err := s.wait(ctx, c, request{}); err != nil {
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
