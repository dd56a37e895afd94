package smpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// serverConfig accepts system_id "bank" with password "secret", and every
// message.
func serverConfig() smpp.ServerConfig {
	return smpp.ServerConfig{
		SystemID: "front", DangerouslyPlaintext: true,
		Authenticate: func(_ context.Context, b smpp.BindRequest) smpp.Status {
			if b.Password != "secret" {
				return smpp.StatusInvalidPassword
			}
			return smpp.StatusOK
		},
		Handler: func(context.Context, *smpp.Submit) (string, error) { return "", nil },
	}
}

func startServer(t testing.TB, c smpp.ServerConfig) *smpp.Server {
	t.Helper()
	s, err := smpp.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A located connection says that it comes from somewhere.
type located struct {
	net.Conn
	from string
}

func (l located) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(l.from), 40000))
}

// An esme is the client's end of a pipe to a server, in a test's own hands.
type esme struct {
	t testing.TB
	peer
}

func dialFrom(t testing.TB, s *smpp.Server, from string) *esme {
	t.Helper()
	client, server := net.Pipe()
	if err := s.ServeConn(located{server, from}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return &esme{t, peer{Conn: client, in: wire.NewReader(client)}}
}

func dial(t testing.TB, s *smpp.Server) *esme { return dialFrom(t, s, "192.0.2.1") }

// ask sends a frame and returns the next one that comes.
func (e *esme) ask(frame []byte) wire.Frame {
	e.t.Helper()
	if _, err := e.Write(frame); err != nil {
		return wire.Frame{}
	}
	return e.next()
}

func bindFrame(t testing.TB, id pdu.CommandID, systemID, password string) []byte {
	b, err := wire.AppendBind(nil, id, 1, wire.Bind{SystemID: systemID, Password: password, Version: 0x34})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (e *esme) bindAs(id pdu.CommandID, password string) smpp.Status {
	return smpp.Status(e.ask(bindFrame(e.t, id, "bank", password)).Status)
}

// bound is an esme that has bound as transceiver.
func bound(t testing.TB, s *smpp.Server) *esme {
	t.Helper()
	e := dial(t, s)
	if got := e.bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
		t.Fatalf("bind: %v", got)
	}
	return e
}

// submitFrame is a message, in message_payload where it is long.
func submitFrame(seq uint32, change func(*wire.Message)) []byte {
	m := &wire.Message{
		Source: wire.Addr{TON: 5, Digits: "MyBank"}, Dest: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"},
		Short: []byte("482910 is your code"), Registered: 1,
	}
	if change != nil {
		change(m)
	}
	if len(m.Short) > wire.MaxShortMessage {
		m.TLVs, m.Short = m.TLVs.Append(pdu.TagMessagePayload, m.Short), nil
	}
	return wire.AppendMessage(nil, pdu.SubmitSmID, seq, m)
}

func (e *esme) submit(change func(*wire.Message)) smpp.Status {
	e.t.Helper()
	f := e.ask(submitFrame(7, change))
	if f.ID != pdu.SubmitSmRespID || f.Seq != 7 {
		e.t.Fatalf("answered with %+v", f.Header)
	}
	return smpp.Status(f.Status)
}

func (e *esme) isClosed() bool {
	_, err := e.in.Next()
	return err != nil
}

// TestServerGuideCommandStatus has a case for each row of the command_status
// table in OTP Blue's integration guide.
func TestServerGuideCommandStatus(t *testing.T) {
	t.Parallel()
	handler := func(status error) func(*smpp.ServerConfig) {
		return func(c *smpp.ServerConfig) {
			c.Handler = func(context.Context, *smpp.Submit) (string, error) { return "m1", status }
		}
	}
	submit := func(t *testing.T, s *smpp.Server) smpp.Status { return bound(t, s).submit(nil) }
	for _, tt := range []struct {
		name  string
		setup func(*smpp.ServerConfig)
		ask   func(*testing.T, *smpp.Server) smpp.Status
		want  smpp.Status
	}{
		{"ESME_ROK", handler(nil), submit, 0x00},
		{"ESME_RSUBMITFAIL no iMessage", handler(smpp.StatusSubmitFailed), submit, 0x45},
		{"ESME_RTHROTTLED rate limit", func(c *smpp.ServerConfig) { c.TPS = func(string) int { return 1 } },
			func(t *testing.T, s *smpp.Server) smpp.Status {
				e := bound(t, s)
				e.submit(nil)
				return e.submit(nil)
			}, 0x58},
		{"ESME_RTHROTTLED no capacity", handler(&channel.Error{Class: channel.Throttled}), submit, 0x58},
		{"ESME_RINVDSTADR invalid number", func(c *smpp.ServerConfig) { c.RequireE164 = true },
			func(t *testing.T, s *smpp.Server) smpp.Status {
				return bound(t, s).submit(func(m *wire.Message) { m.Dest.Digits = "0123" })
			}, 0x0B},
		{"ESME_RSYSERR temporary", handler(&channel.Error{Class: channel.Temporary}), submit, 0x08},
		{"ESME_RINVMSGLEN no code in the message", handler(smpp.StatusInvalidMsgLength), submit, 0x01},
		{"ESME_RINVBNDSTS not bound", nil,
			func(t *testing.T, s *smpp.Server) smpp.Status { return dial(t, s).submit(nil) }, 0x04},
		{"ESME_RINVBNDSTS bound as receiver", nil, func(t *testing.T, s *smpp.Server) smpp.Status {
			e := dial(t, s)
			e.bindAs(pdu.BindReceiverID, "secret")
			return e.submit(nil)
		}, 0x04},
		{"ESME_RINVPASWD", nil, func(t *testing.T, s *smpp.Server) smpp.Status {
			return dial(t, s).bindAs(pdu.BindTransceiverID, "guess")
		}, 0x0E},
		{"ESME_RBINDFAIL address not allowed", func(c *smpp.ServerConfig) {
			c.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		}, func(t *testing.T, s *smpp.Server) smpp.Status {
			if got := dialFrom(t, s, "198.51.100.9").bindAs(pdu.BindTransceiverID, "secret"); got != 0 {
				t.Errorf("from an allowed address: %v", got)
			}
			return dial(t, s).bindAs(pdu.BindTransceiverID, "secret")
		}, 0x0D},
		{"ESME_RBINDFAIL address blocked", func(c *smpp.ServerConfig) { c.MaxBindFailures = 1 },
			func(t *testing.T, s *smpp.Server) smpp.Status {
				dial(t, s).bindAs(pdu.BindTransceiverID, "guess")
				return dial(t, s).bindAs(pdu.BindTransceiverID, "secret")
			}, 0x0D},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := serverConfig()
			if tt.setup != nil {
				tt.setup(&c)
			}
			if got := tt.ask(t, startServer(t, c)); got != tt.want {
				t.Errorf("answered with %v, want %v", got, tt.want)
			}
		})
	}
}

