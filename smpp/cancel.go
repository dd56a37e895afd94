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

// Cancel asks the SMSC to drop a message that has not reached the person yet:
// one cancel_sm for each of s.ProviderIDs, with the addresses that its
// submit_sm had (SMPP 3.4, section 4.9). m must be the message that Send was
// given, as far as recipient and sender go. Each cancel_sm counts as a message
// against Config.TPS and Config.Window, and waits for a bind and for its answer
// as a submit_sm does; like one it is never sent a second time.
//
// A nil error means that the SMSC has dropped every part. The error is a
// [channel.Error], whose Class says of the withdrawal, if not all of it:
//
//   - channel.Unknown: the message may be with the person. The SMSC has it no
//     longer (ESME_RCANCELFAIL, ESME_RINVMSGID; Code is "0x11" or "0x0C"), does
//     not answer, or answers with a status that the standard does not know;
//   - channel.Temporary, channel.Throttled: the SMSC was not asked, or could
//     not look: no bind, no slot of the window, ctx ended, client closed;
//   - channel.Misconfigured: with [errors.ErrUnsupported] in its tree where the
//     SMSC knows no cancel_sm (ESME_RINVCMDID); s.ProviderIDs is empty or holds
//     what cannot be a message_id, since a cancel_sm without one would cancel
//     every message between the two addresses.
//
// A part that is not there any more keeps none of the others from being
// withdrawn; after any other error no further part is asked for. The first
// error is returned.
//
// The message_id is the one in s, which the SMSC gave. Where Config.SubmitIDs
// is not IDText it is written from the number that stands for it: IDHex in
// upper case, both without leading zeros or a "0x". An SMSC that tells one id
// in two bases holds it as a number, and reads it as one.
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

// cancelFailure makes the error of a request that of a cancel_sm: the session
// does not know of a generic_nack what it answers.
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

// isGone reports whether the SMSC has no such message to cancel any more.
func isGone(e *channel.Error) bool {
	return e.Op == opCancel && (errors.Is(e, StatusCancelFailed) || errors.Is(e, StatusInvalidMessageID))
}

// spellAll writes canonical ids as the SMSC does.
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

// spell undoes canonical, but for case and leading zeros. An id that was not in
// the format had stayed as it was.
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
