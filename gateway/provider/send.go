package provider

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

const (
	opSend   = "provider: send"
	opPoll   = "provider: poll"
	opCancel = "provider: cancel"
)

// Send submits m to the address that the profile declares, m.To.Phone by default,
// and returns when the provider has answered. Send makes one try: whether another is safe
// depends on whether the provider knows m.ID, and is the caller's decision. The
// exception is a token that has expired, which the provider refuses before it
// looks at the message.
//
// The error is an *[channel.Error] whose Code is the provider's own, or else the
// HTTP status. Its class is Unknown once the request was written and not
// answered, Temporary before. An answer that does not say for certain that the
// message was taken is Unknown, too: an HTTP 200 without the ID that the profile
// names, say.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	ids, err := c.send(ctx, m)
	if err != nil {
		c.life.NotSent(ctx, err)
		return channel.Submission{State: channel.Failed}, err
	}
	for _, id := range ids {
		c.life.Follower.Follow(follow.Message{ProviderID: id, MessageID: m.ID, Expires: m.Expires})
	}
	if ids == nil && c.spec.Answer.id.set() {
		c.noID.Do(func() {
			c.config.Logger.WarnContext(ctx, "provider: the account returns no message id: "+
				"no state of its messages will be known")
		})
	}
	return channel.Submission{State: channel.Sent, ProviderIDs: ids}, nil
}

func (c *Channel) send(ctx context.Context, m *channel.Message) ([]string, error) {
	now := time.Now()
	rules := message.Rules{Op: opSend, Life: time.Second, Address: c.spec.address, ID: c.spec.Answer.OwnID}
	if err := rules.Check(m, now); err != nil {
		return nil, err
	}
	ctx, end, err := c.life.Begin(ctx, opSend, m.Expires)
	if err != nil {
		return nil, err
	}
	defer end()
	answer, err := c.request(ctx, opSend, &c.spec.Send, messageSource{m, now, c.spec, c.values}.lookup)
	if err != nil {
		return nil, err
	}
	return c.accepted(answer, m, time.Now())
}