// TestServerGuideInputLimits has a case for each row of the guide's input
// limits, and for what else the server checks.
func TestServerGuideInputLimits(t *testing.T) {
	t.Parallel()
	text := func(n int) func(*wire.Message) {
		return func(m *wire.Message) { m.Short = []byte(strings.Repeat("1", n)) }
	}
	for _, tt := range []struct {
		name   string
		change func(*wire.Message)
		want   smpp.Status
	}{
		{"512 octets", text(512), 0},
		{"513 octets", text(513), smpp.StatusInvalidMsgLength},
		{"254 octets in short_message", text(254), 0},
		{"21 characters", func(m *wire.Message) { m.Dest.Digits = strings.Repeat("1", 21) }, 0},
		{"22 characters", func(m *wire.Message) { m.Dest.Digits = strings.Repeat("1", 22) }, smpp.StatusInvalidDestination},
		{"no destination", func(m *wire.Message) { m.Dest.Digits = "" }, smpp.StatusInvalidDestination},
		{"sender of 11", func(m *wire.Message) { m.Source.Digits = "MyBankMyBan" }, 0},
		{"sender of 12", func(m *wire.Message) { m.Source.Digits = "MyBankMyBank" }, smpp.StatusInvalidSource},
		{"numeric sender of 15", func(m *wire.Message) { m.Source = wire.Addr{TON: 1, Digits: "123456789012345"} }, 0},
		{"service_type of 6", func(m *wire.Message) { m.ServiceType = "123456" }, smpp.StatusInvalidServiceType},
		{"schedule of 17", func(m *wire.Message) { m.Schedule = strings.Repeat("0", 17) }, smpp.StatusInvalidSchedule},
		{"validity of 17", func(m *wire.Message) { m.Validity = strings.Repeat("0", 17) }, smpp.StatusInvalidExpiry},
		{"UDHI without header", func(m *wire.Message) { m.EsmClass, m.Short = wire.EsmUDHI, []byte{200, 1} }, smpp.StatusInvalidEsmClass},
		{"TLV cut off", func(m *wire.Message) { m.TLVs = wire.TLVs{4, 0, 0, 9, 1} }, smpp.StatusInvalidTLVStream},
		{"trailing NULs", func(m *wire.Message) { m.TLVs = wire.TLVs{0, 0, 0} }, 0},
		{"unknown TLV", func(m *wire.Message) { m.TLVs = m.TLVs.Append(0x1400, []byte("entity")) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := bound(t, startServer(t, serverConfig())).submit(tt.change); got != tt.want {
				t.Errorf("answered with %v, want %v", got, tt.want)
			}
		})
	}
}

