package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// TLSMode says when TLS begins. Every mode has TLS; see
// [Config.DangerouslyPlaintext].
type TLSMode uint8

// The modes.
const (
	AutoTLS     TLSMode = iota // ImplicitTLS at port 465 (RFC 8314 §3.3), else StartTLS
	StartTLS                   // by the STARTTLS command, required (RFC 3207); the way of ports 587 and 25
	ImplicitTLS                // from the first byte; the way of port 465
)

// A DSN (delivery status notification) says which events the relay, and the
// relays after it, must report to the envelope sender if they can (RFC 3461
// §4.1). FailureOnly and FailureAndSuccess also ask that a notification repeats
// only the mail's headers, and not its body with the code.
type DSN uint8

// The requests.
const (
	FailureOnly       DSN = iota // failures
	FailureAndSuccess            // failures, and delivery by systems that report it
	NoDSN                        // no request: mail systems then report failures and long delays, often with the body
)

// Config describes a relay, or several, and the sender. Logs and prints of it
// show no password.
type Config struct {
	// Addr is the relay's "host:port". Required.
	Addr string

	// TLS says when TLS begins. Default AutoTLS.
	TLS TLSMode

	// TLSConfig sets roots, client certificates and other TLS settings. It is
	// cloned; MinVersion is raised to TLS 1.2, and ServerName defaults to the
	// host of Addr. Default: the system's roots.
	TLSConfig *tls.Config

	// DangerouslyPlaintext sends mail without TLS: anyone on the way can read
	// and change it, codes included. Use it for tests and for a relay on the
	// same host. It excludes Username: a password is never sent without TLS.
	// Default false.
	DangerouslyPlaintext bool

	// Username and Password log in, by the strongest mechanism of the relay:
	// SCRAM-SHA-256, PLAIN, LOGIN. Default: no login.
	Username, Password string

	// Token logs in as Username instead of a Password. It returns an OAuth 2.0
	// access token for OAUTHBEARER (RFC 7628), or for XOAUTH2 if the relay
	// offers only that. It is called for each connection, concurrently, and
	// should cache a token until it expires, as the sources of
	// [golang.org/x/oauth2] do. Default: none.
	Token func(ctx context.Context) (string, error)

	// Mechanism is the AUTH mechanism to use: SCRAM-SHA-256, PLAIN or LOGIN
	// with a Password, OAUTHBEARER or XOAUTH2 with a Token. Default: the first
	// of these that the relay offers.
	Mechanism string

	// From is the mailbox in the From header, "MyBank <codes@example.com>". If
	// it has no display name, the message's Sender is shown. Required.
	From string

	// EnvelopeFrom is the address for bounces, in MAIL FROM. Default: the
	// address of From.
	EnvelopeFrom string

	// VERP gives each mail its own address in MAIL FROM, by which
	// [ParseFeedback] finds the message of a bounce. Default: none.
	VERP *VERP

	// DKIM signs the mail, for receivers to verify its domain. Default: nil, for
	// a relay that signs, or for mail without a signature.
	DKIM *DKIM

	// AllDKIMKeys signs with every key of DKIM. Otherwise one key signs: see
	// [DKIM]. Amazon SES refuses a mail with two signatures, so AllDKIMKeys is
	// an error for its hosts. Default false.
	AllDKIMKeys bool

	// SignMessageID lets the signature of DKIM cover Message-ID and Date. The
	// relay must not change them. Amazon SES and other relays replace them,
	// which breaks such a signature. SignMessageID is therefore an error for
	// the hosts of Amazon SES. Default false.
	SignMessageID bool

	// ReplyTo is the mailbox for a reader's answers, for example "Help
	// <help@example.com>". Default: none, and answers go to From.
	ReplyTo string

	// Headers are further headers for the relay, by name, such as
	// "X-SES-CONFIGURATION-SET" or "X-PM-Message-Stream". They are not signed,
	// because relays remove them. A name must not be one of the mail's own
	// headers. A value must be printable ASCII on one line. Default: none.
	Headers map[string]string

	// FeedbackID is the value of the header Feedback-ID, by which Gmail's
	// Postmaster Tools group mail. It has up to three identifiers of your
	// choice and one for the sender, for example "login:eu::mybank". Default:
	// no such header.
	FeedbackID string

	// CodeInSubject puts Message.Code before the subject, unless it is there
	// already. The person can read it without opening the mail; so can others, on
	// a locked screen and in a bounce, which repeats the subject. Default false.
	CodeInSubject bool

	// HelloName is the argument of EHLO: a domain name or an address literal,
	// such as "[192.0.2.1]". Default: the domain of From. That domain resolves,
	// unlike a container's host name, and relays do not refuse it, unlike
	// "localhost".
	HelloName string

	// Timeout bounds the time of one message, from the wait for a connection to
	// the reply after its last line. Default 30 s.
	Timeout time.Duration

	// MaxConns is the largest number of open connections to the relay; further
	// messages wait for one. If the relay allows fewer, the channel learns
	// their number. Default 8.
	MaxConns int

	// MaxMessages is the largest number of messages over one connection. Exim
	// delivers ten at once, and leaves the others of a connection to its next
	// queue run, up to half an hour later (smtp_accept_queue_per_connection).
	// Default: 10 if the relay offers HELP, as every Exim does, and else 1000.
	MaxMessages int

	// Breaker sets when the channel leaves a relay alone because it is down.
	Breaker BreakerConfig

	// Rate bounds the messages per second to the relay. Default: no bound.
	Rate Rate

	// Fallbacks are further relays, best first. A message goes to the next
	// relay if it was certainly not sent: every earlier relay is down, refuses
	// it for a reason of its own, or has used up its Rate. Default: none.
	Fallbacks []Relay

	// DSN asks relays that support it (RFC 3461) for notifications to the
	// envelope sender. Default: FailureOnly.
	DSN DSN

	// IdleTimeout is the time for which an unused connection stays open for the
	// next message. It should be shorter than the relay's own limit. Default 15
	// s.
	IdleTimeout time.Duration

	// Dial opens connections. Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger gets records of opened and lost connections and of unsent
	// messages. They have no codes, credentials or recipients. Default: none.
	Logger *slog.Logger
}

