package smpp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// maxShortCode is the length up to which a sender of digits is a short code.
const maxShortCode = 8

// compose makes what m needs, in out, which stays off the heap. Its errors are
// found before anything is sent.
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

// checkRecipient looks at the phone number only: what is wrong with the other
// addresses is for the channels that use them to find.
func checkRecipient(m *channel.Message) error {
	if m.To.Phone == "" {
		return submitError(channel.InvalidRecipient, errors.New("no phone number"))
	}
	return channel.Recipient{Phone: m.To.Phone}.Validate()
}

// address fills in from whom to whom m goes.
func (c *Client) address(to *wire.Message, m *channel.Message) error {
	from, err := source(c.config.sender(m), c.config.SenderNumbering)
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	to.Source = from
	to.Dest = wire.Addr{TON: wire.TONInternational, NPI: wire.NPIE164, Digits: strings.TrimPrefix(m.To.Phone, "+")}
	if n := c.config.DestNumbering; n != nil {
		to.Dest.TON, to.Dest.NPI = n.TON, n.NPI
	}
	return nil
}

// envelope fills in what all parts of m have in common.
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

// sender is the sender for m: that of the longest prefix of its number, or
// Sender, or the message's own.
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

// source is the source address for a sender, as Config.Sender says.
func source(sender string, n *Numbering) (wire.Addr, error) {
	a := wire.Addr{Digits: sender}
	digits := strings.TrimPrefix(sender, "+")
	switch {
	case sender == "":
		a.TON, a.NPI = wire.TONUnknown, wire.NPIUnknown
	case isDigits(digits):
		a.TON, a.NPI, a.Digits = wire.TONInternational, wire.NPIE164, digits
		if digits == sender && len(digits) <= maxShortCode {
			a.TON, a.NPI = wire.TONNetworkSpecific, wire.NPIUnknown
		}
	default:
		a.TON, a.NPI = wire.TONAlphanumeric, wire.NPIUnknown
	}
	if n != nil {
		a.TON, a.NPI = n.TON, n.NPI
	}
	most := wire.MaxAddress
	if a.TON == wire.TONAlphanumeric {
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

// A request is what is asked for with a part of a message. It is apart from it,
// as a call keeps some of it, which would have the part on the heap.
type request struct {
	cancels string    // message_id: a cancel_sm for it, with the part's addresses; empty: a submit_sm
	expires time.Time // when the message does; zero: never
	cost    int       // in messages of Config.TPS
}

// limitLife sets how long the SMSC may try, and fails if the message's life is
// over.
func (r *request) limitLife(part *wire.Message, now time.Time) error {
	if r.expires.IsZero() {
		return nil
	}
	part.Life = r.expires.Sub(now)
	if part.Life <= 0 {
		return submitError(channel.Expired, errExpired)
	}
	return nil
}
