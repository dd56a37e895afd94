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

// A Config holds the SMSC that a [Client] binds to, and how it does. Addr is
// required; the zero value of every other field is its default.
type Config struct {
	// Addr is the SMSC's "host:port". Required.
	Addr string

	// Addrs are further addresses of the same SMSC, with the same credentials,
	// that are bound all at once with Addr and share the messages. Default: none.
	Addrs []string

	// StandbyAddrs are addresses of the same SMSC that are bound only while no
	// message can go over Addr and Addrs, for one second or more. Once a bind to
	// Addr or Addrs has stood for ReconnectMax, the client unbinds from them.
	// Default: none.
	StandbyAddrs []string

	// AllAddresses connects to each address that the name in Addr, Addrs and
	// StandbyAddrs has in the DNS: the binds are spread over them, and a bind
	// that fails tries the next one. Set Binds to at least their number.
	// Default: false, each connection goes to the first address that answers.
	AllAddresses bool

	// ReceiverAddr is the "host:port" for the receivers of Pair. Default: that of
	// the transmitter.
	ReceiverAddr string

	// Binds is the number of parallel binds, spread evenly over Addr and Addrs.
	// Each message goes over the bind with the fewest outstanding messages.
	// Default, and the least: one for each address; at most 100. An SMSC does
	// not allow more messages per second for more binds. StandbyAddrs have as
	// many binds of their own.
	Binds int

	// Pair binds as transmitter and as receiver, over two connections, instead
	// of as transceiver. It is for an SMSC without transceivers. Binds then
	// counts pairs. If the SMSC refuses a receiver, its transmitter goes on.
	// Default: false.
	Pair bool

	// TransmitterOnly binds as transmitter: messages go out, and nothing comes
	// back. It is for an account that may not receive. Receipt and Inbound must
	// be nil. Default: false.
	TransmitterOnly bool

	// Version is the interface_version of the bind: 0x34 for SMPP 3.4, 0x50
	// for 5.0. Default 0x34.
	Version uint8

	// SystemID, Password and SystemType are sent in the bind. Default: empty.
	// At most 64, 64 and 12 characters.
	SystemID, Password, SystemType string

	// AddressRange and BindNumbering are address_range, addr_ton and addr_npi of
	// the bind: the addresses that the client serves, in the SMSC's notation, for
	// example "^4477". Default: empty and 0, the SMSC decides. At most 40
	// characters.
	AddressRange  string
	BindNumbering Numbering

	// Credentials is called before each bind, instead of SystemID and
	// Password, so that they can be changed while the client runs. It is called
	// from time to time after a refusal, too. A session that stands is not
	// affected. Its ctx ends after BindTimeout. An error is treated as a failed
	// connection. Credentials must be safe for concurrent use and must not call
	// the client. Default: SystemID and Password.
	Credentials func(ctx context.Context) (systemID, password string, err error)

	// TLS configures the connection. MinVersion is raised to TLS 1.2, and
	// ServerName defaults to the host of each address. Default: the system's
	// roots.
	TLS *tls.Config

	// DangerouslyPlaintext connects without TLS: password, codes and phone
	// numbers cross the network readable. It is for a test SMSC, or for a line
	// that is encrypted by other means. Default: false.
	DangerouslyPlaintext bool

	// Sender is the source address. Up to 8 digits are a short code (TON 3, NPI
	// 0). More digits, or digits after a "+", are an international number (TON
	// 1, NPI 1). Any other sender is alphanumeric (TON 5, NPI 0), with at most
	// 11 characters of printable ASCII. Default: Message.Sender, by the same
	// rules. If both are empty, the SMSC chooses.
	Sender string

	// Senders replaces Sender by country: the key is the beginning of the
	// numbers, for example "+1": "12025550123". The longest prefix counts.
	// Default: none.
	Senders map[string]string

	// SenderNumbering and DestNumbering replace the type of number and the
	// numbering plan of source and destination. Default: by content for the
	// source; international, E.164 (1, 1) for the destination, or national (2, 1)
	// for DestNational.
	SenderNumbering, DestNumbering *Numbering

	// ShortCodeNumbering and AlphaNumbering replace those of senders that are
	// short codes and of alphanumeric ones, before SenderNumbering. Default: (3,
	// 0) and (5, 0), or SenderNumbering.
	ShortCodeNumbering, AlphaNumbering *Numbering

	// DestFormat is the form of destination_addr. Default: DestDigits.
	DestFormat DestFormat

	// National is the country of DestNational. Required for that.
	National National

	// Validity is the form of validity_period, which is the rest of the message's
	// life. Default: ValidityRelative.
	Validity Validity

	// Codings are the encodings of texts. The first that holds the text is
	// used. Default: GSM 03.38 with data_coding 0, then UCS-2 with 8. For an
	// SMSC whose own alphabet is Latin-1: {{0, sms.Latin1}, {8, sms.UCS2}}.
	Codings []Coding

	// Long is the form of a text that does not fit in one short message.
	// Default: LongUDH, parts with a user data header.
	Long LongForm

	// ServiceType, ProtocolID and Priority are sent with every message.
	// Default: empty and 0, the SMSC's defaults. ServiceType has at most 5
	// characters; Priority is at most 3.
	ServiceType          string
	ProtocolID, Priority uint8

	// TLVs are sent with every message. MessageTLVs returns further ones for
	// one message. It must be safe for concurrent use, and must not change the
	// message. Default: none.
	TLVs        []TLV
	MessageTLVs func(m *channel.Message) []TLV

	// Classes replaces Status.Class for the refusals of this SMSC, of messages and
	// of binds. A bind that is refused with a status of channel.Misconfigured is
	// treated as refused for its credentials; with any other class it is tried
	// again after the pauses between failed connections. For example,
	// an SMSC answers StatusInvalidDestination for a country that it does not
	// serve, and numbers are validated before. Then the class should be
	// channel.Unreachable, so that a failover uses the next route. Default:
	// none.
	Classes map[Status]channel.Class

	// Window is how many submit_sm and cancel_sm may await their response, for
	// each bind. Default 10, at most 10000.
	Window int

	// TPS is how many messages per second go out at most, over all binds
	// together. Each part of a long message and each cancel_sm counts. Further
	// Sends wait, until their ctx ends. The limit of an SMSC applies to all
	// clients of one SystemID together. Default: unlimited. At most 100000.
	//
	// With and without TPS, the client slows down if the SMSC answers that it
	// has too much (class channel.Throttled) or sends a congestion_state of 80
	// or more (SMPP 5.0): at most once a second, and to no less than half. It
	// recovers in about 20 s. Without TPS it begins at the rate that the SMSC
	// took until then.
	TPS int

	// SubmitIDs and ReceiptIDs are the formats of message ids in the SMSC's
	// responses and in its receipts. Default: IDText, the same in both.
	SubmitIDs, ReceiptIDs IDFormat

	// ReceiptStates are the words and numbers by which this SMSC names states in
	// its receipts, and their meanings, for example "DLVRD_ACK":
	// MessageDelivered. Numbers are decimal and count in the text and in the
	// parameter message_state. Case does not count. They replace the standard's.
	// Default: none.
	ReceiptStates map[string]MessageState

	// ReceiptsInPlainMessages reads messages with esm_class 0 as receipts, if
	// their text has an id and a state. Anyone can send such a text from a phone
	// and so report a message as delivered: set it only for an SMSC that cannot
	// mark receipts, and that no phone can reach. Default: false.
	ReceiptsInPlainMessages bool

	// Receivers is how many calls of Receipt and Inbound may run at once.
	// Receipts of one message id are handed over one after the other, in the
	// order in which they came, and so are the messages of one person. Default
	// 16, at most 10000.
	Receivers int

	// RetryStatus answers a receipt or message that Receipt or Inbound did not
	// take, or for which there is no room, so that the SMSC repeats it. SMSCs
	// differ: Vonage repeats after 0x58, 0x08, 0x14, 0x45, 0x67, 0xFE and 0xFF
	// only. Default StatusReceiverTemporary (0x64).
	RetryStatus Status

	// Receipt is called with every delivery receipt, several at once and in order
	// per message id; see Receivers. If it returns an error, the SMSC repeats the
	// receipt. Its ctx ends with the client, or after ResponseTimeout.
	//
	// If the response to a message comes after its Send has returned, Receipt is
	// called with the state Sent, the message_id and Message.ID, so that later
	// receipts can be matched. Those have the Message.ID too. Default: none; no
	// receipts are asked for, and those that come are acknowledged and dropped.
	Receipt channel.ReceiptFunc

	// Inbound is called with the messages that people send (MO), long ones
	// whole, under the same terms as Receipt. Default: none; they are
	// acknowledged and dropped.
	Inbound func(ctx context.Context, m Inbound) error

	// ResponseTimeout is how long the SMSC may take to answer a submit_sm or
	// cancel_sm. After that the outcome is channel.Unknown. Default 10 s.
	ResponseTimeout time.Duration

	// MaxUnanswered is how many submit_sm and cancel_sm in a row may have no
	// response within ResponseTimeout before the client replaces the session, as
	// it does at MaxSession: an SMSC may answer enquire_link although the system
	// behind it is down. Default 3, at most 1000000.
	MaxUnanswered int

	// BindTimeout is how long connecting, the TLS handshake and the bind may
	// take together. Default 15 s.
	BindTimeout time.Duration

	// BindWait is how long a Send may wait for a bind before it fails. The time
	// in which a session that is being replaced awaits its last responses does
	// not count. Default 5 s.
	BindWait time.Duration

	// WriteTimeout is how long the SMSC may refuse to read before the
	// connection is given up. A Send may last for this time, even if its ctx
	// ends before. Default 10 s.
	WriteTimeout time.Duration

	// EnquireLink is the interval of enquire_link. It should be below half of the
	// time that the SMSC lets a session be idle: the shortest in use is 30 s.
	// Default 14 s.
	EnquireLink time.Duration

	// EnquireLinkTimeout is how long after an enquire_link the SMSC may send
	// nothing, no other PDU either, before the connection is given up, and how
	// long the client waits for the answer to unbind. Default 10 s.
	EnquireLinkTimeout time.Duration

	// ReconnectMin and ReconnectMax bound the pause between failed
	// connections. It doubles each time, ±50 %. A connection that stood longer
	// than ReconnectMax is replaced at once. Defaults 500 ms and 30 s.
	ReconnectMin, ReconnectMax time.Duration

	// RefusedWait is the pause, and up to a quarter more, after a host has refused
	// credentials that the SMSC never accepted, or their address (0x0D, 0x0E,
	// 0x0F, 0x53, and the statuses that Classes calls channel.Misconfigured).
	// SMSCs ban clients that retry too often: OTP Blue for 15 minutes. If
	// Credentials returns others meanwhile, those are tried after the pauses
	// between failed connections, three in one RefusedWait at most. A refusal
	// never affects another host. See [Refusal] for credentials that the SMSC has
	// accepted before. Default 15 min.
	RefusedWait time.Duration

	// MaxSession is how long a session stands before the client replaces it. The
	// session then takes no more messages, and unbinds once nothing is
	// outstanding; it waits for receipts that are being handed over for
	// ResponseTimeout at most. The next bind follows at once, and messages wait
	// for it. An SMSC with such a limit ends a session with its outstanding
	// messages: OTP Blue after 24 h. The client takes up to 1 % off at random.
	// Default 23 h 55 min.
	MaxSession time.Duration

	// Event is called when a bind stands, is lost or is refused, and when the
	// client slows down: one call at a time, on a goroutine of the client's own.
	// If Event is too slow, events are dropped. Default: none.
	Event func(Event)

	// Trace is called with each PDU that is written or read, in both directions
	// and in their order in each: carriers ask for a trace first. It is called on
	// the goroutines that write and read, so a slow Trace slows the client; it
	// must be safe for concurrent use and must not call the client. Texts and
	// addresses are masked, and passwords left out. Default: none, which costs
	// nothing.
	Trace func(PDU)

	// DangerouslyTraceContents shows texts, with their codes, and phone numbers
	// in Trace. It is for a test account. Default: false.
	DangerouslyTraceContents bool

	// Dial opens the plain connection, on which TLS is then negotiated. It is
	// for a proxy, a tunnel, or a pipe in tests. It must not call the client.
	// Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger logs binds, losses and PDUs that are not understood; never a
	// password, a text or a phone number. Default: nothing is logged.
	Logger *slog.Logger

	tlvs    wire.TLVs              // of TLVs
	hostTLS map[string]*tls.Config // by address; nil: plaintext

	lookupHost func(ctx context.Context, host string) ([]string, error)
}

// A Numbering is a type of number and a numbering plan indicator (SMPP 3.4,
// sections 5.2.5 and 5.2.6).
type Numbering struct{ TON, NPI uint8 }

// addrs returns Addr and Addrs.
func (c *Config) addrs() []string { return append([]string{c.Addr}, c.Addrs...) }

// served returns the range of addresses that the bind names.
func (c *Config) served() wire.Addr {
	return wire.Addr{TON: c.BindNumbering.TON, NPI: c.BindNumbering.NPI, Digits: c.AddressRange}
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
