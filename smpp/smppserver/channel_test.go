package smppserver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestChannelHandler: what a class becomes on the wire, and what the client
// makes of it again.
func TestChannelHandler(t *testing.T) {
	t.Parallel()
	for class, want := range map[channel.Class]smpp.Status{
		channel.Unknown:          smpp.StatusUnknownError,
		channel.Temporary:        smpp.StatusSystemError,
		channel.Throttled:        smpp.StatusThrottled,
		channel.Unreachable:      smpp.StatusSubmitFailed,
		channel.InvalidRecipient: smpp.StatusInvalidDestination,
		channel.Misconfigured:    smpp.StatusSystemError,
		channel.Expired:          smpp.StatusInvalidExpiry,
	} {
		c := serverConfig()
		// What an SMSC behind the channel said is nobody's business here.
		c.Handler = smppserver.ChannelHandler(channel.Func(func(context.Context, *channel.Message) (channel.Submission,
			error) {
			return channel.Submission{}, &channel.Error{Class: class, Code: "0x0E", Err: smpp.StatusInvalidPassword}
		}))
		got := bound(t, startServer(t, c)).submit(nil)
		if got != want {
			t.Errorf("%v is told as %v, want %v", class, got, want)
		}
		if class != channel.Misconfigured && class != channel.Expired && got.Class() != class {
			t.Errorf("%v comes out as %v", class, got.Class())
		}
	}
}

// TestChannelHandlerMessage: the message as the channel gets it.
func TestChannelHandlerMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got channel.Message
		c := serverConfig()
		c.Handler = smppserver.ChannelHandler(channel.Func(func(_ context.Context,
			m *channel.Message) (channel.Submission, error) {
			got = *m
			return channel.Submission{State: channel.Sent}, nil
		}))
		f := bound(t, startServer(t, c)).Ask(submitFrame(3, func(m *wire.Message) {
			m.Validity, m.DataCoding, m.Short = "000000001000000R", 8, []byte{0x04, 0x1A, 0x04, 0x3E, 0x04, 0x34}
		}))
		want := channel.Message{
			ID: wire.DecodeID(f.Body), To: channel.Recipient{Phone: ann}, Text: "Код", Sender: "MyBank",
			Created: time.Now(), Expires: time.Now().Add(10 * time.Minute),
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got.ID) > 36 {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	})
}