// TestServerGuideTimeouts has a case for each row of the guide's timeouts.
func TestServerGuideTimeouts(t *testing.T) {
	t.Parallel()
	keepAlive := func(e *esme) {
		go func() {
			for seq := uint32(10); ; seq++ {
				time.Sleep(59 * time.Second)
				if _, err := e.Write(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, seq)); err != nil {
					return
				}
			}
		}()
	}
	for _, tt := range []struct {
		name  string
		begin func(*testing.T, *smpp.Server) *esme
		after time.Duration
		last  pdu.CommandID // what is said before the end; 0: nothing
	}{
		{"pre-bind 30 s", func(t *testing.T, s *smpp.Server) *esme { return dial(t, s) }, 30 * time.Second, 0},
		{"pre-bind 30 s in spite of enquire_link", func(t *testing.T, s *smpp.Server) *esme {
			e := dial(t, s)
			go func() {
				for {
					time.Sleep(10 * time.Second)
					if _, err := e.Write(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1)); err != nil {
						return
					}
				}
			}()
			return e
		}, 30 * time.Second, pdu.EnquireLinkRespID},
		{"inactivity 90 s", func(t *testing.T, s *smpp.Server) *esme { return bound(t, s) }, 90 * time.Second, 0},
		{"24 h regardless of activity", func(t *testing.T, s *smpp.Server) *esme {
			e := bound(t, s)
			keepAlive(e)
			return e
		}, 24 * time.Hour, pdu.UnbindID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := startServer(t, serverConfig())
				began := time.Now()
				e := tt.begin(t, s)
				var last pdu.CommandID
				for {
					f := e.next()
					if f.ID == 0 {
						break
					}
					last = f.ID
					if f.ID == pdu.UnbindID {
						e.Write(answer(f))
					}
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("closed after %v, want %v", took, tt.after)
				}
				if last != tt.last {
					t.Errorf("last heard %v, want %v", last, tt.last)
				}
				time.Sleep(2 * time.Minute) // whoever keeps it alive notices
			})
		})
	}
}