// String names the relay and no secret.
func (c Config) String() string { return "smtp " + c.Addr }

// GoString keeps the password out of %#v.
func (c Config) GoString() string { return "smtp.Config{" + c.Addr + "}" }

// LogValue keeps the password out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// settings is a valid Config with its defaults.
type settings struct {
	Config
	relays   []Relay // the first is Config's own
	from     mailbox
	replyTo  mailbox // without an address: none
	envelope string  // the address for MAIL FROM, without a VERP
	domain   string  // of from, in ASCII
}

// A mailbox is an address with a name for people to read.
type mailbox struct{ name, address string }

func (c Config) validate() (settings, error) {
	s := settings{Config: c}
	v := transport.Validate("smtp: Config.")
	err := v.Steps(s.validateFrom, s.validateReplyTo, s.validateEnvelope, s.validateSignature, s.validateLimits)
	if err == nil {
		err = s.validateRelays()
	}
	if err != nil {
		return settings{}, err
	}
	if s.Dial == nil {
		s.Dial = new(net.Dialer).DialContext
	}
	v.Logger(&s.Logger)
	return s, nil
}

func (s *settings) validateRelays() error {
	first := Relay{
		Addr: s.Addr, TLS: s.TLS, TLSConfig: s.TLSConfig, DangerouslyPlaintext: s.DangerouslyPlaintext,
		Username: s.Username, Password: s.Password, Token: s.Token, Mechanism: s.Mechanism,
		MaxConns: s.MaxConns, MaxMessages: s.MaxMessages, Breaker: s.Breaker, Rate: s.Rate,
		Headers: s.Headers, DKIM: s.DKIM, AllDKIMKeys: s.AllDKIMKeys, SignMessageID: s.SignMessageID,
	}
	s.relays = append([]Relay{first}, s.Fallbacks...)
	for i := range s.relays {
		at := "smtp: Config."
		if i > 0 {
			at = fmt.Sprintf("smtp: Config.Fallbacks[%d].", i-1)
		}
		if err := s.relays[i].validate(at); err != nil {
			return err
		}
		v := transport.Validate(at)
		if s.validateDKIM(v, &s.relays[i]); v.Failed() {
			return v.Err()
		}
	}
	return nil
}

