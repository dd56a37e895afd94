package smppserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
)

// A Config holds the limits of a [Server], and the functions that answer its
// peers. TLS (or DangerouslyPlaintext), Authenticate and one of the two
// handlers are required. The zero value of every other field is its default.
// The defaults are the values of OTP Blue's integration guide, where it has
// one.
type Config struct {
	// SystemID is the system_id of the server in its responses to binds.
	// Default: empty. At most 64 characters.
	SystemID string

	// TLS holds the server's certificate. MinVersion is raised to TLS 1.2.
	// Required unless DangerouslyPlaintext is set.
	TLS *tls.Config

	// DangerouslyPlaintext serves without TLS: passwords, codes and phone
	// numbers cross the network readable. Use it for tests, and for servers
	// behind a TLS proxy. Default: false.
	DangerouslyPlaintext bool

	// Authenticate decides whether a bind is accepted: the answer smpp.StatusOK
	// accepts it. Any other status refuses it, and the connection is closed. It
	// must be safe for concurrent use, and should compare passwords in constant
	// time. It must return soon after its ctx ends, at PreBindTimeout at the
	// latest. Required.
	Authenticate func(ctx context.Context, b BindRequest) smpp.Status

	// Allow lists the networks that may bind. A bind from another address is
	// answered with ESME_RBINDFAIL, even if its password is right. Default:
	// every address.
	Allow []netip.Prefix

	// MaxBindFailures is the number of failed binds (0x0D, 0x0E, 0x0F, 0x53)
	// after which an address, in IPv6 its /64, is blocked for BlockFor: its
	// binds are answered with ESME_RBINDFAIL without a call of Authenticate.
	// The server never checks more guesses, however many come at once. A
	// successful bind does not reset the count. Default 5; negative: addresses
	// are never blocked.
	MaxBindFailures int

	// BlockFor is how long an address is blocked. Its failures are forgotten
	// after the same time without a further failure. Default 15 min.
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

	// HandlerTimeout is the time after which the ctx of a call of Handler,
	// Cancel or Query ends. Default 30 s.
	HandlerTimeout time.Duration

	// Assemble hands long messages to the handler as one. Default: each part
	// is a Submit of its own. See [Submit].
	Assemble bool

	// TPS returns the largest number of submit_sm, data_sm, cancel_sm and
	// query_sm that a system_id may send in any one second, over all its
	// sessions together. Further ones are answered with ESME_RTHROTTLED. TPS is
	// called at each bind. Zero is unlimited, the most is 100000. Default:
	// unlimited.
	TPS func(systemID string) int

	// Window is the largest number of messages, cancel_sm and query_sm of one
	// session that may be with their handlers. Further ones are answered with
	// ESME_RTHROTTLED. Default 100, at most 100000.
	Window int

	// MaxMessage is the longest message in octets, in short_message,
	// message_payload, or all parts of an assembled message. User data headers
	// do not count. Longer messages are answered with ESME_RINVMSGLEN. So are
	// PDUs more than 4 KiB longer than MaxMessage, which are skipped unread.
	// Default 512, at most 65535.
	MaxMessage int

	// MaxBinds returns the largest number of sessions that a system_id may have
	// bound. A further bind is answered with ESME_RALYBND, and does not count
	// as a failed bind. MaxBinds is called at each bind. Zero is unlimited.
	// Default: unlimited.
	MaxBinds func(systemID string) int

	// RequireE164 requires destinations in the form of E.164 (7 to 15 digits,
	// TON international or unknown). Others are answered with ESME_RINVDSTADR.
	// Default: false, a destination is any 1 to 21 characters.
	RequireE164 bool

	// Alphabet is the encoding of data_coding 0. Default sms.GSM7, unpacked.
	Alphabet sms.Encoding

	// Alphabets returns the encoding of data_coding 0 or 1 for a system_id. It
	// is called at each bind. Default: Alphabet for 0. For 1 it is sms.Latin1,
	// which includes ASCII (IA5), but sms.GSM7 for octets that cannot be IA5
	// text.
	Alphabets func(systemID string, dataCoding uint8) sms.Encoding

	// MaxConnections is the largest number of open connections, bound or not.
	// Further ones are closed at once. Connections from a blocked address, or
	// an address outside Allow, do not count; 16 of them may be open. Default
	// 1000.
	MaxConnections int

	// MaxUnbound is the largest number of connections without a bind from one
	// address, in IPv6 from its /64. Further ones are closed at once. A server
	// behind a proxy sees only one address, and needs the value of
	// MaxConnections here. Default: a tenth of MaxConnections, but at least 4.
	MaxUnbound int

	// PreBindTimeout is the time that a connection has to bind, with its TLS
	// handshake. Default 30 s.
	PreBindTimeout time.Duration

	// InactivityTimeout is the longest time without an enquire_link, a request
	// for a message, or an answer to a receipt from the peer. Default 90 s.
	InactivityTimeout time.Duration

	// MaxSession is the age at which the server unbinds a session. Default 24
	// h.
	MaxSession time.Duration

	// UnbindTimeout is the longest wait, at the end of a session, for the
	// handlers' answers and for the peer's. Default 5 s.
	UnbindTimeout time.Duration

	// WriteTimeout is the longest time that a peer may refuse to read. Default
	// 10 s.
	WriteTimeout time.Duration

	// The receipt settings also apply to messages; see Server.DeliverMessage.

	// ReceiptTimeout is the time that the peer has to answer a receipt before
	// the server sends it again. Default 10 s.
	ReceiptTimeout time.Duration

	// ReceiptRetry is the pause before a refused or unanswered receipt is sent
	// again. Default 30 s.
	ReceiptRetry time.Duration

	// ReceiptAttempts is the number of times that a receipt is sent in all.
	// Default 5.
	ReceiptAttempts int

	// ReceiptLife is the time for which a receipt is kept if the system_id is
	// not bound, or refuses it. Default 1 h.
	ReceiptLife time.Duration

	// ReceiptWindow is the largest number of receipts from the queue that may
	// await an answer in one session. Default 100, at most 10000.
	ReceiptWindow int

	// ReceiptQueue is the largest number of receipts and parts of messages kept
	// for one system_id. Default 10000.
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

	// Logger logs binds, ends of sessions and malformed PDUs. It never logs a
	// password, a text or a phone number. Default: nothing is logged.
	Logger *slog.Logger
}

// A BindRequest is a bind_transceiver, bind_transmitter or bind_receiver. If it is
// printed or logged, it does not show its password.
type BindRequest struct {
	Session    *Session // of the bind
	SystemID   string
	Password   string
	SystemType string
	Version    uint8    // interface_version; a peer below 0x34 gets no TLVs
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

// MarshalJSON is String: it keeps the password out of logs.
func (b BindRequest) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }
