package provider

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// poll asks for a message's state.
func (c *Channel) poll(ctx context.Context, providerID string) (follow.Update, error) {
	r, err := c.request(ctx, opPoll, &c.spec.Poll.requestSpec, func(name string) (string, error) {
		if name == fieldProviderID {
			return providerID, nil
		}
		return c.value(name)
	})
	if err != nil {
		return follow.Update{}, err
	}
	if !r.OK() {
		return follow.Update{}, web.Refusal(opPoll, r, time.Now())
	}
	document, err := parseDocument(r.Body)
	if err != nil {
		return follow.Update{}, &channel.Error{Op: opPoll, Err: errors.New("the answer cannot be read")}
	}
	update, _ := c.update(providerID, c.spec.Poll.status.find(document), c.spec.Poll.code.find(document))
	return update, nil
}

// update returns the meaning of a status, and whether the profile lists it.
func (c *Channel) update(providerID, status, code string) (follow.Update, bool) {
	u := follow.Update{ProviderID: providerID}
	state, ok := c.spec.states[status]
	if !ok {
		return u, false
	}
	switch state {
	case stateEnded:
		u.Final = true
	default:
		u.State = state
	}
	class, listed := c.spec.classes[code]
	if !listed {
		class = c.spec.classes[status]
	}
	u.Code = strings.TrimSpace(status + " " + shownCode(code, listed))
	if u.State == channel.Failed {
		u.Class = class
	}
	return u, true
}
