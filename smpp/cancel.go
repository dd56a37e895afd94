package smpp

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

const opCancel = "smpp: cancel_sm"

var (
	errNoMessageID  = errors.New("submission has no message_id")
	errBadMessageID = errors.New("message_id is empty, longer than 64 characters, or holds a NUL")
)

// Cancel asks the SMSC to drop a message before it reaches the person. It sends
// one cancel_sm for each of s.ProviderIDs, with the addresses of the submit_sm
// (SMPP 3.4, section 4.9). m must have the recipient and the sender of the
// original message. Each cancel_sm counts as a message for Config.TPS and
// Config.Window, and waits for a bind and for its answer as a submit_sm does. The
// client never repeats a cancel_sm.
//
// A nil error means that the SMSC has dropped every part. Otherwise the error is a
// [channel.Error], and part of the message may be withdrawn. Its class is:
//
//   - channel.Unknown: the message may have reached the person. The SMSC no longer
//     has it (ESME_RCANCELFAIL, ESME_RINVMSGID; Code is "0x11" or "0x0C"), does
//     not answer, or answers with a status outside the standard;
//   - channel.Temporary, channel.Throttled: no cancel_sm was sent, or the SMSC
//     could not look for the message. For example, there is no bind or no slot of
//     the window, ctx has ended, or the client is closed;
//   - channel.Misconfigured: the SMSC does not have the command (ESME_RINVCMDID),
//     with [errors.ErrUnsupported] in the tree. Or s.ProviderIDs is empty, or
//     holds an impossible message_id: a cancel_sm without an id would cancel every
//     message between the two addresses.
//
// If the SMSC no longer has one part, Cancel continues with the others. After any
// other error it sends no further cancel_sm. It returns the first error.
//
// The message_id is the id from the SMSC's response. If Config.SubmitIDs is not
// IDText, it is written as a number: for IDHex in upper case, and always without
// leading zeros or a "0x". An SMSC that writes one id in two bases stores a
// number, and reads one.
//
// After the withdrawal the SMSC may send a receipt of the state DELETED.
func (c *Client) Cancel(ctx context.Context, m *channel.Message, s channel.Submission) error {
	if !c.life.Begin() {
		return cancelError(channel.Temporary, ErrClosed)
	}
	defer c.life.End()
	if err := checkRecipient(m); err != nil {
		return cancelFailure(err)
	}
	var between wire.Message
	if err := c.address(&between, m); err != nil {
		return cancelError(channel.Misconfigured, err)
	}
	ids, err := c.config.SubmitIDs.spellAll(s.ProviderIDs)
	if err != nil {
		return cancelError(channel.Misconfigured, err)
	}
	var first error
	for i, id := range ids {
		_, err := c.submit(ctx, &between, request{cancels: id, cost: 1})
		if err == nil {
			continue
		}
		e := cancelFailure(err)
		gone := isGone(e)
		if len(ids) > 1 {
			e.Err = fmt.Errorf("part %d of %d: %w", i+1, len(ids), e.Err)
		}
		if first == nil {
			first = e
		}
		if !gone {
			break
		}
	}
	return first
}

func cancelError(class channel.Class, err error) *channel.Error {
	return &channel.Error{Class: class, Op: opCancel, Err: err}
}

// cancelFailure converts the error of a request to the error of a cancel_sm. A
// session reports a generic_nack as an error of submit_sm.
func cancelFailure(err error) *channel.Error {
	e, ok := errors.AsType[*channel.Error](err)
	if !ok {
		return cancelError(channel.Unknown, err)
	}
	v := *e
	if v.Op != opSubmit { // of a bind
		return &v
	}
	v.Op = opCancel
	switch status, _ := errors.AsType[Status](v.Err); status {
	case StatusCancelFailed, StatusInvalidMessageID:
		v.Class = channel.Unknown
	case StatusInvalidCmdID:
		v.Class, v.Err = channel.Misconfigured, fmt.Errorf("%w: %w", status, errors.ErrUnsupported)
	}
	return &v
}

// isGone reports whether the SMSC no longer has the message.
func isGone(e *channel.Error) bool {
	return e.Op == opCancel && (errors.Is(e, StatusCancelFailed) || errors.Is(e, StatusInvalidMessageID))
}

// spellAll returns canonical ids in the SMSC's format.
func (f IDFormat) spellAll(ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, errNoMessageID
	}
	spelled := make([]string, len(ids))
	for i, id := range ids {
		spelled[i] = f.spell(id)
		if id == "" || wire.CheckCString(spelled[i], wire.MaxMessageID) != nil {
			return nil, errBadMessageID
		}
	}
	return spelled, nil
}

// spell is the inverse of canonical, apart from case and leading zeros. An id in
// another format is unchanged.
func (f IDFormat) spell(id string) string {
	if f != IDHex {
		return id
	}
	n, ok := new(big.Int).SetString(id, 10)
	if !ok || n.Sign() < 0 || n.String() != id {
		return id
	}
	return strings.ToUpper(n.Text(16))
}
