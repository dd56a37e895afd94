package smppserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
)

// A Config holds the limits of a [Server], and the functions that answer. TLS (or
// DangerouslyPlaintext), Authenticate and one of the two handlers are required.
// The zero value of every other field is its default, which is that of OTP Blue's
// integration guide if the guide names one.
type Config struct {
	// SystemID is the system_id of the server in its responses to binds.
	// Default: empty. At most 64 characters.
	SystemID string

	// TLS holds the server's certificate. MinVersion is raised to TLS 1.2.
	// Required unless DangerouslyPlaintext is set.
	TLS *tls.Config

	// DangerouslyPlaintext serves without TLS: passwords, codes and phone
	// numbers cross the network readable. It is for tests, and for servers
	// behind a TLS proxy. Default: false.
	DangerouslyPlaintext bool

	// Authenticate decides on a bind: smpp.StatusOK accepts it. Any other
	// status refuses it, and the connection is closed. Passwords should be
	// compared in constant time. Authenticate is called concurrently. It must
	// return soon after its ctx ends, at PreBindTimeout at the latest.
	// Required.
	Authenticate func(ctx context.Context, b BindRequest) smpp.Status

	// Allow are the networks that may bind. Binds from others are answered
	// with ESME_RBINDFAIL, whatever their password. Default: every address.
	Allow []netip.Prefix

	// MaxBindFailures is the number of failed binds (0x0D, 0x0E, 0x0F, 0x53)
	// after which an address, in IPv6 its /64, is blocked for BlockFor: its
	// binds are answered with ESME_RBINDFAIL without a call of Authenticate. No
	// more guesses are checked, however many come at once. Binds that succeed
	// in between change nothing. Default 5; negative: addresses are never
	// blocked.
	MaxBindFailures int

	// BlockFor is how long an address is blocked. After the same time without
	// a further failure its failures are forgotten. Default 15 min.
	BlockFor time.Duration

	// Handler answers messages; see [Handler]. Required unless AsyncHandler is
	// set.
	Handler Handler

	// AsyncHandler answers messages later, instead of Handler; see
	// [AsyncHandler].
	AsyncHandler AsyncHandler

	// Cancel answers cancel_sm; see [CancelRequest]. Default: cancel_sm is
	// answered as an unknown command.
	Cancel func(ctx context.Context, r *CancelRequest) error

	// Query answers query_sm; see [QueryRequest]. Default: query_sm is answered
	// with ESME_RQUERYFAIL.
	Query func(ctx context.Context, r *QueryRequest) (QueryResult, error)

	// HandlerTimeout is when the ctx of a call of Handler, Cancel or Query ends.
	// Default 30 s.
	HandlerTimeout time.Duration

	// Assemble hands long messages to the handler as one. Default: each part
	// is a Submit of its own. See [Submit].
	Assemble bool

	// TPS returns how many submit_sm, data_sm, cancel_sm and query_sm a system_id
	// may send in any one second, over all its sessions together. Further ones
	// are answered with ESME_RTHROTTLED. TPS is called at each bind. Zero is
	// unlimited, the most is 100000. Default: unlimited.
	TPS func(systemID string) int

	// Window is how many messages, cancel_sm and query_sm of one session may be
	// with their handlers. Further ones are answered with ESME_RTHROTTLED.
	// Default 100, at most 100000.
	Window int

	// MaxMessage is the longest message in octets, user data headers not
	// counted, in short_message, message_payload, or all parts of an assembled
	// message. Longer ones are answered with ESME_RINVMSGLEN, as are PDUs that
	// are more than 4 KiB longer than MaxMessage: they are skipped unread.
	// Default 512, at most 65535.
	MaxMessage int

	// MaxBinds returns how many sessions a system_id may have bound at a time.
	// A further bind is answered with ESME_RALYBND, and does not count as a
	// failed one. MaxBinds is called at each bind. Zero is unlimited. Default:
	// unlimited.
	MaxBinds func(systemID string) int

	// RequireE164 answers messages to a destination that is not E.164 in form
	// (7 to 15 digits, TON international or unknown) with ESME_RINVDSTADR.
	// Default: false, a destination is any 1 to 21 characters.
	RequireE164 bool

	// Alphabet is the encoding of data_coding 0. Default sms.GSM7, unpacked.
	Alphabet sms.Encoding

	// Alphabets returns the encoding of data_coding 0 or 1 for a system_id. It
	// is called at each bind. Default: Alphabet for 0; for 1 sms.Latin1, which
	// holds ASCII (IA5), but sms.GSM7 for octets that can be no IA5 text.
	Alphabets func(systemID string, dataCoding uint8) sms.Encoding

	// MaxConnections is how many connections may be open, bound or not.
	// Further ones are closed at once. Connections from an address that is not
	// in Allow, or blocked, do not count; of them 16 may be open. Default 1000.
	MaxConnections int

	// MaxUnbound is how many of the MaxConnections that are not bound may come
	// from one address, in IPv6 from its /64. Further ones are closed at once. A
	// server behind a proxy sees one address only, and needs MaxConnections here.
	// Default: a tenth of MaxConnections, but at least 4.
	MaxUnbound int

	// PreBindTimeout is how long a connection may take to bind, TLS handshake
	// included. Default 30 s.
	PreBindTimeout time.Duration

	// InactivityTimeout is how long a session may neither send enquire_link or a
	// request for a message, nor answer a receipt. Default 90 s.
	InactivityTimeout time.Duration

	// MaxSession is how long a session may last. Then the server unbinds.
	// Default 24 h.
	MaxSession time.Duration

	// UnbindTimeout is how long the server waits, once a session is to end,
	// for the handlers' answers and for the peer's. Default 5 s.
	UnbindTimeout time.Duration

	// WriteTimeout is how long a peer may refuse to read. Default 10 s.
	WriteTimeout time.Duration

	// The receipt settings are also those of messages, see
	// Server.DeliverMessage.

	// ReceiptTimeout is how long the peer may take to answer a receipt before
	// the receipt is sent again. Default 10 s.
	ReceiptTimeout time.Duration

	// ReceiptRetry is the pause before a receipt that was refused or not
	// answered is sent again. Default 30 s.
	ReceiptRetry time.Duration

	// ReceiptAttempts is how often a receipt is sent in all. Default 5.
	ReceiptAttempts int

	// ReceiptLife is how long a receipt is kept for a system_id that is not
	// bound, or refuses it. Default 1 h.
	ReceiptLife time.Duration

	// ReceiptWindow is how many receipts of the queue may await an answer in one
	// session. Default 100, at most 10000.
	ReceiptWindow int

	// ReceiptQueue is how many receipts and parts of messages are kept for one
	// system_id. Default 10000.
	ReceiptQueue int

	// OnBind is called with each bind and its answer, also if the server itself
	// refused the bind. It must not block. Default: none.
	OnBind func(b BindRequest, answer smpp.Status)

	// OnReceipt is called at the end of each receipt given to Server.Deliver:
	// with a nil error if it was acknowledged, else with ErrUndelivered. It
	// must neither block nor call Deliver. Default: none.
	OnReceipt func(systemID string, r DeliveryReceipt, err error)

	// OnMessage is called at the end of each message given to
	// Server.DeliverMessage: with a nil error if all its parts were
	// acknowledged, else with ErrUndelivered. It must neither block nor call
	// DeliverMessage. Default: none.
	OnMessage func(systemID string, m MobileMessage, err error)

	// Logger logs binds, ends of sessions and PDUs that are not understood;
	// never a password, a text or a phone number. Default: nothing is logged.
	Logger *slog.Logger
}

// A BindRequest is a bind_transceiver, bind_transmitter or bind_receiver. If it is
// printed or logged, it does not show its password.
type BindRequest struct {
	Session    *Session // of the bind
	SystemID   string
	Password   string
	SystemType string
	Version    uint8    // interface_version; a peer below 0x34 is sent no TLVs
	RemoteAddr net.Addr // of the connection
	CanSubmit  bool     // as transceiver or transmitter
	CanReceive bool     // as transceiver or receiver
}

// String identifies the bind without its password.
func (b BindRequest) String() string {
	return fmt.Sprintf("bind of %q from %v", b.SystemID, b.RemoteAddr)
}

// GoString keeps the password out of %#v.
func (b BindRequest) GoString() string { return "smppserver.BindRequest{" + b.String() + "}" }

// LogValue keeps the password out of logs.
func (b BindRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("system_id", b.SystemID), slog.Any("remote", b.RemoteAddr))
}
