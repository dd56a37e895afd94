package smpp

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A connection that is slow with many messages is not taken for a peer that
// does not read what it asks for.
func TestBacklogIsOfResponses(t *testing.T) {
	t.Parallel()
	const n = 8000
	s := newTestSession(t, n)
	s.onRetire = func(error) {}
	m := &wire.Message{Short: []byte(strings.Repeat("x", 140))}
	for range n {
		if err := s.submit(newCall(), m, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if q := s.out.Queued(); q <= wire.MaxBacklog {
		t.Fatalf("only %d octets of messages wait", q)
	}
	s.respond(pdu.EnquireLinkRespID, StatusOK, 1)
	select {
	case <-s.ended:
		t.Fatalf("ended by its own messages: %v", s.cause)
	default:
	}
	for range wire.MaxBacklog / 16 {
		s.respond(pdu.EnquireLinkRespID, StatusOK, 1)
	}
	select {
	case <-s.ended:
	default:
		t.Fatal("responses pile up")
	}
	if !errors.Is(s.cause, errBacklog) {
		t.Errorf("ended by %v", s.cause)
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
