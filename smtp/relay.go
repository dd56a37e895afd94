package smtp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/otpcourier/otpcourier/channel/transport"
)

// A Relay is a further mail relay. Its fields have the meanings and defaults of
// the same fields of [Config]. Except for DKIM, they do not inherit the Config's
// values.
type Relay struct {
	Addr                 string // required
	TLS                  TLSMode
	TLSConfig            *tls.Config
	DangerouslyPlaintext bool
	Username, Password   string
	Token                func(ctx context.Context) (string, error)
	Mechanism            string
	MaxConns             int
	MaxMessages          int
	Breaker              BreakerConfig
	Rate                 Rate
	Headers              map[string]string
	AllDKIMKeys          bool
	SignMessageID        bool

	// DKIM signs mail to this relay, for example with another key. Default:
	// Config.DKIM.
	DKIM *DKIM

	// NoDKIM leaves out the signature, for a relay that signs. It excludes DKIM.
	// Default false.
	NoDKIM bool

	headers []byte // the lines of Headers
}

// String names the relay and no secret.
func (r Relay) String() string { return "smtp " + r.Addr }

// GoString keeps the password out of %#v.
func (r Relay) GoString() string { return "smtp.Relay{" + r.Addr + "}" }

// LogValue keeps the password out of logs.
func (r Relay) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String: it keeps the password out of logs.
func (r Relay) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// A Rate bounds the messages per second to a relay. The zero value sets no
// bound. If there is no room for a message now, it goes to a fallback with room.
// If there is none, it waits for the relay that has room first. If the wait
// would exceed its time, it is refused as Throttled.
type Rate struct {
	// PerSecond is the number of messages a second, on average. Default: no
	// bound.
	PerSecond float64

	// Burst is the number of messages that may go at once after a pause.
	// Default: the messages of one second, at least 1.
	Burst int

	// WarmFrom is the rate at the time WarmSince. It doubles each day until it
	// reaches PerSecond, because a new sending address must earn its reputation
	// with large receivers. Default: warm already.
	WarmFrom  float64
	WarmSince time.Time
}

// validate fills in defaults. Its errors begin with at and a field's name.
func (r *Relay) validate(at string) error {
	return transport.Validate(at).Steps(r.validateTransport, r.validateLogin, r.validateLimits,
		r.validateHeaders)
}

func (r *Relay) validateTransport(v *transport.Validator) {
	host, port, err := net.SplitHostPort(r.Addr)
	v.Check(err == nil && host != "" && port != "", "Addr", `is not "host:port"`)
	v.Check(r.TLS <= ImplicitTLS, "TLS", "%d is not a TLSMode", r.TLS)
	v.Check(!r.DangerouslyPlaintext || r.TLS == AutoTLS, "DangerouslyPlaintext", "contradicts TLS")
	switch {
	case r.TLS == AutoTLS && port == "465":
		r.TLS = ImplicitTLS
	case r.TLS == AutoTLS:
		r.TLS = StartTLS
	}
	r.TLSConfig = v.ClientTLS("TLSConfig", r.TLSConfig, host)
	if r.TLSConfig.ClientSessionCache == nil { // connections are replaced often
		r.TLSConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
}

func (r *Relay) validateLogin(v *transport.Validator) {
	mechanisms := passwordMechanisms
	if r.Token != nil {
		mechanisms = tokenMechanisms
	}
	hasSecret := r.Password != "" || r.Token != nil
	v.Check(r.Password == "" || r.Token == nil, "Password", "and Token exclude each other")
	v.Check((r.Username != "") == hasSecret, "Username", "and a Password or a Token need each other")
	v.Check(r.Username == "" || !r.DangerouslyPlaintext, "Username", "a password is never sent without TLS")
	v.Check(!strings.ContainsFunc(r.Username, unicode.IsControl), "Username", "contains a control character")
	v.Check(!strings.ContainsRune(r.Password, 0), "Password", "contains NUL")
	if r.Mechanism != "" {
		v.Check(r.Username != "", "Mechanism", "needs a Username")
		v.Check(slices.Contains(mechanisms, r.Mechanism), "Mechanism", "is not one of %s",
			strings.Join(mechanisms, ", "))
	}
}

func (r *Relay) validateLimits(v *transport.Validator) {
	v.Int("MaxConns", &r.MaxConns, 1, 8, math.MaxInt32)
	v.Check(r.MaxMessages >= 0, "MaxMessages", "%d is negative", r.MaxMessages)
	v.Int("Breaker.Failures", &r.Breaker.Failures, 1, 5, math.MaxInt32)
	v.Duration("Breaker.Open", &r.Breaker.Open, 5*time.Second)
	rate := &r.Rate
	v.Check(isRate(rate.PerSecond), "Rate.PerSecond", "%v is not a number from 0", rate.PerSecond)
	v.Check(isRate(rate.WarmFrom) && rate.WarmFrom <= rate.PerSecond, "Rate.WarmFrom",
		"is not a number from 0 to PerSecond")
	v.Check((rate.WarmFrom == 0) == rate.WarmSince.IsZero(), "Rate.WarmFrom", "and WarmSince need each other")
	v.Int("Rate.Burst", &rate.Burst, 1, max(1, int(math.Ceil(min(rate.PerSecond, math.MaxInt32)))), math.MaxInt32)
}

// The defaults of MaxMessages. Exim delivers ten mails of a connection at once
// (smtp_accept_queue_per_connection), and queues the others.
const (
	maxMessagesOfExim = 10
	maxMessagesElse   = 1000
)

// maxMessages returns the largest number of messages over a connection. Exim is
// recognized by its offer of HELP, which hardly any other server makes, because
// its greeting can be changed.
func (r *relay) maxMessages(offersHelp bool) int {
	switch {
	case r.MaxMessages > 0:
		return r.MaxMessages
	case offersHelp:
		return maxMessagesOfExim
	}
	return maxMessagesElse
}

// isSES reports whether addr is a host of Amazon SES, such as
// "email-smtp.eu-west-1.amazonaws.com:587".
func isSES(addr string) bool {
	host, _, _ := net.SplitHostPort(strings.ToLower(addr))
	return strings.HasPrefix(host, "email-smtp") &&
		(strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn"))
}

func isRate(f float64) bool { return f >= 0 && !math.IsInf(f, 0) }