// TestServerGuideBlock: after repeated failed binds an address is blocked for
// 15 minutes, and others are not.
func TestServerGuideBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, asked := serverConfig(), 0
		authenticate := c.Authenticate
		c.Authenticate = func(ctx context.Context, b smpp.BindRequest) smpp.Status {
			asked++
			return authenticate(ctx, b)
		}
		s := startServer(t, c)
		for range 5 {
			e := dial(t, s)
			if got := e.bindAs(pdu.BindTransceiverID, "guess"); got != smpp.StatusInvalidPassword {
				t.Errorf("guess: %v", got)
			}
			if !e.isClosed() {
				t.Error("connection is open after a refused bind")
			}
		}
		blocked := func() smpp.Status { return dial(t, s).bindAs(pdu.BindTransceiverID, "secret") }
		if got := blocked(); got != smpp.StatusBindFailed || asked != 5 {
			t.Errorf("right password when blocked: %v, %d were checked", got, asked)
		}
		if got := dialFrom(t, s, "192.0.2.2").bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
			t.Errorf("another address: %v", got)
		}
		time.Sleep(15*time.Minute - time.Second)
		if got := blocked(); got != smpp.StatusBindFailed {
			t.Errorf("a second before the end: %v", got)
		}
		time.Sleep(time.Second)
		if got := blocked(); got != smpp.StatusOK {
			t.Errorf("after 15 minutes: %v", got)
		}
	})
}

// TestServerGuessesBetweenBinds: who has an account cannot use it to guess the
// password of another. Failures are forgotten with time only.
func TestServerGuessesBetweenBinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		bind := func(password string) smpp.Status {
			e := dial(t, s)
			defer e.Close()
			return e.bindAs(pdu.BindTransceiverID, password)
		}
		for range 4 {
			bind("guess")
			if got := bind("secret"); got != smpp.StatusOK {
				t.Errorf("before the block: %v", got)
			}
		}
		time.Sleep(15 * time.Minute)
		for n := range 5 {
			if got := bind("guess"); got != smpp.StatusInvalidPassword {
				t.Errorf("guess %d after 15 minutes: %v", n, got)
			}
			if got := bind("secret"); n < 4 && got != smpp.StatusOK {
				t.Errorf("bind %d after 15 minutes: %v", n, got)
			}
		}
		if got := bind("secret"); got != smpp.StatusBindFailed {
			t.Errorf("after 5 failures: %v", got)
		}
	})
}

// TestServerGuessesAtOnce: of many guesses made at once only so many are
// checked, and neither a pipelined second bind nor a whole /64 gets round it.
func TestServerGuessesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := 0
		c := serverConfig()
		c.Authenticate = func(context.Context, smpp.BindRequest) smpp.Status {
			mu.Lock()
			asked++
			mu.Unlock()
			time.Sleep(time.Second)
			return smpp.StatusInvalidPassword
		}
		s := startServer(t, c)
		guess := bindFrame(t, pdu.BindTransceiverID, "bank", "guess")
		var wg sync.WaitGroup
		for range 100 {
			e := dialFrom(t, s, "2001:db8::1")
			e2 := dialFrom(t, s, "2001:db8::2")
			wg.Go(func() { e.ask(append(guess, guess...)) })
			wg.Go(func() { e2.ask(guess) })
		}
		wg.Wait()
		if asked != 5 {
			t.Errorf("%d guesses were checked, want 5", asked)
		}
	})
}

// TestServerOneBindEach: what follows a refused bind is not looked at.
func TestServerOneBindEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := serverConfig()
		c.MaxBindFailures = -1
		authenticate := c.Authenticate
		c.Authenticate = func(ctx context.Context, b smpp.BindRequest) smpp.Status {
			asked++
			return authenticate(ctx, b)
		}
		e := dial(t, startServer(t, c))
		f := e.ask(append(bindFrame(t, pdu.BindTransceiverID, "bank", "guess"),
			bindFrame(t, pdu.BindTransceiverID, "bank", "secret")...))
		if smpp.Status(f.Status) != smpp.StatusInvalidPassword || !e.isClosed() || asked != 1 {
			t.Errorf("answered with %+v, %d binds were checked", f.Header, asked)
		}
	})
}

// TestServerGuideConnections: over the global limit connections are rejected
// until others close.
func TestServerGuideConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		var all []*esme
		for range 1000 {
			all = append(all, dial(t, s))
		}
		client, server := net.Pipe()
		if err := s.ServeConn(server); !errors.Is(err, smpp.ErrTooManyConnections) {
			t.Errorf("connection 1001: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("connection 1001 is open")
		}
		all[0].Close()
		synctest.Wait()
		bound(t, s)
	})
}

