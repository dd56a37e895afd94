package channeltest

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Harness tells [Run] how to build the channel under test and which promises
// to check.
type Harness struct {
	// New starts a provider and a channel that sends to it. It is called once
	// for every case, so no case sees another's messages. It must register its
	// clean-up with t.Cleanup. Required.
	New func(t testing.TB) Subject

	// Address is the kind of address the channel needs. Required.
	Address channel.Address

	// Message makes a message that the channel accepts. Calls with different
	// ids must return different messages. Default: [Message] with Address.
	Message func(id string) *channel.Message

	// ProviderIDs: the provider gives every accepted message an id of its own.
	// Default: a channel may leave Submission.ProviderIDs empty.
	ProviderIDs bool

	// Idempotent: the provider knows Message.ID as an idempotency key, so a
	// message sent twice is one. Default: it is accepted twice.
	Idempotent bool

	// Delivers: the provider knows at once that a message has reached the person. Default:
	// the State Delivered in a Submission is a fault, since a failover would await no
	// receipt.
	Delivers bool

	// Patience is the time that the suite gives a call that must return at
	// once. A slower call counts as hanging. Default 5 s.
	Patience time.Duration
}

// A Subject is a channel under test with the hooks of the provider behind it.
// Hooks are called by one goroutine at a time, but while Sends are running.
type Subject struct {
	// Channel is the channel under test. Required.
	Channel channel.Channel

	// Accepted returns how many messages the provider has accepted so far. From
	// its own point of view, it has taken responsibility for them, or has read
	// them while it was stalled. A message must count before Send returns.
	// Required.
	Accepted func() int

	// Refuse makes the provider refuse all later messages as its protocol does
	// for the class, and reports whether the protocol has a way. For
	// [channel.Unknown] the provider must read the message, then close the
	// connection without an answer. Nil: the cases that need it are skipped.
	Refuse func(class channel.Class) bool

	// Codes are the provider's codes for the refusals of each class, as Error.Code
	// must show them: a Route's Classes act on them. A class without a code is not
	// checked.
	Codes map[channel.Class]string

	// RetryAfter makes the provider refuse all later messages and ask for that
	// wait, in whole seconds. Nil: the case that needs it is skipped.
	RetryAfter func(wait time.Duration)

	// Secrets are the credentials of the channel, such as passwords, tokens and
	// keys. No error may show one, nor may the log. Secrets under 4 octets are not
	// checked.
	Secrets []string

	// Logged returns what the channel has logged so far, at every level. Nil: not
	// tested.
	Logged func() string

	// Stall makes the provider read messages but not answer, until release is
	// called, once. The provider then answers the messages that it read, if a
	// client still listens. A message read meanwhile must count in Accepted, if
	// the subject can tell: this is how the suite catches a channel that calls
	// it not sent. Nil: the cases that need it are skipped.
	Stall func() (release func())
}

// Message returns a message with addresses of the given kinds, rendered for SMS
// and e-mail, that expires in five minutes. Nobody owns the addresses: Ofcom
// keeps the number for fiction, and the domain example.com is reserved.
func Message(kinds channel.Address, id string) *channel.Message {
	m := &channel.Message{
		ID:       id,
		Code:     "58203719",
		Text:     "58203719 is your Example code. It is valid for 5 minutes.",
		Subject:  "58203719 is your Example code",
		Body:     "58203719 is your Example code.\nIt is valid for 5 minutes.\n",
		HTML:     "<p><b>58203719</b> is your Example code.</p>",
		Language: "en",
		Sender:   "Example",
		Purpose:  "login",
		Created:  time.Now(),
		Expires:  time.Now().Add(5 * time.Minute),
	}
	if kinds&channel.Phone != 0 {
		m.To.Phone = "+447700900123"
	}
	if kinds&channel.Email != 0 {
		m.To.Email = "ann.recipient@example.com"
	}
	if kinds&channel.Push != 0 {
		m.To.Push = "token-7f9c2b4ed1a84c6f"
	}
	if kinds&channel.Chat != 0 {
		m.To.Chat = "telegram:5829471036"
	}
	return m
}

func (h Harness) message(id string) *channel.Message {
	if h.Message != nil {
		return h.Message(id)
	}
	return Message(h.Address, id)
}

func (h Harness) patience() time.Duration {
	if h.Patience > 0 {
		return h.Patience
	}
	return 5 * time.Second
}
