package smppserver

import (
	"context"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// ChannelHandler hands each message to c, which makes a [Server] the front of
// any channel: a failover, another SMSC, an Android gateway. It wants
// Config.Assemble, so that c gets long messages whole: it answers a part
// with ESME_RSYSERR.
//
// The channel's Message has the recipient, the text, the sender, and a deadline
// where the submit_sm has a relative validity_period. Its ID is the message_id
// that the ESME is given, so a receipt that comes later is passed on as
// Server.Deliver(systemID, DeliveryReceipt{ID: receipt.MessageID, …}). Where c
// reports at once that the message is delivered, as OTP Blue does, and the ESME
// asked for a receipt, it gets one right behind the response.
//
// Nothing is kept of a message once it is answered. Who wants cancel_sm to be
// honoured keeps, by the Message's ID, what c.Send returned, and has c's
// [channel.Canceler] called by Config.Cancel.
//
// An error is told as StatusOf its class; the statuses of an SMSC behind c are
// nobody else's business.
func ChannelHandler(c channel.Channel) Handler {
	return func(ctx context.Context, m *Submit) (string, error) {
		if m.Parts > 1 {
			return "", smpp.StatusSystemError
		}
		if m.Text == "" {
			return "", smpp.StatusInvalidMsgLength
		}
		out := m.message(time.Now())
		if out.To.Validate() != nil {
			return "", smpp.StatusInvalidDestination
		}
		sub, err := c.Send(ctx, out)
		if err != nil {
			return "", StatusOfClass(channel.ClassOf(err))
		}
		if m.Receipt && sub.State == channel.Delivered {
			m.Deliver(DeliveryReceipt{Submitted: out.Created})
		}
		return out.ID, nil
	}
}

// message is m for a channel.
func (m *Submit) message(now time.Time) *channel.Message {
	out := &channel.Message{
		ID:   newMessageID(),
		To:   channel.Recipient{Phone: "+" + strings.TrimPrefix(m.To, "+")},
		Text: m.Text, Sender: m.From, Created: now,
	}
	if m.FromTON == wire.TONInternational && m.From != "" {
		out.Sender = "+" + strings.TrimPrefix(m.From, "+")
	}
	if m.Validity > 0 {
		out.Expires = now.Add(m.Validity)
	}
	return out
}
