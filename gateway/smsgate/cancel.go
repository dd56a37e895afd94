package smsgate

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

// Cancel asks the server to withdraw a message that no phone has taken yet. If it
// returns nil, the server gives the message to no phone, and tells a phone that
// fetched it in the same moment to drop it. If a phone has the message already,
// the error's class is Unknown. If the server is older than version 1.45, which
// cannot cancel, or does not know the message, the class is Misconfigured, with
// [errors.ErrUnsupported] in the error's tree.
func (c *Channel) Cancel(ctx context.Context, m *channel.Message, _ channel.Submission) error {
	if !message.ValidID(m.ID) {
		return &channel.Error{Class: channel.Misconfigured, Op: opCancel, Err: errUnknown}
	}
	ctx, end, err := c.life.Begin(ctx, opCancel, time.Time{})
	if err != nil {
		return err
	}
	defer end()
	s, status, err := c.state(ctx, opCancel, http.MethodDelete, m.ID)
	if status == http.StatusConflict || status == http.StatusInternalServerError { // 500: servers before 1.47
		if now, _, failed := c.state(ctx, opCancel, http.MethodGet, m.ID); failed == nil && withdrawn(now.State) {
			s, status, err = now, http.StatusOK, nil // by an earlier call
		}
	}
	switch {
	case status == http.StatusConflict:
		return &channel.Error{Class: channel.Unknown, Op: opCancel, Code: "409", Err: errNotPending}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		code := refusedCode(err)
		return &channel.Error{Class: channel.Misconfigured, Op: opCancel, Code: code, Err: errNoCancel}
	case err != nil:
		return err
	case s.State != "" && !withdrawn(s.State):
		return &channel.Error{Class: channel.Unknown, Op: opCancel, Err: errNotPending}
	}
	c.life.Follower.Forget(m.ID)
	return nil
}

func withdrawn(word string) bool { return word == "Cancelling" || word == "Cancelled" }

func refusedCode(err error) string {
	if e, ok := errors.AsType[*channel.Error](err); ok {
		return e.Code
	}
	return ""
}
