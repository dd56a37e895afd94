package smppserver

import (
	"context"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// ChannelHandler returns a Handler that passes each message to c. It makes a
// [Server] the front of any channel: a failover, another SMSC, an Android
// gateway. It requires Config.Assemble, so that c gets whole messages; it
// answers a part with ESME_RSYSERR.
//
// The channel's Message has the recipient, the text, the sender, and a deadline
// if the message has a validity_period. Its ID is the message_id in the ESME's
// response. So the application can pass on a later receipt by
// Server.Deliver(systemID, DeliveryReceipt{ID: receipt.MessageID, …}). If c
// reports at once that the message is delivered, as OTP Blue does, and the ESME
// asked for a receipt, the receipt follows the response. For later receipts, an
// application must keep Submit.Registered and check [Submit.WantsReceipt].
//
// The handler keeps nothing of an answered message. To honour cancel_sm, an
// application must store the Submission of c.Send by the Message's ID, and call
// c's [channel.Canceler] in Config.Cancel.
//
// The answer to an error is StatusOfClass of its class. The Status of an SMSC
// behind c is not passed on.
func ChannelHandler(c channel.Channel) Handler {
	return func(ctx context.Context, m *Submit) (string, error) {
		if m.Parts > 1 {
			return "", smpp.StatusSystemError
		}
		if m.Text == "" {
			return "", smpp.StatusInvalidMsgLength
		}
		now := time.Now()
		if m.isExpired(now) {
			return "", smpp.StatusInvalidExpiry
		}
		out := m.message(now)
		if out.To.Validate() != nil {
			return "", smpp.StatusInvalidDestination
		}
		sub, err := c.Send(ctx, out)
		if err != nil {
			return "", StatusOfClass(channel.ClassOf(err))
		}
		if sub.State == channel.Delivered {
			m.Deliver(DeliveryReceipt{Submitted: out.Created})
		}
		return out.ID, nil
	}
}

// message returns m as a message for a channel.
func (m *Submit) message(now time.Time) *channel.Message {
	out := &channel.Message{
		ID:   newMessageID(),
		To:   channel.Recipient{Phone: "+" + strings.TrimPrefix(m.To, "+")},
		Text: m.Text, Sender: m.From, Created: now, Expires: m.Expires,
	}
	if m.FromTON == wire.TONInternational && m.From != "" {
		out.Sender = "+" + strings.TrimPrefix(m.From, "+")
	}
	return out
}