// TestServerGuideSharedRate: all sessions of a system_id share one rate, which
// holds for any one second, and binding again is no way round it.
func TestServerGuideSharedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.TPS = func(systemID string) int { return map[string]int{"bank": 10}[systemID] }
		s := startServer(t, c)
		accepted := 0
		round := func() {
			for range 3 {
				e := bound(t, s)
				for range 10 {
					if e.submit(nil) == smpp.StatusOK {
						accepted++
					}
				}
				e.Close()
				synctest.Wait()
			}
		}
		round()
		time.Sleep(999 * time.Millisecond)
		round()
		if accepted != 10 {
			t.Errorf("%d messages within a second, want 10", accepted)
		}
		time.Sleep(time.Millisecond)
		round()
		if accepted != 20 {
			t.Errorf("%d messages, want 20", accepted)
		}
		free := dial(t, s)
		free.ask(bindFrame(t, pdu.BindTransmitterID, "other", "secret"))
		for range 100 {
			if got := free.submit(nil); got != smpp.StatusOK {
				t.Fatalf("system_id without a rate: %v", got)
			}
		}
	})
}

// TestServerWindow: what is over the window is refused, and what is in it is
// answered all the same.
func TestServerWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := serverConfig()
		c.Window = 3
		c.Handler = func(context.Context, *smpp.Submit) (string, error) {
			<-release
			return "late", nil
		}
		e := bound(t, startServer(t, c))
		var burst []byte
		for seq := range uint32(5) {
			burst = append(burst, submitFrame(seq+1, nil)...)
		}
		e.Write(burst)
		for range 2 {
			if f := e.next(); smpp.Status(f.Status) != smpp.StatusThrottled || f.Seq < 4 {
				t.Errorf("answered with %+v", f.Header)
			}
		}
		close(release)
		for range 3 {
			if f := e.next(); f.Status != 0 || f.Seq > 3 || wire.DecodeID(f.Body) != "late" {
				t.Errorf("answered with %+v", f.Header)
			}
		}
	})
}

// TestServerAssemble: parts by user data header and by TLVs, in any order and
// over two sessions, are one message.
func TestServerAssemble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan *smpp.Submit, 10)
		c := serverConfig()
		c.Assemble = true
		c.Handler = func(_ context.Context, m *smpp.Submit) (string, error) {
			got <- m
			return "last", nil
		}
		s := startServer(t, c)
		a, b := bound(t, s), bound(t, s)
		udh := func(n byte, text string) func(*wire.Message) {
			return func(m *wire.Message) {
				m.EsmClass, m.UDH, m.Short = wire.EsmUDHI, []byte{5, 0, 3, 77, 3, n}, []byte(text)
			}
		}
		for _, status := range []smpp.Status{
			a.submit(udh(3, "code")), b.submit(udh(1, "482910 is ")), b.submit(udh(1, "482910 is ")), a.submit(udh(2, "your ")),
		} {
			if status != smpp.StatusOK {
				t.Errorf("part: %v", status)
			}
		}
		if m := <-got; m.Text != "482910 is your code" || len(m.PartIDs) != 2 || m.Parts != 1 {
			t.Errorf("%q, parts %v of %d", m.Text, m.PartIDs, m.Parts)
		}
		sar := func(n byte, text string) func(*wire.Message) {
			return func(m *wire.Message) {
				m.Short = []byte(text)
				m.TLVs = m.TLVs.Append(pdu.TagSarMsgRefNum, []byte{1, 2}).Append(pdu.TagSarTotalSegments, []byte{2}).
					Append(pdu.TagSarSegmentSeqnum, []byte{n})
			}
		}
		a.submit(sar(1, "by "))
		a.submit(sar(2, "TLV"))
		if m := <-got; m.Text != "by TLV" {
			t.Errorf("text is %q", m.Text)
		}
		long := strings.Repeat("1", 240)
		a.submit(udh(1, long))
		a.submit(udh(2, long))
		if got := a.submit(udh(3, long)); got != smpp.StatusInvalidMsgLength {
			t.Errorf("720 octets in parts: %v", got)
		}
		a.submit(udh(1, "stale "))
		a.submit(udh(2, "stale "))
		time.Sleep(time.Minute)
		a.ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
		a.submit(udh(3, "done"))
		if m := <-got; m.Text != "stale stale done" {
			t.Errorf("text is %q", m.Text)
		}
		select {
		case m := <-got:
			t.Errorf("one more: %q", m.Text)
		default:
		}
	})
}

