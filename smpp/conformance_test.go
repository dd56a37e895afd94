package smpp_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestConformance(t *testing.T) {
	channeltest.Run(t, channeltest.Harness{
		Address:     channel.Phone,
		ProviderIDs: true,
		New: func(t testing.TB) channeltest.Subject {
			s := smpptest.NewTLSServer(smpptest.Config{})
			t.Cleanup(s.Close)
			c := newClient(t, smpp.Config{
				Addr: s.Addr, TLS: s.ClientTLS(), Receipt: newReceipts().handle, ReconnectMin: time.Millisecond,
			})
			always := func(r smpptest.Reply) { s.Handle(func(smpptest.Submit) smpptest.Reply { return r }) }
			return channeltest.Subject{
				Channel:  c,
				Accepted: func() int { return len(s.Messages()) },
				Refuse: func(class channel.Class) bool {
					status, ok := map[channel.Class]smpp.Status{
						channel.Temporary:        smpp.StatusSystemError,
						channel.Throttled:        smpp.StatusThrottled,
						channel.Unreachable:      smpp.StatusSubmitFailed,
						channel.InvalidRecipient: smpp.StatusInvalidDestination,
						channel.Misconfigured:    smpp.StatusInvalidSource,
					}[class]
					always(smpptest.Reply{Status: status, Hangup: class == channel.Unknown})
					return ok || class == channel.Unknown
				},
				Codes: map[channel.Class]string{channel.Throttled: "0x58", channel.Unreachable: "0x45",
					channel.InvalidRecipient: "0x0B"},
				Stall: func() func() {
					until := make(chan struct{})
					always(smpptest.Reply{Until: until})
					return func() { close(until) }
				},
			}
		},
	})
}
