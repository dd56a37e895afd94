package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

var (
	errTooLate  = errors.New("the message is on its way, or at its end")
	errNoCancel = fmt.Errorf("the message has no id at the provider: %w", errors.ErrUnsupported)
)

// Unwrap returns a Channel that is also a [channel.Canceler] if the profile can
// cancel, otherwise nil: [channel.As] finds it.
func (c *Channel) Unwrap() channel.Channel {
	if c.spec.Cancel == nil {
		return nil
	}
	return canceler{c}
}

// canceler is the channel of a profile that can cancel.
type canceler struct{ c *Channel }

var _ channel.Canceler = canceler{}

// Send implements channel.Channel.
func (c canceler) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	return c.c.Send(ctx, m)
}

// Cancel asks the provider to drop a message. If the provider answers that it
// will not, because the message is on its way, the error's class is Unknown.
func (c canceler) Cancel(ctx context.Context, m *channel.Message, s channel.Submission) error {
	if len(s.ProviderIDs) == 0 {
		return &channel.Error{Class: channel.Misconfigured, Op: opCancel, Err: errNoCancel}
	}
	ctx, end, err := c.c.life.Begin(ctx, opCancel, time.Time{})
	if err != nil {
		return err
	}
	defer end()
	for _, id := range s.ProviderIDs {
		if err := c.c.cancel(ctx, m, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *Channel) cancel(ctx context.Context, m *channel.Message, providerID string) error {
	spec := c.spec.Cancel
	r, err := c.request(ctx, opCancel, &spec.requestSpec, func(name string) (string, error) {
		switch name {
		case fieldProviderID:
			return providerID, nil
		case "id":
			return m.ID, nil
		}
		return c.values.lookup(name)
	})
	if err != nil {
		return err
	}
	root, _ := parseDocument(r.Body) // an answer that cannot be read says nothing
	if spec.right(r) && spec.judge(document{root: root, header: r.Header, to: &m.To}) == taken {
		c.life.Follower.Forget(providerID)
		return nil
	}
	refusal := web.Refusal(opCancel, r, time.Now())
	switch r.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusGone,
		http.StatusUnprocessableEntity:
		refusal.Class = channel.Unknown
	}
	if refusal.Class == channel.Unknown {
		refusal.Err = errTooLate
	}
	return refusal
}
