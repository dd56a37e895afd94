package smppserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// connect opens a connection that says nothing.
func connect(t *testing.T, s *smppserver.Server, from string) (net.Conn, error) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close() })
	return a, s.ServeConn(located{b, from})
}

// TestUnboundConnectionsPerAddress: one address cannot hold all connections. Bound
// sessions do not count.
func TestUnboundConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		connections, unbound int // as configured
		from                 []string
		want                 int
	}{
		{200, 0, []string{"192.0.2.1"}, 20},
		{200, 5, []string{"192.0.2.1"}, 5},
		{0, 0, []string{"192.0.2.1"}, 100},
		{10, 0, []string{"192.0.2.1"}, 4},
		{200, 0, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1"}, 20}, // one /64
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := serverConfig()
				c.MaxConnections, c.MaxUnbound = tt.connections, tt.unbound
				s := startServer(t, c)
				var held []net.Conn
				for i := range 3 * tt.want {
					conn, err := connect(t, s, tt.from[i%len(tt.from)])
					if err == nil {
						held = append(held, conn)
					} else if !errors.Is(err, smppserver.ErrTooManyConnections) {
						t.Fatal(err)
					}
				}
				if len(held) != tt.want {
					t.Errorf("%d connections are held, want %d", len(held), tt.want)
				}
				if got := dialFrom(t, s, "198.51.100.9").bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
					t.Errorf("another address: %v", got)
				}
				held[0].Close()
				synctest.Wait()
				for range 3 { // each leaves its place to the next
					if got := dialFrom(t, s, tt.from[0]).bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
						t.Errorf("the address itself: %v", got)
					}
				}
				if _, err := connect(t, s, tt.from[0]); err != nil {
					t.Errorf("a place was not given back: %v", err)
				}
				time.Sleep(30 * time.Second) // PreBindTimeout
				synctest.Wait()
				for range tt.want {
					if _, err := connect(t, s, tt.from[0]); err != nil {
						t.Fatalf("after the others: %v", err)
					}
				}
			})
		})
	}
}

// TestBindsPerAccount: a surplus bind is refused, is no failed one, and does not
// touch the others.
func TestBindsPerAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.MaxBindFailures = 1
		c.MaxBinds = func(systemID string) int { return map[string]int{"bank": 2}[systemID] }
		s := startServer(t, c)
		bind := func(systemID string) (*esme, smpp.Status) {
			e := dial(t, s)
			return e, smpp.Status(e.Ask(bindFrame(t, pdu.BindTransceiverID, systemID, "secret")).Status)
		}
		var all []*esme
		for n := range 5 {
			e, got := bind("bank")
			all = append(all, e)
			want := smpp.StatusOK
			if n >= 2 {
				want = smpp.StatusAlreadyBound
			}
			if got != want || (n >= 2) != e.isClosedNow() {
				t.Errorf("bind %d: %v, want %v", n, got, want)
			}
		}
		for range 5 {
			if _, got := bind("other"); got != smpp.StatusOK {
				t.Errorf("another system_id: %v", got)
			}
		}
		if got := all[1].submit(nil); got != smpp.StatusOK {
			t.Errorf("a standing session: %v", got)
		}
		all[0].Close()
		synctest.Wait()
		if _, got := bind("bank"); got != smpp.StatusOK {
			t.Errorf("the place was not given back: %v", got)
		}
		if _, got := bind("bank"); got != smpp.StatusAlreadyBound {
			t.Errorf("the place was given back twice: %v", got)
		}
	})
}

// isClosedNow reports whether the server has closed the connection.
func (e *esme) isClosedNow() bool {
	synctest.Wait()
	_ = e.SetReadDeadline(time.Now())
	defer func() { _ = e.SetReadDeadline(time.Time{}) }()
	_, err := e.Conn.Read(make([]byte, 1))
	netErr, ok := errors.AsType[net.Error](err)
	return !ok || !netErr.Timeout()
}

