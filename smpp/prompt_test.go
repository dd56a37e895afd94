package smpp_test

import (
	"context"
	"net"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

// An embedding has a Send of its own.
type embedding struct{ *smpp.Client }

func (embedding) Send(context.Context, *channel.Message) (channel.Submission, error) {
	return channel.Submission{}, nil
}

// TestPrompt: a client is prompt unless its Send runs code of the embedder, and only
// for itself.
func TestPrompt(t *testing.T) {
	t.Parallel()
	client := func(set func(*smpp.Config)) *smpp.Client {
		config := smpp.Config{Addr: "127.0.0.1:1", SystemID: "a", Password: "b", DangerouslyPlaintext: true}
		set(&config)
		return newClient(t, config)
	}
	c := client(func(*smpp.Config) {})
	for name, row := range map[string]struct {
		of    *smpp.Client
		asked channel.Channel
		want  bool
	}{
		"itself":    {c, c, true},
		"another":   {c, client(func(*smpp.Config) {}), false},
		"embedding": {c, embedding{c}, false},
		"dials": {of: client(func(c *smpp.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
		})},
		"traces": {of: client(func(c *smpp.Config) { c.Trace = func(smpp.PDU) {} })},
		"makes parameters": {of: client(func(c *smpp.Config) {
			c.MessageTLVs = func(*channel.Message) []smpp.TLV { return nil }
		})},
	} {
		asked := row.asked
		if asked == nil {
			asked = row.of
		}
		if got := row.of.Prompt(asked); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
