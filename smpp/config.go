package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Config says which SMSC a [Client] binds to, and how. Addr is required; the
// zero value of every other field is its default.
type Config struct {
	// Addr is the SMSC's "host:port". Required.
	Addr string

	// SystemID, Password and SystemType are sent in the bind. Default: empty.
	// At most 64, 64 and 12 characters.
	SystemID, Password, SystemType string

	// TLS configures the connection. MinVersion is raised to TLS 1.2, and
	// ServerName defaults to the host of Addr. Default: the system's roots.
	TLS *tls.Config

	// DangerouslyPlaintext connects without TLS: password, codes and phone
	// numbers cross the network readable. For a test SMSC, or a line that is
	// encrypted by other means. Default: false.
	DangerouslyPlaintext bool

	// Sender is the source address: digits of up to 8 characters are a short
	// code (TON 3, NPI 0), longer ones, or with a "+", an international number
	// (TON 1, NPI 1), anything else is alphanumeric (TON 5, NPI 0), at most 11
	// characters of printable ASCII. Default: Message.Sender, by the same
	// rules; with neither, the SMSC's own choice.
	Sender string

	// SenderNumbering and DestNumbering replace the type of number and the
	// numbering plan of source and destination. Default: by content for the
	// source; international, E.164 (1, 1) for the destination.
	SenderNumbering, DestNumbering *Numbering

	// Window is how many submit_sm may await their response. Default 10, at
	// most 10000.
	Window int

	// SubmitIDs and ReceiptIDs say how the SMSC writes message ids in its
	// responses and in its receipts. Default: IDText, the same in both.
	SubmitIDs, ReceiptIDs IDFormat

	// Receipt is given every delivery receipt, one at a time per connection
	// and in order. Its error makes the SMSC repeat the receipt. Its ctx ends
	// with the client, or after ResponseTimeout. Default: none; no receipts
	// are asked for, and those that come are acknowledged and dropped.
	Receipt channel.ReceiptFunc

	// ResponseTimeout is how long a submit_sm may take to be answered; after
	// that its outcome is channel.Unknown. Default 10 s.
	ResponseTimeout time.Duration

	// BindTimeout is how long connecting, the TLS handshake and the bind may
	// take together. Default 15 s.
	BindTimeout time.Duration

	// BindWait is how long a Send may wait for a bind before it fails.
	// Default 5 s.
	BindWait time.Duration

	// WriteTimeout is how long the SMSC may refuse to read before the
	// connection is given up. Default 10 s.
	WriteTimeout time.Duration

	// EnquireLink is the interval of enquire_link. Default 30 s.
	EnquireLink time.Duration

	// EnquireLinkTimeout is how long the SMSC may stay without answering
	// anything after an enquire_link before the connection is given up, and
	// how long the answer to unbind is waited for. Default 10 s.
	EnquireLinkTimeout time.Duration

	// ReconnectMin and ReconnectMax bound the pause between failed
	// connections. It doubles each time, ±50 %. A connection that stood
	// longer than ReconnectMax is replaced at once. Defaults 500 ms and 30 s.
	ReconnectMin, ReconnectMax time.Duration

	// RefusedWait is the pause, and up to a quarter more, after a bind that
	// was refused for its credentials or address (0x0D, 0x0E, 0x0F, 0x53).
	// SMSCs ban who hammers: OTP Blue for 15 minutes. Default 15 min.
	RefusedWait time.Duration

	// Dial opens the plain connection, on which TLS is then negotiated: a
	// proxy, a tunnel, a pipe in tests. Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger is told of binds, losses and what is not understood; never of
	// a password, a text or a phone number. Default: nothing is logged.
	Logger *slog.Logger
}

// A Numbering is a type of number and a numbering plan indicator (SMPP 3.4,
// sections 5.2.5 and 5.2.6).
type Numbering struct{ TON, NPI uint8 }

// New checks the configuration and starts to connect in the background. An
// error names the field. Close or Shutdown the client in the end.
func New(c Config) (*Client, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	return start(c), nil
}

// complete validates c and sets its defaults.
func (c *Config) complete() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("smpp: Config.Addr: %w", err)
	}
	if err := c.checkStrings(); err != nil {
		return err
	}
	if c.Window < 0 || c.Window > 10000 {
		return fmt.Errorf("smpp: Config.Window: %d is not within 0..10000", c.Window)
	}
	for _, f := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"ResponseTimeout", &c.ResponseTimeout, 10 * time.Second},
		{"BindTimeout", &c.BindTimeout, 15 * time.Second},
		{"BindWait", &c.BindWait, 5 * time.Second},
		{"WriteTimeout", &c.WriteTimeout, 10 * time.Second},
		{"EnquireLink", &c.EnquireLink, 30 * time.Second},
		{"EnquireLinkTimeout", &c.EnquireLinkTimeout, 10 * time.Second},
		{"ReconnectMin", &c.ReconnectMin, 500 * time.Millisecond},
		{"ReconnectMax", &c.ReconnectMax, max(30*time.Second, c.ReconnectMin)},
		{"RefusedWait", &c.RefusedWait, 15 * time.Minute},
	} {
		if *f.v < 0 {
			return fmt.Errorf("smpp: Config.%s: %v is negative", f.name, *f.v)
		}
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if c.ReconnectMax < c.ReconnectMin {
		return fmt.Errorf("smpp: Config.ReconnectMax: %v is less than ReconnectMin", c.ReconnectMax)
	}
	if c.Window == 0 {
		c.Window = 10
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c.completeTLS(host)
}

func (c *Config) checkStrings() error {
	for _, f := range []struct {
		field, value string
		most         int
	}{
		{"SystemID", c.SystemID, wire.MaxSystemID},
		{"Password", c.Password, wire.MaxPassword},
		{"SystemType", c.SystemType, wire.MaxSystemType},
	} {
		if err := wire.CheckCString(f.field, f.value, f.most); err != nil {
			return fmt.Errorf("smpp: Config.%w", err)
		}
	}
	if _, err := source(c.Sender, c.SenderNumbering); err != nil {
		return fmt.Errorf("smpp: Config.Sender: %w", err)
	}
	if c.SubmitIDs > IDDecimal || c.ReceiptIDs > IDDecimal {
		return errors.New("smpp: Config.SubmitIDs or ReceiptIDs: unknown IDFormat")
	}
	return nil
}

func (c *Config) completeTLS(host string) error {
	if c.DangerouslyPlaintext {
		if c.TLS != nil {
			return errors.New("smpp: Config.DangerouslyPlaintext: set together with TLS")
		}
		return nil
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		c.TLS = c.TLS.Clone()
	}
	c.TLS.MinVersion = max(c.TLS.MinVersion, tls.VersionTLS12)
	if c.TLS.MaxVersion != 0 && c.TLS.MaxVersion < tls.VersionTLS12 {
		return errors.New("smpp: Config.TLS: MaxVersion is below TLS 1.2")
	}
	if c.TLS.ServerName == "" {
		c.TLS.ServerName = host
	}
	return nil
}

// String identifies the configuration without its password.
func (c Config) String() string { return "SMPP " + c.SystemID + "@" + c.Addr }

// GoString keeps the password out of %#v.
func (c Config) GoString() string { return "smpp.Config{" + c.String() + "}" }

// LogValue keeps the password out of logs.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("addr", c.Addr), slog.String("system_id", c.SystemID),
		slog.Bool("plaintext", c.DangerouslyPlaintext), slog.Int("window", c.Window))
}