// TestServerShutdown: what the handlers have is answered, the peers are told,
// and nobody waits for one that does not answer longer than UnbindTimeout.
func TestServerShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(context.Context, *smpp.Submit) (string, error) {
			time.Sleep(2 * time.Second)
			return "m1", nil
		}
		s := startServer(t, c)
		polite, rude, silent := bound(t, s), bound(t, s), dial(t, s)
		polite.Write(submitFrame(5, nil))
		heard := make(chan []pdu.CommandID, 1)
		go func() {
			var ids []pdu.CommandID
			for f := polite.next(); f.ID != 0; f = polite.next() {
				ids = append(ids, f.ID)
				if f.ID == pdu.UnbindID {
					polite.Write(answer(f))
				}
			}
			heard <- ids
		}()
		go rude.drain()
		go silent.drain()
		began := time.Now()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want the 5 s that the rude peer has", took)
		}
		if ids := <-heard; len(ids) != 2 || ids[0] != pdu.UnbindID || ids[1] != pdu.SubmitSmRespID {
			t.Errorf("heard %v", ids)
		}
		if err := s.Deliver("bank", smpp.DeliveryReceipt{ID: "m1"}); !errors.Is(err, smpp.ErrServerClosed) {
			t.Errorf("Deliver: %v", err)
		}
		if err := s.ServeConn(polite); !errors.Is(err, smpp.ErrServerClosed) {
			t.Errorf("ServeConn: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := startServer(t, serverConfig()).Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestServerPeerUnbinds: unbind is answered after everything else.
func TestServerPeerUnbinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(context.Context, *smpp.Submit) (string, error) {
			time.Sleep(time.Second)
			return "m1", nil
		}
		e := bound(t, startServer(t, c))
		e.Write(append(submitFrame(5, nil), wire.AppendEmpty(nil, pdu.UnbindID, 0, 6)...))
		if f := e.next(); f.ID != pdu.SubmitSmRespID || f.Status != 0 {
			t.Errorf("first %+v", f.Header)
		}
		if f := e.next(); f.Header != (wire.Header{ID: pdu.UnbindRespID, Seq: 6}) {
			t.Errorf("then %+v", f.Header)
		}
		if !e.isClosed() {
			t.Error("connection is open")
		}
	})
}

func TestServerConfigErrors(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*smpp.ServerConfig){
		"Authenticate":         func(c *smpp.ServerConfig) { c.Authenticate = nil },
		"Handler":              func(c *smpp.ServerConfig) { c.Handler = nil },
		"TLS":                  func(c *smpp.ServerConfig) { c.DangerouslyPlaintext = false },
		"DangerouslyPlaintext": func(c *smpp.ServerConfig) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} },
		"SystemID":             func(c *smpp.ServerConfig) { c.SystemID = strings.Repeat("a", 65) },
		"Window":               func(c *smpp.ServerConfig) { c.Window = -1 },
		"MaxMessage":           func(c *smpp.ServerConfig) { c.MaxMessage = 1 << 16 },
		"PreBindTimeout":       func(c *smpp.ServerConfig) { c.PreBindTimeout = -1 },
		"Allow":                func(c *smpp.ServerConfig) { c.Allow = []netip.Prefix{{}} },
	} {
		c := serverConfig()
		change(&c)
		if _, err := smpp.NewServer(c); err == nil || !strings.Contains(err.Error(), "smpp: ServerConfig."+field) {
			t.Errorf("%s: error is %v", field, err)
		}
	}
}
