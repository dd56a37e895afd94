package smpp_test

import (
	"context"
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestClosedFromCallback: a callback that closes its client is told that it
// waits for itself, instead of doing so for ever.
func TestClosedFromCallback(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(c *smpp.Config, callback func()){
		"Receipt": func(c *smpp.Config, callback func()) {
			c.Receipt = func(context.Context, channel.Receipt) error { callback(); return nil }
		},
		"Inbound": func(c *smpp.Config, callback func()) {
			c.Inbound = func(context.Context, smpp.Inbound) error { callback(); return nil }
		},
		"Event": func(c *smpp.Config, callback func()) { c.Event = func(smpp.Event) { callback() } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peertest.ClosesItself(t, 40*time.Second, func(t *testing.T, callback func()) peertest.Closer {
				config := peers(t, func(p *peer, _ int) {
					p.bind()
					_, _ = p.Write(deliver(1, "m1"))
					_, _ = p.Write(wire.AppendMessage(nil, pdu.DeliverSmID, 2, from("STOP")))
					for f := p.Next(); f.ID != 0; f = p.Next() {
						if !f.IsResponse() {
							_, _ = p.Write(peertest.Answer(f))
						}
					}
				})
				set(&config, callback)
				c, err := smpp.New(config)
				if err != nil {
					t.Fatal(err)
				}
				return c
			})
		})
	}
}