// TestLongPDUs: a PDU that is longer than a message may be is refused without being
// held, and the session goes on.
func TestLongPDUs(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	tlvs := bytes.Repeat([]byte{0x14, 0, 0, 4, 1, 2, 3, 4}, 8000)
	for _, tt := range []struct {
		name  string
		frame []byte
		want  wire.Header
	}{
		{"submit_sm full of TLVs", submitFrame(9, func(m *wire.Message) { m.TLVs = tlvs }),
			wire.Header{ID: pdu.SubmitSmRespID, Status: 0x01, Seq: 9}},
		{"cancel_sm", wire.AppendCancel(nil, 9, wire.Cancel{ID: string(bytes.Repeat([]byte{'1'}, 60000))}),
			wire.Header{ID: pdu.GenericNackID, Status: 0x03, Seq: 9}},
		{"no command", slices.Concat([]byte{0, 0, 0xF0, 0, 0, 0, 0x0D, 0xEF, 0, 0, 0, 0, 0, 0, 0, 9},
			make([]byte, 0xF000-16)), wire.Header{ID: pdu.GenericNackID, Status: 0x03, Seq: 9}},
		{"enquire_link", slices.Concat([]byte{0, 0, 0xF0, 0, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 9},
			make([]byte, 0xF000-16)), wire.Header{ID: pdu.EnquireLinkRespID, Seq: 9}},
	} {
		e := bound(t, s)
		if f := e.Ask(tt.frame); f.Header != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, f.Header, tt.want)
		}
		if got := e.submit(nil); got != smpp.StatusOK {
			t.Errorf("%s, then: %v", tt.name, got)
		}
	}
	cancel := wire.AppendCancel(nil, 9, wire.Cancel{ID: string(bytes.Repeat([]byte{'1'}, 60000))})
	e := bound(t, canceling(t, func(context.Context, *smppserver.CancelRequest) error { return nil }))
	if f := e.Ask(cancel); f.Header != (wire.Header{ID: pdu.CancelSmRespID, Status: 0x02, Seq: 9}) {
		t.Errorf("cancel_sm where it is served: %+v", f.Header)
	}
	unbound := dial(t, s)
	if f := unbound.Ask(submitFrame(9, func(m *wire.Message) { m.TLVs = tlvs })); f.Status != 0x04 {
		t.Errorf("before a bind: %+v", f.Header)
	}
	if f := dial(t, s).Ask(bindFrame(t, pdu.BindTransceiverID, "bank", string(tlvs[:1]))); f.Status == 0 {
		t.Errorf("bind: %+v", f.Header)
	}
}

// TestMemoryPerSession: what a session can make the server hold is in proportion to
// MaxMessage: a window of PDUs of 64 KiB full of TLVs holds no more than one of
// messages of that length. The test is not parallel, as it looks at the memory of
// the whole process.
func TestMemoryPerSession(t *testing.T) {
	const sessions, window = 20, 100
	release := make(chan struct{})
	c := serverConfig()
	c.Handler = func(ctx context.Context, _ *smppserver.Submit) (string, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return "", nil
	}
	s := startServer(t, c)
	var all []*esme
	for range sessions {
		all = append(all, bound(t, s))
	}
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	frame := submitFrame(9, func(m *wire.Message) {
		m.TLVs = bytes.Repeat([]byte{0x14, 0, 0, 4, 1, 2, 3, 4}, 8000)
	})
	for _, e := range all {
		for range window {
			if f := e.Ask(frame); smpp.Status(f.Status) != smpp.StatusInvalidMsgLength {
				t.Fatalf("answered with %+v", f.Header)
			}
		}
		for range window {
			if _, err := e.Write(submitFrame(9, func(m *wire.Message) {
				m.Short, m.TLVs = nil, m.TLVs.Append(pdu.TagMessagePayload, bytes.Repeat([]byte{'1'}, 512))
			})); err != nil {
				t.Fatal(err)
			}
		}
		e.Ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
	}
	each := (held() - before) / sessions
	t.Logf("%d octets a session", each)
	if each > 512<<10 {
		t.Errorf("a session holds %d octets", each)
	}
	close(release)
	for _, e := range all {
		for range window {
			e.Next()
		}
	}
}
