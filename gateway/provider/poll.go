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
		return c.values.lookup(name)
	})
	if err != nil {
		return follow.Update{}, err
	}
	if !r.OK() {
		return follow.Update{}, web.Refusal(opPoll, r, time.Now())
	}
	root, err := parseDocument(r.Body)
	if err != nil {
		return follow.Update{}, &channel.Error{Op: opPoll, Err: errors.New("the answer cannot be read")}
	}
	d := document{root: root, header: r.Header}
	update, _ := c.update(providerID, c.spec.Poll.status.find(d), c.spec.Poll.code.find(d))
	return update, nil
}

// update returns the meaning of a status, and whether the profile lists it.
func (c *Channel) update(providerID, status, code string) (follow.Update, bool) {
	u := follow.Update{ProviderID: providerID}
	state, ok := c.spec.states.of(status)
	if !ok {
		return u, false
	}
	switch state {
	case stateEnded:
		u.Final = true
	default:
		u.State = state
	}
	class, listed := c.spec.classes.of(code)
	if !listed {
		class, _ = c.spec.classes.of(status)
	}
	u.Code = strings.TrimSpace(status + " " + shownCode(code, c.spec.lists(code)))
	if u.State == channel.Failed {
		u.Class = class
	}
	return u, true
}
