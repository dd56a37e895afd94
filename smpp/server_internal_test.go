package smpp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestStatusOf: what is told never promises more about a message than the
// error's class does.
func TestStatusOf(t *testing.T) {
	t.Parallel()
	wrong := submitError(channel.Temporary, refused("smpp: bind_transceiver", StatusInvalidPassword))
	notBound := refused("smpp: bind_transceiver", StatusInvalidPassword)
	for _, tt := range []struct {
		name string
		err  error
		want Status
	}{
		{"none", nil, StatusOK},
		{"an error", errors.New("broken"), StatusUnknownError},
		{"a Status", StatusInvalidMsgLength, StatusInvalidMsgLength},
		{"a Status, wrapped", fmt.Errorf("front: %w", StatusInvalidPassword), StatusInvalidPassword},
		{"ESME_ROK", StatusOK, StatusUnknownError},
		{"a class", &channel.Error{Class: channel.Throttled}, StatusThrottled},
		{"a refused submit_sm", refused(opSubmit, StatusQueueFull), StatusQueueFull},
		{"a refused part after others", partly(refused(opSubmit, StatusThrottled), 1, 2), StatusUnknownError},
		{"a refused bind, misconfigured", notBound, StatusSystemError},
		{"a refused bind, temporary", wrong, StatusSystemError},
	} {
		if got := StatusOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func newTestServer(t *testing.T) *Server {
	t.Helper()
	s, err := NewServer(ServerConfig{
		DangerouslyPlaintext: true,
		Authenticate:         func(context.Context, BindRequest) Status { return StatusOK },
		Handler:              func(context.Context, *Submit) (string, error) { return "", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newTestServerSession is a session that nobody serves.
func newTestServerSession(t *testing.T, s *Server) *ServerSession {
	t.Helper()
	a, b := net.Pipe()
	v := newServerSession(s, b, 1)
	t.Cleanup(func() { a.Close(); v.Close() })
	return v
}

// TestServerPartsInTime: the keeper gives a session its time to part while the
// post office is still busy.
func TestServerPartsInTime(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	v := newTestServerSession(t, s)
	v.stage.Store(stageBound)
	parted := make(chan struct{})
	s.post.mu.Lock()
	go func() {
		defer close(parted)
		v.part(errUnbinding)
	}()
	for v.stage.Load() != stageParting {
		runtime.Gosched()
	}
	left, err := v.due(time.Now())
	s.post.mu.Unlock()
	if err != nil || left <= 0 {
		t.Errorf("ends in %v: %v", left, err)
	}
	<-parted
}

// TestServerPartsWhileBinding: a session that is told to part while its bind
// completes does so, whichever comes first.
func TestServerPartsWhileBinding(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	for range 20_000 {
		v := newTestServerSession(t, s)
		entered := make(chan struct{})
		go func() {
			defer close(entered)
			v.enter(wire.Header{ID: pdu.BindTransceiverID}, BindRequest{SystemID: "bank"})
		}()
		v.part(errUnbinding)
		<-entered
		if v.stage.Load() != stageParting {
			t.Fatal("the session is bound, and nobody tells it again to part")
		}
	}
}

// TestServerReceiptsAreNoBacklog: receipts that are queued faster than the
// connection takes them do not end the session, responses that nobody reads do.
func TestServerReceiptsAreNoBacklog(t *testing.T) {
	t.Parallel()
	v := newTestServerSession(t, newTestServer(t))
	v.enter(wire.Header{ID: pdu.BindTransceiverID}, BindRequest{CanReceive: true, Version: wire.Version34})
	receipt := DeliveryReceipt{ID: strings.Repeat("1", 64)}
	for v.Deliver(receipt, nil) == nil {
	}
	if v.out.Queued() <= wire.MaxBacklog {
		t.Fatalf("only %d octets of receipts wait", v.out.Queued())
	}
	v.respond(wire.Header{ID: pdu.EnquireLinkID}, StatusOK)
	select {
	case <-v.ended:
		t.Fatalf("ended by its receipts: %v", v.cause)
	default:
	}
	for range wire.MaxBacklog / 16 {
		v.respond(wire.Header{ID: pdu.EnquireLinkID}, StatusOK)
	}
	if v.stage.Load() != stageParting || !errors.Is(v.cause, errUnread) {
		t.Errorf("ended by %v, want %v", v.cause, errUnread)
	}
}

// TestServerRatesAreForgotten: who has left is remembered for the second that
// binding again is to be no way around, and not for ever.
func TestServerRatesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRates()
		idle, busy := r.bind("idle", 1), r.bind("busy", 1)
		if !busy.take(time.Now()) {
			t.Error("the first message is not taken")
		}
		r.release(idle)
		r.release(busy)
		if r.byID["idle"] != nil || r.byID["busy"] != busy {
			t.Errorf("known are %v", r.byID)
		}
		if r.bind("busy", 1).take(time.Now()) {
			t.Error("binding again is a way to a fresh second")
		}
		r.release(busy)
		time.Sleep(time.Second)
		r.bind("other", 1)
		if len(r.byID) != 1 {
			t.Errorf("known are %v", r.byID)
		}
	})
}

// TestServerSuspectsAreBounded: of many addresses with failed binds the latest
// are remembered.
func TestServerSuspectsAreBounded(t *testing.T) {
	t.Parallel()
	g := newBindGuard(1, time.Hour)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxSuspects + 1 {
		if !g.begin(t.Context(), addr(i)) {
			t.Fatalf("address %d is blocked", i)
		}
		g.end(addr(i), StatusInvalidPassword)
	}
	if len(g.known) != maxSuspects || g.order.Len() != maxSuspects {
		t.Errorf("%d and %d are remembered", len(g.known), g.order.Len())
	}
	if g.blocks(addr(0)) || !g.blocks(addr(1)) || !g.blocks(addr(maxSuspects)) {
		t.Error("not the oldest is forgotten")
	}
}

// TestServerForgetsPassword: a session does not keep the password it was bound
// with.
func TestServerForgetsPassword(t *testing.T) {
	t.Parallel()
	v := newTestServerSession(t, newTestServer(t))
	v.enter(wire.Header{ID: pdu.BindTransceiverID}, BindRequest{SystemID: "bank", Password: "secret"})
	if v.bind.SystemID != "bank" || v.bind.Password != "" {
		t.Errorf("bound as %q with password %q", v.bind.SystemID, v.bind.Password)
	}
}
