package smppserver

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

func newTestServer(t *testing.T) *Server {
	t.Helper()
	s, err := New(Config{
		DangerouslyPlaintext: true,
		Authenticate:         func(context.Context, BindRequest) smpp.Status { return smpp.StatusOK },
		Handler:              func(context.Context, *Submit) (string, error) { return "", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newTestSession is a session that nobody serves.
func newTestSession(t *testing.T, s *Server) *Session {
	t.Helper()
	a, b := net.Pipe()
	v := newSession(s, b, 1)
	t.Cleanup(func() { a.Close(); v.Close() })
	return v
}

// TestUnbindsInTime: the keeper gives a session its time to unbind while the
// receipt queue is still busy.
func TestUnbindsInTime(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	v := newTestSession(t, s)
	v.state.Store(stateBound)
	unbound := make(chan struct{})
	s.receipts.mu.Lock()
	go func() {
		defer close(unbound)
		v.unbind(errUnbinding)
	}()
	for v.state.Load() != stateUnbinding {
		runtime.Gosched()
	}
	left, err := v.due(time.Now())
	s.receipts.mu.Unlock()
	if err != nil || left <= 0 {
		t.Errorf("ends in %v: %v", left, err)
	}
	<-unbound
}

// TestUnbindsWhileBinding: a session that is told to unbind while its bind
// completes does so, whichever comes first.
func TestUnbindsWhileBinding(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	for range 20_000 {
		v := newTestSession(t, s)
		entered := make(chan struct{})
		go func() {
			defer close(entered)
			v.enter(wire.Header{ID: pdu.BindTransceiverID}, BindRequest{SystemID: "bank"})
		}()
		v.unbind(errUnbinding)
		<-entered
		if got := v.state.Load(); got != stateUnbinding && got != stateClosed {
			t.Fatalf("the session is in state %d, and nobody tells it again to unbind", got)
		}
	}
}

// TestReceiptsAreNoBacklog: receipts that are queued faster than the
// connection takes them do not end the session, responses that nobody reads do.
func TestReceiptsAreNoBacklog(t *testing.T) {
	t.Parallel()
	v := newTestSession(t, newTestServer(t))
	v.enter(wire.Header{ID: pdu.BindTransceiverID}, BindRequest{CanReceive: true, Version: wire.Version34})
	receipt := DeliveryReceipt{ID: strings.Repeat("1", 64)}
	for v.Deliver(receipt, nil) == nil {
	}
	if v.out.Queued() <= wire.MaxBacklog {
		t.Fatalf("only %d octets of receipts wait", v.out.Queued())
	}
	v.respond(wire.Header{ID: pdu.EnquireLinkID}, smpp.StatusOK)
	select {
	case <-v.ended:
		t.Fatalf("ended by its receipts: %v", v.cause)
	default:
	}
	for range wire.MaxBacklog / 16 {
		v.respond(wire.Header{ID: pdu.EnquireLinkID}, smpp.StatusOK)
	}
	if v.state.Load() != stateClosed || !errors.Is(v.cause, errUnread) {
		t.Errorf("ended by %v, want %v", v.cause, errUnread)
	}
}

// TestForgetsPassword: a session does not keep the password it was bound
// with.
func TestForgetsPassword(t *testing.T) {
	t.Parallel()
	v := newTestSession(t, newTestServer(t))
	v.enter(wire.Header{ID: pdu.BindTransceiverID}, BindRequest{SystemID: "bank", Password: "secret"})
	if v.bind.SystemID != "bank" || v.bind.Password != "" {
		t.Errorf("bound as %q with password %q", v.bind.SystemID, v.bind.Password)
	}
}
