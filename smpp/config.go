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

// A Config holds the address and the settings of the SMSC to which a [Client]
// binds. Addr is required; the zero value of every other field is its default.
type Config struct {
	// Addr is the SMSC's "host:port". Required.
	Addr string

	// Addrs are further addresses of the same SMSC, with the same credentials.
	// The client binds to all of them and to Addr at once, and they share the
	// messages. Default: none.
	Addrs []string

	// StandbyAddrs are addresses of the same SMSC to which the client binds
	// only if no message can go over Addr and Addrs for one second. Once a bind
	// to Addr or Addrs has stood for ReconnectMax, the client unbinds from
	// them. Default: none.
	StandbyAddrs []string

	// AllAddresses spreads the binds over all addresses of the names in Addr,
	// Addrs and StandbyAddrs in the DNS. A bind that fails tries the next
	// address. Binds must be at least their number. Default: false, each
	// connection goes to the first address that answers.
	AllAddresses bool

	// ReceiverAddr is the "host:port" for the receivers of Pair. Default: the
	// transmitter's address.
	ReceiverAddr string

	// Binds is the number of parallel binds, spread evenly over Addr and Addrs.
	// Each message goes over the bind with the fewest outstanding messages.
	// Default, and the least: one for each address; at most 100. More binds do
	// not give an account more messages per second. StandbyAddrs have as many
	// binds of their own.
	Binds int

	// Pair binds as transmitter and as receiver, over two connections, instead
	// of as transceiver. Use it for an SMSC without transceivers. Binds then
	// counts pairs. If the SMSC refuses a receiver, its transmitter stays
	// bound. Default: false.
	Pair bool

	// TransmitterOnly binds as transmitter: messages go out, and nothing comes
	// back. Use it for an account that may not receive. Receipt and Inbound
	// must be nil. Default: false.
	TransmitterOnly bool

	// Version is the interface_version of the bind: 0x34 for SMPP 3.4, 0x50
	// for 5.0. Default 0x34.
	Version uint8

	// SystemID, Password and SystemType are sent in the bind. Default: empty.
	// They may have 64, 64 and 12 characters.
	SystemID, Password, SystemType string

	// AddressRange and BindNumbering are address_range, addr_ton and addr_npi
	// of the bind: the addresses of the client, in the SMSC's notation, for
	// example "^4477". Default: empty and 0, the SMSC decides. At most 40
	// characters.
	AddressRange  string
	BindNumbering Numbering

	// Credentials is called before each bind, instead of SystemID and Password,
	// so that they can be changed while the client runs. It is also called from
	// time to time after a refusal. A session that stands is not affected. Its
	// ctx ends after BindTimeout. An error is treated as a failed connection.
	// Credentials must be safe for concurrent use and must not call the client.
	// Default: SystemID and Password.
	Credentials func(ctx context.Context) (systemID, password string, err error)

	// TLS configures the connection. MinVersion is raised to TLS 1.2, and
	// ServerName defaults to the host of each address. Default: the system's
	// roots.
	TLS *tls.Config

	// DangerouslyPlaintext connects without TLS: password, codes and phone
	// numbers cross the network readable. Use it for a test SMSC, or if the
	// line itself is encrypted. Default: false.
	DangerouslyPlaintext bool

	// Sender is the source address. Up to 8 digits are a short code (TON 3, NPI
	// 0). More digits, or digits after a "+", are an international number (TON
	// 1, NPI 1). Any other sender is alphanumeric (TON 5, NPI 0), with at most
	// 11 characters of printable ASCII. Default: Message.Sender, by the same
	// rules. If both are empty, the SMSC must choose.
	Sender string

	// Senders replaces Sender by country. A key is the beginning of numbers,
	// for example "+1": "12025550123". The longest matching key counts.
	// Default: none.
	Senders map[string]string

	// SenderNumbering and DestNumbering replace the type of number and the
	// numbering plan of source and destination. Default: by content for the
	// source; international, E.164 (1, 1) for the destination, or national (2,
	// 1) for DestNational.
	SenderNumbering, DestNumbering *Numbering

	// ShortCodeNumbering and AlphaNumbering replace the numbering of short
	// codes and of alphanumeric senders. They take precedence over
	// SenderNumbering. Default: (3, 0) and (5, 0), or SenderNumbering.
	ShortCodeNumbering, AlphaNumbering *Numbering

	// DestFormat is the form of destination_addr. Default: DestDigits.
	DestFormat DestFormat

	// National is the country for DestNational, which requires it.
	National National

	// Validity is the form of validity_period, which is the rest of the
	// message's life. Default: ValidityRelative.
	Validity Validity

	// Codings are the encodings of texts. The first encoding that can hold the
	// text is used. Default: GSM 03.38 with data_coding 0, then UCS-2 with 8.
	// For example, an SMSC whose own alphabet is Latin-1 needs {{0,
	// sms.Latin1}, {8, sms.UCS2}}.
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

	// Classes replaces Status.Class for the refusals of this SMSC, of messages
	// and of binds. If the class of a refused bind is channel.Misconfigured,
	// the client treats the bind as refused for its credentials. With any other
	// class it tries again after the pauses between failed connections. For
	// example, an SMSC may answer StatusInvalidDestination for a country that
	// it does not serve. If numbers are validated earlier, the class should
	// then be channel.Unreachable, so that a failover uses the next route.
	// Default: none.
	Classes map[Status]channel.Class

	// Window is the largest number of submit_sm and cancel_sm that await their
	// response, for each bind. Default 10, at most 10000.
	Window int

	// TPS is the largest number of messages per second, over all binds
	// together. Each part of a long message and each cancel_sm counts. Further
	// Sends wait, until their ctx ends. The limit of an SMSC applies to all
	// clients of one SystemID together. Default: unlimited. At most 100000.
	//
	// The client slows down if the SMSC answers that it is overloaded (class
	// channel.Throttled) or sends a congestion_state of 80 or more (SMPP 5.0).
	// It does so with and without TPS, at most once a second, and to no less
	// than half. The rate recovers in about 20 s. Without TPS the limit begins
	// at the rate of the last second.
	TPS int

	// SubmitIDs and ReceiptIDs are the formats of message ids in the SMSC's
	// responses and in its receipts. Default: IDText, the same in both.
	SubmitIDs, ReceiptIDs IDFormat

	// ReceiptStates gives the meaning of this SMSC's own words and numbers for
	// states in receipts, for example "DLVRD_ACK": MessageDelivered. Numbers
	// are decimal and count in the text and in the parameter message_state.
	// Case does not count. They replace the standard's. Default: none.
	ReceiptStates map[string]MessageState

	// ReceiptsInPlainMessages reads messages with esm_class 0 as receipts, if
	// their text has an id and a state. Anyone can send such a text from a
	// phone and so report a message as delivered. Set it only if the SMSC
	// cannot mark receipts, and no phone can reach it. Default: false.
	ReceiptsInPlainMessages bool

	// Receivers is the largest number of concurrent calls of Receipt and
	// Inbound. Receipts of one message id are handed over one after the other,
	// in the order of their arrival, and so are the messages of one person.
	// Default 16, at most 10000.
	Receivers int

	// RetryStatus answers a receipt or message if Receipt or Inbound returned
	// an error, or if too many wait. It must be a status after which the SMSC
	// repeats it. SMSCs differ: for example, Vonage repeats after 0x58, 0x08,
	// 0x14, 0x45, 0x67, 0xFE and 0xFF only. Default StatusReceiverTemporary
	// (0x64).
	RetryStatus Status

	// Receipt is called with every delivery receipt, several at once and in order
	// per message id; see Receivers. If it returns an error, the SMSC repeats the
	// receipt. Its ctx ends with the client, or after ResponseTimeout.
	//
	// If the response to a message comes after its Send has returned, Receipt
	// is called with the state Sent, the message_id and Message.ID, so that
	// later receipts can be matched. Those have the Message.ID too. Default:
	// none. The client then requests no receipts, and acknowledges and drops
	// any receipt.
	Receipt channel.ReceiptFunc

	// Inbound is called with the messages that people send (MO), under the same
	// terms as Receipt. A long message is whole. Default: none; the client
	// acknowledges and drops them.
	Inbound func(ctx context.Context, m Inbound) error

	// ResponseTimeout is the time that the SMSC has to answer a submit_sm or
	// cancel_sm. After that the outcome is channel.Unknown. Default 10 s.
	ResponseTimeout time.Duration

	// MaxUnanswered is the number of submit_sm and cancel_sm in a row without a
	// response within ResponseTimeout after which the client replaces the
	// session. An SMSC may answer enquire_link although the system behind it is
	// down. Default 3, at most 1000000.
	MaxUnanswered int

	// BindTimeout is the time for connecting, the TLS handshake and the bind
	// together. Default 15 s.
	BindTimeout time.Duration

	// BindWait is the longest time that a Send waits for a bind before it
	// fails. If a session is being replaced, the time until its last responses
	// does not count. Default 5 s.
	BindWait time.Duration

	// WriteTimeout is the longest time that the SMSC may refuse to read before
	// the client gives the connection up. A Send may last for this time, even
	// if its ctx ends earlier. Default 10 s.
	WriteTimeout time.Duration

	// EnquireLink is the interval of enquire_link. It should be below half of
	// the SMSC's idle timeout: the shortest in use is 30 s. Default 14 s.
	EnquireLink time.Duration

	// EnquireLinkTimeout is the longest time after an enquire_link in which the
	// SMSC may send nothing, no other PDU either. Then the client gives the
	// connection up. It is also the longest wait for the answer to unbind.
	// Default 10 s.
	EnquireLinkTimeout time.Duration

	// ReconnectMin and ReconnectMax bound the pause between failed
	// connections. It doubles each time, ±50 %. A connection that stood longer
	// than ReconnectMax is replaced at once. Defaults 500 ms and 30 s.
	ReconnectMin, ReconnectMax time.Duration

	// RefusedWait is the pause after a host has refused credentials that the
	// SMSC never accepted, or their address. The statuses are 0x0D, 0x0E, 0x0F,
	// 0x53, and any status that Classes makes channel.Misconfigured. Up to a quarter
	// is added at random. SMSCs ban clients that retry too often: for example,
	// OTP Blue for 15 minutes. If Credentials returns others meanwhile, the
	// client tries them after the pauses between failed connections, at most
	// three in one RefusedWait. A refusal never affects another host. [Refusal]
	// describes the pauses for credentials that the SMSC has accepted before.
	// Default 15 min.
	RefusedWait time.Duration

	// MaxSession is the age at which the client replaces a session. The session
	// then takes no more messages, and unbinds once nothing is outstanding. It
	// waits for running calls of Receipt and Inbound for ResponseTimeout at
	// most. The next bind follows at once, and messages wait for it. An SMSC
	// with such a limit drops the outstanding messages with the session: for
	// example, OTP Blue after 24 h. The client takes up to 1 % off at random.
	// Default 23 h 55 min.
	MaxSession time.Duration

	// Event is called when a bind stands, is lost or is refused, and when the
	// client slows down. Calls come one at a time, on a goroutine of the
	// client's own. If Event is too slow, events are dropped. Default: none.
	Event func(Event)

	// Trace is called with each PDU in both directions, in the order of each
	// direction. Support at carriers usually asks for such a trace first. Trace
	// runs on the goroutines that write and read, so a slow Trace slows the
	// client. It must be safe for concurrent use and must not call the client.
	// Texts and addresses are masked, and passwords are left out. Default:
	// none, which costs nothing.
	Trace func(PDU)

	// DangerouslyTraceContents shows texts, with their codes, and phone numbers
	// in Trace. Use it for a test account only. Default: false.
	DangerouslyTraceContents bool

	// Dial opens the plain connection, on which TLS is then negotiated. Use it
	// for a proxy, a tunnel, or a pipe in tests. It must not call the client.
	// Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger logs binds, losses and malformed PDUs. It never logs a password, a
	// text or a phone number. Default: nothing is logged.
	Logger *slog.Logger

	tlvs    wire.TLVs              // of TLVs
	hostTLS map[string]*tls.Config // by address; nil: plaintext
	prompt  bool                   // Send runs no code of the embedder; see Client.Prompt

	lookupHost func(ctx context.Context, host string) ([]string, error)
}

// A Numbering is a type of number and a numbering plan indicator (SMPP 3.4,
// sections 5.2.5 and 5.2.6).
type Numbering struct{ TON, NPI uint8 }

// addrs returns Addr and Addrs.
func (c *Config) addrs() []string { return append([]string{c.Addr}, c.Addrs...) }

// served returns the address range for the bind.
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
