package smpp

import (
	"errors"

	"github.com/otpcourier/otpcourier/channel"
)

// ErrClosed is the cause of an error after Close or Shutdown began.
var ErrClosed = errors.New("smpp: client is closed")

// Errors after which another session may take a message: it was not sent.
var (
	errRetired    = errors.New("session is ending")
	errNotWritten = errors.New("connection lost before the message was written")
)

var (
	errNotBound      = errors.New("no bind was established in time")
	errExpired       = errors.New("message has expired")
	errNoResponse    = errors.New("no response in time")
	errLinkDead      = errors.New("enquire_link was not answered in time")
	errUnanswered    = errors.New("SMSC answers no messages: Config.MaxUnanswered reached")
	errPeerUnbound   = errors.New("SMSC unbound")
	errAged          = errors.New("Config.MaxSession reached")
	errUnbound       = errors.New("unbound")
	errNacked        = errors.New("generic_nack without an error")
	errNotBoundThere = errors.New("SMSC says that the session is not bound")
)

const opSubmit = "smpp: submit_sm"

// refused returns the error for a status that answers op.
func refused(op string, s Status) *channel.Error {
	return &channel.Error{Class: s.Class(), Op: op, Code: s.Code(), Err: s}
}

func submitError(class channel.Class, err error) *channel.Error {
	return &channel.Error{Class: class, Op: opSubmit, Err: err}
}
