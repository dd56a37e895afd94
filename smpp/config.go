package smpp

import (
	"context"
	"crypto/tls"
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

	// Addrs are further addresses of the same SMSC, with the same
	// credentials. Default: none.
	Addrs []string

	// Binds is how many binds stand in parallel, spread evenly over Addr and
	// Addrs; each message goes over the one with the fewest outstanding.
	// Default: one for each address, and no less; at most 100. More binds do
	// not make an SMSC allow more messages per second.
	Binds int

	// Pair binds as transmitter and as receiver, over two connections,
	// instead of as transceiver: for an SMSC that knows no transceiver.
	// Binds counts pairs then. Default: false.
	Pair bool

	// Version is the interface_version of the bind: 0x34 for SMPP 3.4, 0x50
	// for 5.0. Default 0x34.
	Version uint8

	// SystemID, Password and SystemType are sent in the bind. Default: empty.
	// At most 64, 64 and 12 characters.
	SystemID, Password, SystemType string

	// Credentials is asked before each bind, instead of SystemID and
	// Password, so that they can be changed while the client runs, and from
	// time to time after they were refused; a session that stands stays. Its ctx ends after BindTimeout. An error is tried
	// again like a failed connection. It must be safe for concurrent use and
	// must not call the client. Default: SystemID and Password.
	Credentials func(ctx context.Context) (systemID, password string, err error)

	// TLS configures the connection. MinVersion is raised to TLS 1.2, and
	// ServerName defaults to the host of each address. Default: the system's roots.
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

	// Senders replaces Sender by country: the sender for numbers that begin
	// so, "+1": "12025550123". The longest prefix counts. Default: none.
	Senders map[string]string

	// SenderNumbering and DestNumbering replace the type of number and the
	// numbering plan of source and destination. Default: by content for the
	// source; international, E.164 (1, 1) for the destination.
	SenderNumbering, DestNumbering *Numbering

	// Codings are how a text may be encoded, the first that holds it is
	// taken. Default: GSM 03.38 with data_coding 0, then UCS-2 with 8. An SMSC
	// whose own alphabet is Latin-1 wants {{0, sms.Latin1}, {8, sms.UCS2}}.
	Codings []Coding

	// Long is how a text goes out that does not fit in one short message.
	// Default: LongUDH, in parts with a user data header.
	Long LongForm

	// ServiceType, ProtocolID and Priority are sent with every message.
	// Default: empty and 0, what the SMSC does usually. At most 5 characters;
	// any; at most 3.
	ServiceType          string
	ProtocolID, Priority uint8

	// TLVs are sent with every message, MessageTLVs with the one it is called
	// for; it must be safe for concurrent use and may look at the message
	// only. Default: none.
	TLVs        []TLV
	MessageTLVs func(m *channel.Message) []TLV

	// Classes replaces Status.Class for messages that this SMSC refuses: one
	// that answers StatusInvalidDestination for a country it does not serve,
	// and is given only numbers known to be valid, wants it to be
	// channel.Unreachable, which lets a failover go to the next route.
	// Default: none.
	Classes map[Status]channel.Class

	// Window is how many submit_sm and cancel_sm may await their response, for
	// each bind. Default 10, at most 10000.
	Window int

	// TPS is how many messages per second go out at most, over all binds
	// together; each part of a long one and each cancel_sm counts. Sends
	// beyond it wait, until their ctx ends. What the SMSC allows goes for all
	// clients of one SystemID. Default: unlimited. At most 100000.
	//
	// In any case the client slows down, to half and by more each second,
	// when the SMSC answers that it has too much (class channel.Throttled) or
	// tells a congestion_state of 80 or more (SMPP 5.0), and recovers in
	// about 20 s. Without TPS it begins at what the SMSC took until then.
	TPS int

	// SubmitIDs and ReceiptIDs say how the SMSC writes message ids in its
	// responses and in its receipts. Default: IDText, the same in both.
	SubmitIDs, ReceiptIDs IDFormat

	// Receipt is given every delivery receipt, one at a time per connection
	// and in order. Its error makes the SMSC repeat the receipt. Its ctx ends
	// with the client, or after ResponseTimeout. Default: none; no receipts
	// are asked for, and those that come are acknowledged and dropped.
	Receipt channel.ReceiptFunc

	// Inbound is given the messages that people send (MO), long ones whole,
	// under the same terms as Receipt. Default: none; they are acknowledged
	// and dropped.
	Inbound func(ctx context.Context, m Inbound) error

	// ResponseTimeout is how long a submit_sm or cancel_sm may take to be
	// answered; after that its outcome is channel.Unknown. Default 10 s.
	ResponseTimeout time.Duration

	// BindTimeout is how long connecting, the TLS handshake and the bind may
	// take together. Default 15 s.
	BindTimeout time.Duration

	// BindWait is how long a Send may wait for a bind before it fails. While
	// a session that is being replaced awaits its last responses it does not
	// run. Default 5 s.
	BindWait time.Duration

	// WriteTimeout is how long the SMSC may refuse to read before the
	// connection is given up. A Send may last so long, even if its ctx ends
	// before. Default 10 s.
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
	// SMSCs ban who hammers: OTP Blue for 15 minutes. Where Credentials tells
	// others than were refused meanwhile, those are tried after the pauses
	// between failed connections, three in one RefusedWait at most. What was
	// refused for its address (0x0D) is kept from that one of Addr and Addrs,
	// what was for its credentials from all. Default 15 min.
	RefusedWait time.Duration

	// MaxSession is how long a session stands before the client replaces it:
	// it takes no more messages, unbinds once nothing is outstanding, receipts
	// that are being handed over included (at most ResponseTimeout), and the
	// next bind follows at once; messages wait for it. SMSCs that limit a
	// session cut it off with whatever is outstanding: OTP Blue after 24 h.
	// Up to 1 % of it is taken off at random. Default 23 h 55 min.
	MaxSession time.Duration

	// Event is told of binds that stand, are lost or refused, and of
	// throttling: one at a time, on a goroutine of the client's own. Events
	// that it does not keep up with are dropped. Default: none.
	Event func(Event)

	// Dial opens the plain connection, on which TLS is then negotiated: a
	// proxy, a tunnel, a pipe in tests. It must not call the client. Default:
	// net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger is told of binds, losses and what is not understood; never of
	// a password, a text or a phone number. Default: nothing is logged.
	Logger *slog.Logger

	tlvs    wire.TLVs     // of TLVs
	hostTLS []*tls.Config // for each of addrs; nil: plaintext
}

// A Numbering is a type of number and a numbering plan indicator (SMPP 3.4,
// sections 5.2.5 and 5.2.6).
type Numbering struct{ TON, NPI uint8 }

// addrs are all addresses, the first one first.
func (c *Config) addrs() []string { return append([]string{c.Addr}, c.Addrs...) }

// String identifies the configuration without its password.
func (c Config) String() string { return "SMPP " + c.SystemID + "@" + c.Addr }

// GoString keeps the password out of %#v.
func (c Config) GoString() string { return "smpp.Config{" + c.String() + "}" }

// LogValue keeps the password out of logs.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("addr", c.Addr), slog.String("system_id", c.SystemID),
		slog.Bool("plaintext", c.DangerouslyPlaintext), slog.Int("window", c.Window))
}
