package otp

import (
	"errors"

	"github.com/otpcourier/otpcourier/channel"
)

// A redacted error replaces a channel's error. Its text lacks the code and the addresses,
// and so does the text of the *channel.Error in its tree. errors.Is finds the sentinels of
// the channel's error; errors.As finds only the *channel.Error.
type redacted struct {
	text    string
	channel *channel.Error
	cause   error
}

func (e *redacted) Error() string    { return e.text }
func (e *redacted) GoString() string { return e.text }

// Is matches the sentinels of the cause.
func (e *redacted) Is(target error) bool { return errors.Is(e.cause, target) }

// As finds the *channel.Error.
func (e *redacted) As(target any) bool {
	if t, ok := target.(**channel.Error); ok && e.channel != nil {
		*t = e.channel
		return true
	}
	return false
}

// redact removes the code and the addresses of m from an error.
func redact(m *channel.Message, err error) error {
	if err == nil {
		return nil
	}
	e := &redacted{text: m.Redact(err.Error()), cause: err}
	var classed *channel.Error
	if errors.As(err, &classed) && classed != nil {
		clean := *classed
		clean.Op, clean.Code = m.Redact(clean.Op), m.Redact(clean.Code)
		if clean.Err != nil {
			clean.Err = &redacted{text: m.Redact(clean.Err.Error()), cause: clean.Err}
		}
		e.channel = &clean
	}
	return e
}
