package smppserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestGuideCommandStatus has a case for each row of the command_status
// table in OTP Blue's integration guide.
func TestGuideCommandStatus(t *testing.T) {
	t.Parallel()
	handler := func(status error) func(*smppserver.Config) {
		return func(c *smppserver.Config) {
			c.Handler = func(context.Context, *smppserver.Submit) (string, error) { return "m1", status }
		}
	}
	submit := func(t *testing.T, s *smppserver.Server) smpp.Status { return bound(t, s).submit(nil) }
	for _, tt := range []struct {
		name  string
		setup func(*smppserver.Config)
		ask   func(*testing.T, *smppserver.Server) smpp.Status
		want  smpp.Status
	}{
		{"ESME_ROK", handler(nil), submit, 0x00},
		{"ESME_RSUBMITFAIL no iMessage", handler(smpp.StatusSubmitFailed), submit, 0x45},
		{"ESME_RTHROTTLED rate limit", func(c *smppserver.Config) { c.TPS = func(string) int { return 1 } },
			func(t *testing.T, s *smppserver.Server) smpp.Status {
				e := bound(t, s)
				e.submit(nil)
				return e.submit(nil)
			}, 0x58},
		{"ESME_RTHROTTLED no capacity", handler(&channel.Error{Class: channel.Throttled}), submit, 0x58},
		{"ESME_RINVDSTADR invalid number", func(c *smppserver.Config) { c.RequireE164 = true },
			func(t *testing.T, s *smppserver.Server) smpp.Status {
				return bound(t, s).submit(func(m *wire.Message) { m.Dest.Digits = "0123" })
			}, 0x0B},
		{"ESME_RSYSERR temporary", handler(&channel.Error{Class: channel.Temporary}), submit, 0x08},
		{"ESME_RINVMSGLEN no code in the message", handler(smpp.StatusInvalidMsgLength), submit, 0x01},
		{"ESME_RINVBNDSTS not bound", nil,
			func(t *testing.T, s *smppserver.Server) smpp.Status { return dial(t, s).submit(nil) }, 0x04},
		{"ESME_RINVBNDSTS bound as receiver", nil, func(t *testing.T, s *smppserver.Server) smpp.Status {
			e := dial(t, s)
			e.bindAs(pdu.BindReceiverID, "secret")
			return e.submit(nil)
		}, 0x04},
		{"ESME_RINVPASWD", nil, func(t *testing.T, s *smppserver.Server) smpp.Status {
			return dial(t, s).bindAs(pdu.BindTransceiverID, "guess")
		}, 0x0E},
		{"ESME_RBINDFAIL address not allowed", func(c *smppserver.Config) {
			c.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		}, func(t *testing.T, s *smppserver.Server) smpp.Status {
			if got := dialFrom(t, s, "198.51.100.9").bindAs(pdu.BindTransceiverID, "secret"); got != 0 {
				t.Errorf("from an allowed address: %v", got)
			}
			return dial(t, s).bindAs(pdu.BindTransceiverID, "secret")
		}, 0x0D},
		{"ESME_RBINDFAIL address blocked", func(c *smppserver.Config) { c.MaxBindFailures = 1 },
			func(t *testing.T, s *smppserver.Server) smpp.Status {
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

// TestGuideInputLimits has a case for each row of the guide's input
// limits, and for what else the server checks.
func TestGuideInputLimits(t *testing.T) {
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
		{"22 characters", func(m *wire.Message) { m.Dest.Digits = strings.Repeat("1", 22) },
			smpp.StatusInvalidDestination},
		{"no destination", func(m *wire.Message) { m.Dest.Digits = "" }, smpp.StatusInvalidDestination},
		{"sender of 11", func(m *wire.Message) { m.Source.Digits = "MyBankMyBan" }, 0},
		{"sender of 12", func(m *wire.Message) { m.Source.Digits = "MyBankMyBank" }, smpp.StatusInvalidSource},
		{"numeric sender of 15", func(m *wire.Message) { m.Source = wire.Addr{TON: 1, Digits: "123456789012345"} }, 0},
		{"service_type of 6", func(m *wire.Message) { m.ServiceType = "123456" }, smpp.StatusInvalidServiceType},
		{"schedule", func(m *wire.Message) { m.Schedule = "000000010000000R" }, smpp.StatusInvalidSchedule},
		{"validity of 17", func(m *wire.Message) { m.Validity = strings.Repeat("0", 17) }, smpp.StatusInvalidExpiry},
		{"UDHI without header", func(m *wire.Message) { m.EsmClass, m.Short = wire.EsmUDHI, []byte{200, 1} },
			smpp.StatusInvalidEsmClass},
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

// TestGuideTimeouts has a case for each row of the guide's timeouts.
func TestGuideTimeouts(t *testing.T) {
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
		begin func(*testing.T, *smppserver.Server) *esme
		after time.Duration
		last  pdu.CommandID // what is said before the end; 0: nothing
	}{
		{"pre-bind 30 s", func(t *testing.T, s *smppserver.Server) *esme { return dial(t, s) }, 30 * time.Second, 0},
		{"pre-bind 30 s in spite of enquire_link", func(t *testing.T, s *smppserver.Server) *esme {
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
		{"inactivity 90 s", func(t *testing.T, s *smppserver.Server) *esme { return bound(t, s) }, 90 * time.Second, 0},
		{"24 h regardless of activity", func(t *testing.T, s *smppserver.Server) *esme {
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
					f := e.Next()
					if f.ID == 0 {
						break
					}
					last = f.ID
					if f.ID == pdu.UnbindID {
						e.Write(peertest.Answer(f))
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

// TestGuideBlock: after repeated failed binds an address is blocked for
// 15 minutes, and others are not.
func TestGuideBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, asked := serverConfig(), 0
		authenticate := c.Authenticate
		c.Authenticate = func(ctx context.Context, b smppserver.BindRequest) smpp.Status {
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

// TestGuideConnections: over the global limit connections are rejected
// until others close.
func TestGuideConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		var all []*esme
		for i := range 1000 {
			all = append(all, dialFrom(t, s, fmt.Sprintf("192.0.%d.%d", i/250, i%250)))
		}
		client, server := net.Pipe()
		if err := s.ServeConn(server); !errors.Is(err, smppserver.ErrTooManyConnections) {
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

// TestGuideSharedRate: all sessions of a system_id share one rate, which
// holds for any one second, and binding again is no way round it.
func TestGuideSharedRate(t *testing.T) {
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
		free.Ask(bindFrame(t, pdu.BindTransmitterID, "other", "secret"))
		for range 100 {
			if got := free.submit(nil); got != smpp.StatusOK {
				t.Fatalf("system_id without a rate: %v", got)
			}
		}
	})
}

// TestGuideTroubleshooting is the server's side of a bind that was
// refused, and of a receipt that was not asked for.
func TestGuideTroubleshooting(t *testing.T) {
	t.Parallel()
	for registered, want := range map[uint8]bool{0: false, 1: true} {
		asked := make(chan bool, 1)
		config := serverConfig()
		config.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
			asked <- m.Receipt
			return "", nil
		}
		e := bound(t, startServer(t, config))
		e.submit(func(m *wire.Message) { m.Registered = registered })
		if got := <-asked; got != want {
			t.Errorf("registered_delivery %d: asked for %v", registered, got)
		}
	}
}
