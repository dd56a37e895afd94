package smpp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// maxShortCode is the largest number of digits of a short code.
const maxShortCode = 8

// promptly is the longest write of a Send of a prompt client. A Send writes only if
// nothing is outstanding, and so nothing but its request waits for the SMSC to read.
const promptly = 200 * time.Millisecond

// slack is how much later than the end of its request a Send may return, so that few
// need a timer of their own.
const slack = 50 * time.Millisecond

// Prompt implements channel.Prompter: it reports whether Send runs no code of the
// embedder, because Config has none of MessageTLVs, Trace and Dial.
func (c *Client) Prompt(asked channel.Channel) bool {
	own, ok := asked.(*Client)
	return ok && own == c && c.config.prompt
}

// compose fills in out, which stays off the heap, with the parts of m. If it
// returns an error, nothing was sent.
func (c *Client) compose(out *composed, m *channel.Message) error {
	if err := checkRecipient(m); err != nil {
		return err
	}
	if m.Text == "" {
		return submitError(channel.Misconfigured, errors.New("message has no text"))
	}
	if err := c.envelope(&out.submit, m); err != nil {
		return submitError(channel.Misconfigured, err)
	}
	return out.encode(m.Text, &c.config, c.reference.Add(1))
}

// checkRecipient validates only the phone number. Other channels use the other
// addresses.
func checkRecipient(m *channel.Message) error {
	if m.To.Phone == "" {
		return submitError(channel.InvalidRecipient, errors.New("no phone number"))
	}
	return channel.Recipient{Phone: m.To.Phone}.Validate()
}

// address fills in source and destination of m.
func (c *Client) address(to *wire.Message, m *channel.Message) error {
	from, err := c.config.source(c.config.sender(m))
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	to.Source = from
	to.Dest = c.config.dest(m.To.Phone)
	return nil
}

// envelope fills in the common fields of all parts of m.
func (c *Client) envelope(common *wire.Message, m *channel.Message) error {
	*common = wire.Message{
		ServiceType: c.config.ServiceType,
		ProtocolID:  c.config.ProtocolID,
		Priority:    c.config.Priority,
		TLVs:        c.config.tlvs,
	}
	if err := c.address(common, m); err != nil {
		return err
	}
	if c.config.Receipt != nil {
		common.Registered = wire.ReceiptWanted
	}
	if c.config.MessageTLVs != nil {
		var err error
		if common.TLVs, err = appendTLVs(common.TLVs, c.config.MessageTLVs(m)); err != nil {
			return fmt.Errorf("MessageTLVs: %w", err)
		}
	}
	return common.Check()
}

// sender returns the sender for m: the sender of the longest prefix of its number,
// or Sender, or the message's own.
func (c *Config) sender(m *channel.Message) string {
	if len(c.Senders) > 0 {
		for n := len(m.To.Phone); n > 1; n-- {
			if sender, ok := c.Senders[m.To.Phone[:n]]; ok {
				return sender
			}
		}
	}
	if c.Sender != "" {
		return c.Sender
	}
	return m.Sender
}

// source returns the source address for a sender, by the rules of Config.Sender.
func (c *Config) source(sender string) (wire.Addr, error) {
	a, n := wire.Addr{Digits: sender}, c.SenderNumbering
	digits := strings.TrimPrefix(sender, "+")
	switch {
	case sender == "":
		a.TON, a.NPI = wire.TONUnknown, wire.NPIUnknown
	case !isDigits(digits):
		a.TON, a.NPI = wire.TONAlphanumeric, wire.NPIUnknown
		n = cmp.Or(c.AlphaNumbering, n)
	case digits == sender && len(digits) <= maxShortCode:
		a.TON, a.NPI = wire.TONNetworkSpecific, wire.NPIUnknown
		n = cmp.Or(c.ShortCodeNumbering, n)
	default:
		a.TON, a.NPI, a.Digits = wire.TONInternational, wire.NPIE164, digits
	}
	alphanumeric := a.TON == wire.TONAlphanumeric
	if n != nil {
		a.TON, a.NPI = n.TON, n.NPI
	}
	most := wire.MaxAddress
	if a.TON == wire.TONAlphanumeric || alphanumeric && n == c.AlphaNumbering {
		most = wire.MaxAlphanumeric
	}
	if len(a.Digits) > most {
		return a, fmt.Errorf("longer than %d characters", most)
	}
	for _, c := range []byte(a.Digits) {
		if c < 0x20 || c > 0x7E {
			return a, errors.New("holds a character that is not printable ASCII")
		}
	}
	return a, nil
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// A request holds the options of a submit_sm or cancel_sm. They are apart from the
// part of the message, so that the part stays on the stack: a call keeps some of
// them.
type request struct {
	message string    // Message.ID of a submit_sm
	cancels string    // message_id to withdraw by a cancel_sm; empty: the request is a submit_sm
	expires time.Time // end of the message's life; zero: none
	until   time.Time // end of the caller's time, apart from its ctx; zero: none
	cost    int       // in messages of Config.TPS
}

// end returns the time at which nobody awaits the request any more, and the error
// then. If the time is zero, there is none.
func (r *request) end() (time.Time, error) {
	if r.until.IsZero() || !r.expires.IsZero() && !r.until.Before(r.expires) {
		return r.expires, errExpired
	}
	return r.until, context.DeadlineExceeded
}

// endClass returns the class of a request that was not written when its end came, by
// the error of end.
func endClass(cause error) channel.Class {
	if errors.Is(cause, errExpired) {
		return channel.Expired
	}
	return channel.Temporary
}

// limitLife sets validity_period. It returns an error if the end of the request has
// come.
func (r *request) limitLife(part *wire.Message, now time.Time, form Validity) error {
	if end, cause := r.end(); !end.IsZero() && !now.Before(end) {
		return submitError(endClass(cause), cause)
	}
	if r.expires.IsZero() {
		return nil
	}
	life := r.expires.Sub(now)
	switch form {
	case ValidityRelative:
		part.Life = life
	case ValidityAbsolute:
		part.Validity = wire.AbsoluteTime(now.Add(max(life, time.Second)))
	}
	return nil
}
