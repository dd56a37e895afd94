package channeltest

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A Harness tells [Run] how to build the channel under test and what it
// promises.
type Harness struct {
	// New starts a provider and a channel that sends to it. It is called once
	// for every case, so no case sees another's messages; it registers with
	// t.Cleanup what has to be closed. Required.
	New func(t testing.TB) Subject

	// Address is the kind of address the channel needs. Required.
	Address channel.Address

	// Message makes a message that the channel accepts. Each call with
	// another id must give another message. Default: [Message] with Address.
	Message func(id string) *channel.Message

	// ProviderIDs: the provider names every message it accepts, and no two
	// the same. Default: a channel may leave Submission.ProviderIDs empty.
	ProviderIDs bool

	// Idempotent: the provider knows Message.ID as an idempotency key, so a
	// message sent twice is one. Default: it is accepted twice.
	Idempotent bool

	// Patience is how long a call may take that has to return at once before
	// the suite calls it hanging. Default 5 s.
	Patience time.Duration
}

// A Subject is a channel under test with the hooks of the provider behind it.
// Hooks are called by one goroutine at a time, but while Sends are running.
type Subject struct {
	// Channel is under test. Required.
	Channel channel.Channel

	// Accepted returns how many messages the provider has accepted so far:
	// taken responsibility for, from its own point of view, or read while it
	// was stalled. A message counts before Send returns. Required.
	Accepted func() int

	// Refuse makes the provider refuse all messages from now on in the way
	// that its protocol has for the class, and reports whether it has one.
	// For [channel.Unknown] the provider reads the message, then closes the
	// connection without an answer. Nil: the cases that need it are skipped.
	Refuse func(class channel.Class) bool

	// RetryAfter makes the provider refuse all messages from now on, and ask to
	// wait so long, in whole seconds. Nil: the case that needs it is skipped.
	RetryAfter func(wait time.Duration)

	// Secrets are the credentials that the channel was given: passwords,
	// tokens, keys. No error may show one. Those under 4 octets are not looked
	// for.
	Secrets []string

	// Stall makes the provider read messages but not answer, until release is
	// called, once. What was held is then answered, to whoever still listens.
	// A message read meanwhile counts in Accepted from then on, if the subject
	// can tell: only so is a channel noticed that calls it not sent.
	// Nil: the cases that need it are skipped.
	Stall func() (release func())
}

// Message returns a message with addresses of the given kinds that nobody
// owns (a number that Ofcom keeps for fiction, a mailbox under the reserved
// domain example.com), rendered for SMS and e-mail, that expires in five
// minutes.
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
