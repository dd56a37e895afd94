package smpp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"

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