func (s *settings) validateFrom(v *transport.Validator) {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		v.Check(false, "From", `is not "Name <address>"`)
		return
	}
	address, err := addrspec.ASCII(from.Address)
	v.Check(err == nil && fitsHeader(from.Name), "From", "is malformed, or not ASCII before the @")
	s.from = mailbox{name: from.Name, address: address}
	s.domain = address[strings.LastIndexByte(address, '@')+1:]
}

func (s *settings) validateReplyTo(v *transport.Validator) {
	if s.ReplyTo == "" {
		return
	}
	mailbox, err := mail.ParseAddress(s.ReplyTo)
	if err != nil {
		v.Check(false, "ReplyTo", `is not "Name <address>"`)
		return
	}
	s.replyTo.name = mailbox.Name
	s.replyTo.address, err = addrspec.ASCII(mailbox.Address)
	v.Check(err == nil && fitsHeader(mailbox.Name), "ReplyTo", "is malformed, or not ASCII before the @")
}

func (s *settings) validateEnvelope(v *transport.Validator) {
	v.Check(s.VERP == nil || s.VERP.made(), "VERP", "was not made by NewVERP")
	v.Check(s.VERP == nil || s.EnvelopeFrom == "", "VERP", "and EnvelopeFrom exclude each other")
	s.envelope = s.from.address
	if s.EnvelopeFrom != "" {
		var err error
		s.envelope, err = addrspec.ASCII(s.EnvelopeFrom)
		v.Check(err == nil, "EnvelopeFrom", "is malformed, or not ASCII before the @")
	}
	if s.HelloName == "" {
		s.HelloName = s.domain
	}
	isWord := !strings.ContainsFunc(s.HelloName, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII-1 })
	v.Check(isWord, "HelloName", "is not a domain name or address literal")
}

func (s *settings) validateSignature(v *transport.Validator) {
	v.Check(s.FeedbackID == "" || isFeedbackID(s.FeedbackID), "FeedbackID",
		"is not 1 to 4 identifiers between colons, the last of 5 to 15 characters, all in 60 octets")
}

// validateDKIM gives a relay the DKIM of the Config, unless it has its own.
func (s *settings) validateDKIM(v *transport.Validator, r *Relay) {
	v.Check(r.DKIM == nil || r.DKIM.made(), "DKIM", "was not made by NewDKIM")
	v.Check(r.DKIM == nil || addrspec.Aligned(r.DKIM.domain, s.domain), "DKIM",
		"signs for another domain than From")
	v.Check(r.DKIM == nil || !r.NoDKIM, "NoDKIM", "and DKIM exclude each other")
	if r.DKIM == nil && !r.NoDKIM {
		r.DKIM = s.DKIM
	}
	ses := isSES(r.Addr)
	v.Check(!ses || !r.AllDKIMKeys, "AllDKIMKeys", "Amazon SES refuses a mail with several signatures")
	v.Check(!ses || !r.SignMessageID, "SignMessageID", "Amazon SES replaces Message-ID and Date")
}

func (s *settings) validateLimits(v *transport.Validator) {
	v.Duration("Timeout", &s.Timeout, 30*time.Second)
	v.Duration("IdleTimeout", &s.IdleTimeout, 15*time.Second)
	v.Check(s.DSN <= NoDSN, "DSN", "%d is not a DSN", s.DSN)
}
