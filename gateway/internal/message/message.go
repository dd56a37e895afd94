// Package message refuses messages that the channels below gateway must not
// hand to a phone or a provider.
package message

import (
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// The causes of errors about a message.
var (
	ErrExpired = errors.New("the code's life is over, or too short to send it")
	ErrID      = errors.New("Message.ID is not of 1 to 36 of A-Z a-z 0-9 . -")

	errNumber  = errors.New("the recipient has no phone number in E.164")
	errAddress = errors.New("the recipient has no valid address of the channel's kind")
	errText    = errors.New("Message.Text is empty")
)

// Rules are a channel's requirements of a message.
type Rules struct {
	Op   string        // of the errors
	Life time.Duration // the least that must be left of the code's life
	ID   bool          // Message.ID must be valid, because the other side gets it
	Text bool          // Message.Text must not be empty

	// Address is the kind of address that the recipient must have. Default:
	// channel.Phone.
	Address channel.Address
}

// Check returns an *[channel.Error] if the message breaks a rule: of class
// Expired, InvalidRecipient or Misconfigured.
func (r Rules) Check(m *channel.Message, now time.Time) error {
	refuse := func(class channel.Class, err error) error {
		return &channel.Error{Class: class, Op: r.Op, Err: err}
	}
	switch {
	case !m.Expires.IsZero() && m.Expires.Sub(now) < r.Life:
		return refuse(channel.Expired, ErrExpired)
	case !r.reaches(m.To):
		if r.Address > channel.Phone {
			return refuse(channel.InvalidRecipient, errAddress)
		}
		return refuse(channel.InvalidRecipient, errNumber)
	case r.ID && !ValidID(m.ID):
		return refuse(channel.Misconfigured, ErrID)
	case r.Text && m.Text == "":
		return refuse(channel.Misconfigured, errText)
	}
	return nil
}

// reaches reports whether a recipient has a valid address of the kind.
func (r Rules) reaches(to channel.Recipient) bool {
	only := channel.Recipient{Phone: to.Phone}
	switch r.Address {
	case channel.Email:
		only = channel.Recipient{Email: to.Email}
	case channel.Push:
		only = channel.Recipient{Push: to.Push}
	case channel.Chat:
		only = channel.Recipient{Chat: to.Chat}
	}
	return only.Validate() == nil
}

// ValidID reports whether an id has the form of a Message.ID.
func ValidID(id string) bool {
	if id == "" || len(id) > 36 || id == "." || id == ".." { // those two are no path segments
		return false
	}
	for _, c := range []byte(id) {
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
