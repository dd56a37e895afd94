package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"time"
	"unicode"
)

// TLSMode says when TLS begins. There is no mode without it; see
// [Config.DangerouslyPlaintext].
type TLSMode uint8

// The modes.
const (
	AutoTLS     TLSMode = iota // ImplicitTLS at port 465 (RFC 8314 §3.3), else StartTLS
	StartTLS                   // by the STARTTLS command, required (RFC 3207); the way of ports 587 and 25
	ImplicitTLS                // from the first byte; the way of port 465
)

// Config describes a relay and the sender. Logged or printed with %v it shows
// no password.
type Config struct {
	// Addr is the relay's "host:port". Required.
	Addr string

	// TLS says when TLS begins. Default AutoTLS.
	TLS TLSMode

	// TLSConfig holds root and client certificates and the like. It is
	// cloned; MinVersion is raised to TLS 1.2, and ServerName defaults to the
	// host of Addr. Default: the system's roots.
	TLSConfig *tls.Config

	// DangerouslyPlaintext sends mail, codes included, for anyone on the way
	// to read and change. It is for tests and a relay on the same host, and
	// excludes Username: a password is never sent without TLS. Default false.
	DangerouslyPlaintext bool

	// Username and Password log in by AUTH PLAIN, or by LOGIN where only that
	// is offered. Default: no login.
	Username, Password string

	// From is the mailbox in the From header, "MyBank <codes@example.com>".
	// Without a display name the message's Sender is shown. Required.
	From string

	// EnvelopeFrom is the address that bounces go to, in MAIL FROM. Default:
	// the address of From.
	EnvelopeFrom string

	// HelloName is what EHLO says: a domain name or an address literal,
	// "[192.0.2.1]". Default: the domain of From, which resolves, unlike a
	// container's host name, and is not refused as "localhost" often is.
	HelloName string

	// Timeout bounds one message from waiting for a connection to the reply
	// after its last line. Default 30 s.
	Timeout time.Duration

	// MaxConns is how many connections may be open at once; further messages
	// wait for one. Default 8.
	MaxConns int

	// IdleTimeout is how long an unused connection stays open for the next
	// message; let it be shorter than the relay's. Default 15 s.
	IdleTimeout time.Duration

	// Dial opens connections. Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger hears of connections made and lost, never of codes, credentials
	// or recipients. Default: none.
	Logger *slog.Logger
}

// String names the relay and no secret.
func (c Config) String() string { return "smtp " + c.Addr }

// GoString keeps the password out of %#v.
func (c Config) GoString() string { return "smtp.Config{" + c.Addr + "}" }

// LogValue keeps the password out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// settings is a Config that has been checked, with its defaults filled in.
type settings struct {
	Config
	from     mailbox
	envelope string
	domain   string // of from, in ASCII
}

// A mailbox is an address with a name for people to read.
type mailbox struct{ name, address string }

func (c Config) settle() (settings, error) {
	s := settings{Config: c}
	for _, step := range []func() error{s.settleTransport, s.settleLogin, s.settleSender, s.settleLimits} {
		if err := step(); err != nil {
			return settings{}, err
		}
	}
	if s.Dial == nil {
		s.Dial = new(net.Dialer).DialContext
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

func (s *settings) settleTransport() error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil || host == "" || port == "" {
		return errors.New(`smtp: Config.Addr is not "host:port"`)
	}
	switch {
	case s.TLS > ImplicitTLS:
		return errors.New("smtp: Config.TLS is no known mode")
	case s.DangerouslyPlaintext && s.TLS != AutoTLS:
		return errors.New("smtp: Config.DangerouslyPlaintext contradicts Config.TLS")
	case s.TLS == AutoTLS && port == "465":
		s.TLS = ImplicitTLS
	case s.TLS == AutoTLS:
		s.TLS = StartTLS
	}
	if s.TLSConfig == nil {
		s.TLSConfig = new(tls.Config)
	}
	s.TLSConfig = s.TLSConfig.Clone()
	s.TLSConfig.MinVersion = max(s.TLSConfig.MinVersion, tls.VersionTLS12)
	if v := s.TLSConfig.MaxVersion; v != 0 && v < tls.VersionTLS12 {
		return errors.New("smtp: Config.TLSConfig.MaxVersion is below TLS 1.2")
	}
	if s.TLSConfig.ServerName == "" {
		s.TLSConfig.ServerName = host
	}
	return nil
}

func (s *settings) settleLogin() error {
	switch {
	case (s.Username == "") != (s.Password == ""):
		return errors.New("smtp: Config.Username and Config.Password need each other")
	case s.Username != "" && s.DangerouslyPlaintext:
		return errors.New("smtp: Config.Username: a password is never sent without TLS")
	case strings.ContainsRune(s.Username+s.Password, 0):
		return errors.New("smtp: Config.Username or Config.Password contains NUL")
	}
	return nil
}

func (s *settings) settleSender() error {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return errors.New(`smtp: Config.From is not "Name <address>"`)
	}
	address, err := asciiMailbox(from.Address)
	if err != nil || !fitsHeader(from.Name) {
		return errors.New("smtp: Config.From is malformed, or not ASCII before the @")
	}
	s.from = mailbox{name: from.Name, address: address}
	s.domain = address[strings.LastIndexByte(address, '@')+1:]

	s.envelope = address
	if s.EnvelopeFrom != "" {
		if s.envelope, err = asciiMailbox(s.EnvelopeFrom); err != nil {
			return errors.New("smtp: Config.EnvelopeFrom is malformed, or not ASCII before the @")
		}
	}
	if s.HelloName == "" {
		s.HelloName = s.domain
	}
	if strings.ContainsFunc(s.HelloName, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII-1 }) {
		return errors.New("smtp: Config.HelloName is not a domain name or address literal")
	}
	return nil
}

func (s *settings) settleLimits() error {
	for _, limit := range []struct {
		name  string
		value *time.Duration
		dflt  time.Duration
	}{
		{"Timeout", &s.Timeout, 30 * time.Second},
		{"IdleTimeout", &s.IdleTimeout, 15 * time.Second},
	} {
		if *limit.value < 0 {
			return fmt.Errorf("smtp: Config.%s is negative", limit.name)
		}
		if *limit.value == 0 {
			*limit.value = limit.dflt
		}
	}
	if s.MaxConns < 0 {
		return errors.New("smtp: Config.MaxConns is negative")
	}
	if s.MaxConns == 0 {
		s.MaxConns = 8
	}
	return nil
}
