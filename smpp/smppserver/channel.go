package smppserver

import (
	"context"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// ChannelHandler returns a Handler that hands each message to c, which makes a
// [Server] the front of any channel: a failover, another SMSC, an Android
// gateway. It needs Config.Assemble, so that c gets long messages whole; it
// answers a part with ESME_RSYSERR.
//
// The channel's Message has the recipient, the text, the sender, and a deadline
// if the message has a validity_period. Its ID is the message_id that the ESME
// is given. So a receipt that comes later can be passed on by
// Server.Deliver(systemID, DeliveryReceipt{ID: receipt.MessageID, …}). If c
// reports at once that the message is delivered, as OTP Blue does, and the ESME
// asked for a receipt, the receipt follows the response. An application that
// passes on later receipts keeps Submit.Registered, to ask
// [Submit.WantsReceipt].
//
// The handler keeps nothing of a message that is answered. An application that
// wants to honour cancel_sm stores the Submission of c.Send by the Message's ID,
// and calls c's [channel.Canceler] in Config.Cancel.
//
// An error is answered as StatusOf its class. The Status of an SMSC behind c is
// not passed on.
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
