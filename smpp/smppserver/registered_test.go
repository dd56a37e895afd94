package smppserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestRegisteredDelivery: an ESME is sent the receipts that it asked for by
// registered_delivery, and no others.
func TestRegisteredDelivery(t *testing.T) {
	t.Parallel()
	final := []string{"", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "UNKNOWN", "REJECTD"}
	for _, tt := range []struct {
		registered uint8
		want       []string
	}{
		{0x00, nil},
		{0x01, append(slices.Clone(final), "ENROUTE", "ACCEPTD")},
		{0x02, final[2:]},
		{0x03, final[:2]},
		{0x10, []string{"ENROUTE", "ACCEPTD"}},
		{0x12, append(slices.Clone(final[2:]), "ENROUTE", "ACCEPTD")},
		{0x0C, nil}, // acknowledgements of the phone and its user
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked bool
			c := serverConfig()
			c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
				asked = m.Receipt
				for _, stat := range append(slices.Clone(final), "ENROUTE", "ACCEPTD") {
					m.Deliver(smppserver.DeliveryReceipt{Stat: stat})
				}
				return "", nil
			}
			e := bound(t, startServer(t, c))
			e.submit(func(m *wire.Message) { m.Registered = tt.registered })
			if want := tt.registered&3 != 0; asked != want {
				t.Errorf("0x%02X: asked for a receipt: %v", tt.registered, asked)
			}
			for _, stat := range tt.want {
				f := e.Next()
				m, err := wire.DecodeMessage(f.Body)
				if stat == "" {
					stat = "DELIVRD"
				}
				if err != nil || !strings.Contains(string(m.Short), " stat:"+stat+" ") {
					t.Fatalf("0x%02X: %q, want %s", tt.registered, m.Short, stat)
				}
				e.Write(peertest.Answer(f))
			}
			if f := e.Ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 99)); f.ID != pdu.EnquireLinkRespID {
				t.Errorf("0x%02X: one more: %+v", tt.registered, f.Header)
			}
		})
	}
}

// TestRegisteredDeliveryOfParts: a long message asks for what any of its parts asks
// for.
func TestRegisteredDeliveryOfParts(t *testing.T) {
	t.Parallel()
	var got *smppserver.Submit
	c := serverConfig()
	c.Assemble = true
	c.Handler = func(_ context.Context, m *smppserver.Submit) (string, error) {
		got = m
		return "", nil
	}
	e := bound(t, startServer(t, c))
	for _, tt := range []struct{ first, last, want uint8 }{
		{0, 0, 0}, {1, 0, 1}, {0, 2, 2}, {3, 0, 3}, {2, 3, 1}, {0x10, 2, 0x12},
	} {
		for n, registered := range []uint8{tt.first, tt.last} {
			e.submit(func(m *wire.Message) {
				m.EsmClass, m.UDH = wire.EsmUDHI, []byte{5, 0, 3, 1, 2, byte(n + 1)}
				m.Registered = registered
			})
		}
		if got.Registered != tt.want || got.Receipt != (tt.want&3 != 0) {
			t.Errorf("%d and %d: %d, %v", tt.first, tt.last, got.Registered, got.Receipt)
		}
	}
}

// TestChannelReceiptOnFailureOnly: an ESME that wants to hear of failures only is
// not told that the channel has delivered.
func TestChannelReceiptOnFailureOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = smppserver.ChannelHandler(channel.Func(func(context.Context,
			*channel.Message) (channel.Submission, error) {
			return channel.Submission{State: channel.Delivered}, nil
		}))
		e := bound(t, startServer(t, c))
		e.submit(func(m *wire.Message) { m.Registered = 2 })
		if f := e.Ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 99)); f.ID != pdu.EnquireLinkRespID {
			t.Errorf("one more: %+v", f.Header)
		}
	})
}

// TestReceiverIsActive: a receiver that answers receipts is active, one that does not
// is not.
func TestReceiverIsActive(t *testing.T) {
	t.Parallel()
	for answers, want := range map[bool]time.Duration{true: 10*time.Minute + 90*time.Second, false: 90 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := startServer(t, serverConfig())
			e := dial(t, s)
			e.bindAs(pdu.BindReceiverID, "secret")
			began := time.Now()
			go func() {
				for range 10 {
					time.Sleep(time.Minute)
					_ = s.Deliver("bank", aReceipt)
				}
			}()
			for f := e.Next(); f.ID != 0; f = e.Next() {
				if answers {
					e.Write(peertest.Answer(f))
				}
			}
			took(t, began, want)
			time.Sleep(time.Hour)
		})
	}
}
