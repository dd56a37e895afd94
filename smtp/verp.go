package smtp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// Errors of feedback whose message is unknown.
var (
	// ErrNoToken means that a mail has no return path of ours. It may be a
	// bounce of another sender's mail.
	ErrNoToken = errors.New("smtp: no return path of ours")

	// ErrForgedToken means that a return path has our form, but none of our
	// keys made it.
	ErrForgedToken = errors.New("smtp: forged return path")
)

const (
	minVERPKey = 16  // octets
	maxLocal   = 64  // of an address before the @ (RFC 5321 §4.5.3.1.1)
	maxAddress = 254 // RFC 3696 erratum 1690
	maxID      = 36  // of a Message.ID
	macLen     = 16  // letters: 80 bits

	// verpLabel separates this use of the key from others.
	verpLabel = "otpcourier smtp verp 1\x00"
)

// macEncoding is lower case, because some systems change addresses to lower
// case.
var macEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A VERP (variable envelope return path) gives each mail a return path of its
// own, by which [ParseFeedback] finds the message of a bounce. Anybody can
// write a bounce, so the return path carries the Message.ID and an HMAC-SHA256
// of it, cut to 80 bits. It shows neither the code nor the recipient.
//
// A Message.ID should be in lower case: some mail systems change addresses to
// lower case, and the return path of an id with capitals then counts as forged.
//
// A VERP is safe for concurrent use. Processes with the same keys recognize
// each other's return paths.
type VERP struct {
	before, after string // around the token
	keys          atomic.Pointer[[][]byte]
}

// NewVERP returns a VERP for the addresses of a pattern. The "*" before the "@"
// stands for the token, for example "bounce+*@mybank.example". Mail to all of
// them must reach one mailbox, whose mail is passed to [ParseFeedback]. For SPF
// to count for DMARC, the domain must be Config.From's, or belong to the same
// organization.
//
// The pattern may have 12 octets around the token, before the "@". The first
// key signs; all keys verify. A key must have 16 octets at least; use 32 random
// octets.
func NewVERP(address string, keys ...[]byte) (*VERP, error) {
	local, _, _ := strings.Cut(address, "@")
	if strings.Count(local, "*") != 1 || strings.Count(address, "*") != 1 {
		return nil, errors.New(`smtp: VERP address has no single "*" before the "@"`)
	}
	before, after, _ := strings.Cut(address, "*")
	wire, err := addrspec.ASCII(before + "x" + after)
	if err != nil {
		return nil, errors.New("smtp: VERP address is malformed, or not ASCII before the @")
	}
	after = wire[len(before)+1:]
	room := strings.IndexByte(wire, '@') - 1
	if room+macLen+maxID > maxLocal || len(wire)-1+macLen+maxID > maxAddress {
		return nil, errors.New("smtp: VERP address is too long: more than 12 octets around the token, or 254 in all")
	}
	v := &VERP{before: before, after: after}
	if err := v.Rotate(keys...); err != nil {
		return nil, err
	}
	return v, nil
}

// made reports whether NewVERP made v.
func (v *VERP) made() bool { return v != nil && v.keys.Load() != nil }

// Rotate replaces the keys. Keep an old key after the new one until bounces of
// its mails no longer matter: relays give up after about five days, but a code
// expires sooner.
func (v *VERP) Rotate(keys ...[]byte) error {
	if len(keys) == 0 {
		return errors.New("smtp: VERP has no key")
	}
	own := make([][]byte, len(keys))
	for i, key := range keys {
		if len(key) < minVERPKey {
			return errors.New("smtp: VERP key is shorter than 16 octets")
		}
		own[i] = append([]byte(nil), key...)
	}
	v.keys.Store(&own)
	return nil
}

// String shows no key.
func (v *VERP) String() string { return v.before + "*" + v.after }

// GoString shows no key.
func (v *VERP) GoString() string { return "smtp.VERP{" + v.String() + "}" }

// address returns the return path for a message. Dots in forbidden places
// become underscores, which no Message.ID has.
func (v *VERP) address(id string) string {
	mac := sign((*v.keys.Load())[0], id)
	return v.before + mac + dotAtom(id) + v.after
}

func sign(key []byte, id string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(verpLabel))
	h.Write([]byte(id))
	return macEncoding.EncodeToString(h.Sum(nil)[:macLen*5/8])
}

// messageID returns the Message.ID of a return path. The error is ErrNoToken if
// address has another form, and ErrForgedToken if no key made it.
func (v *VERP) messageID(address string) (string, error) {
	if len(address) <= len(v.before)+len(v.after)+macLen {
		return "", ErrNoToken
	}
	end := len(address) - len(v.after)
	if !strings.EqualFold(address[:len(v.before)], v.before) || !strings.EqualFold(address[end:], v.after) {
		return "", ErrNoToken
	}
	token := address[len(v.before):end]
	mac, id := []byte(strings.ToLower(token[:macLen])), strings.ReplaceAll(token[macLen:], "_", ".")
	if !isMessageID(id) {
		return "", ErrForgedToken
	}
	for _, key := range *v.keys.Load() {
		if hmac.Equal(mac, []byte(sign(key, id))) {
			return id, nil
		}
	}
	return "", ErrForgedToken
}

// find looks for return paths in a header or a field of a report, which may
// have other text.
func (v *VERP) find(text string) (id string, err error) {
	err = ErrNoToken
	words := strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n<>()[],;:\"", r) })
	for word := range words {
		id, wordErr := v.messageID(word)
		if wordErr == nil {
			return id, nil
		}
		if errors.Is(wordErr, ErrForgedToken) {
			err = wordErr
		}
	}
	return "", err
}

// envelopeFrom returns the address for MAIL FROM. The caller has checked the
// message's ID.
func (s *settings) envelopeFrom(m *channel.Message) string {
	if s.VERP == nil {
		return s.envelope
	}
	return s.VERP.address(m.ID)
}
