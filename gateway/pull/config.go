package pull

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// Config describes a [Channel]. Logged or printed with %v it shows no secret.
type Config struct {
	// Phones are the phones that may poll. At least one is required.
	Phones []Phone

	// Receipt is called with the phones' reports. If it returns an error, the
	// phone reports again. Default: reports are dropped.
	Receipt channel.ReceiptFunc

	// Wait is how long Send waits for a phone to fetch its message, and how
	// long a phone may go without polling before it counts as away. If all
	// phones are away, Send fails at once. Wait should be a little longer than
	// the phones' interval, of which Android makes a minute or more. Default
	// 65 s.
	Wait time.Duration

	// Lease is how long a phone has to report on a message before the same
	// phone is given it again, in case it did not read the answer. Phones ignore
	// an id that they know. No other phone gets the message, which would be a
	// second SMS. Default 30 s.
	Lease time.Duration

	// MaxQueue is how many messages may wait for a phone; more are refused
	// with class Throttled. Default 100.
	MaxQueue int

	// DangerouslyPlaintext serves requests that did not come over TLS. Codes
	// and credentials are then readable between the phone and the end of TLS:
	// set it only if that is a reverse proxy on the same host. Default: such
	// requests are answered with 403.
	DangerouslyPlaintext bool

	// Remote returns the sender of a request, to slow down guessing. Behind a
	// reverse proxy it must return the address that the proxy passes on: if
	// not, all phones have the proxy's address. Default: the address in
	// RemoteAddr, of IPv6 its /64.
	Remote func(*http.Request) string

	// Logger logs refused and doubtful requests, without numbers, texts and
	// credentials. Default: none.
	Logger *slog.Logger
}

// A Phone is a phone that may poll. It needs Password, WeakHashSecret or both.
type Phone struct {
	// ID is the phone's own: the user name of Basic authentication, or the id
	// in the URL of multiOTP's SMSGatewayApp. Required.
	ID string

	// Password is that of Basic authentication (RFC 7617), for CHT Gateway,
	// whose URL is https://ID:Password@host/path. The app takes no "#", "/",
	// "?" and "@" in it, and sends other characters than letters, digits and
	// _-!.~'()* as "%24", which is accepted like the password itself. It should
	// be long and random. Default: no Basic authentication.
	Password string

	// WeakHashSecret allows multiOTP's SMSGatewayApp, whose URL is
	// https://host/path?id=ID&h=HASH with the first six digits of the MD5 of
	// WeakHashSecret, "#salt@" and ID in hex. Six digits are 24 bits, the same
	// in every request, and in the logs of every proxy: anyone who knows them
	// reads the codes. They resist guessing only because ten wrong ones within a
	// minute shut out all requests with this ID until the minute is over. The
	// app takes Basic authentication as well: prefer Password. Default: not
	// allowed.
	WeakHashSecret string
}

// String returns the number of phones.
func (c Config) String() string { return fmt.Sprintf("pull by %d phones", len(c.Phones)) }

// GoString keeps credentials out of %#v.
func (c Config) GoString() string { return "pull.Config{" + c.String() + "}" }

// LogValue keeps credentials out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String returns the id.
func (p Phone) String() string { return "phone " + p.ID }

// GoString keeps credentials out of %#v.
func (p Phone) GoString() string { return "pull.Phone{" + p.String() + "}" }

// LogValue keeps credentials out of logs.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalJSON is String: it keeps the secret out of logs.
func (p Phone) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// validate returns an error that names the field that is wrong, and fills in
// defaults.
func (c *Config) validate() error {
	v := transport.Validate("pull: Config.")
	v.Check(len(c.Phones) > 0, "Phones", "is required")
	ids := make(map[string]bool, len(c.Phones))
	for i, p := range c.Phones {
		at := fmt.Sprintf("Phones[%d].", i)
		v.Check(p.ID != "", at+"ID", "is required")
		v.Check(!ids[p.ID], at+"ID", "is that of another phone")
		v.Check(p.Password != "" || p.WeakHashSecret != "", at+"Password", "is required, or WeakHashSecret")
		ids[p.ID] = true
	}
	v.Duration("Wait", &c.Wait, 65*time.Second)
	v.Duration("Lease", &c.Lease, 30*time.Second)
	v.Check(c.MaxQueue >= 0, "MaxQueue", "is negative")
	if c.MaxQueue == 0 {
		c.MaxQueue = 100
	}
	if c.Remote == nil {
		c.Remote = remoteHost
	}
	v.Logger(&c.Logger)
	return v.Err()
}
