package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Relay is a mail relay besides the one that [Config] itself describes. Its
// fields mean what Config's of the same names mean, with the same defaults;
// nothing is taken over from Config's first relay.
type Relay struct {
	Addr                 string // required
	TLS                  TLSMode
	TLSConfig            *tls.Config
	DangerouslyPlaintext bool
	Username, Password   string
	Token                func(ctx context.Context) (string, error)
	Mechanism            string
	MaxConns             int
	Rate                 Rate
}

// String names the relay and no secret.
func (r Relay) String() string { return "smtp " + r.Addr }

// GoString keeps the password out of %#v.
func (r Relay) GoString() string { return "smtp.Relay{" + r.Addr + "}" }

// LogValue keeps the password out of logs.
func (r Relay) LogValue() slog.Value { return slog.StringValue(r.String()) }

// A Rate bounds how fast a relay is given messages. The zero value sets no
// bound. A message for which there is no room now goes to a fallback that
// takes it, else waits for the relay that has room first, and is refused as
// Throttled when it would wait longer than it may live.
type Rate struct {
	// PerSecond is how many messages a second, on average. Default: no bound.
	PerSecond float64

	// Burst is how many may go at once after a pause. Default: those of one
	// second, at least 1.
	Burst int

	// WarmFrom is the rate at the time WarmSince, which doubles each day until
	// it reaches PerSecond: a sending address that is new must earn its
	// reputation with large receivers. Default: warm already.
	WarmFrom  float64
	WarmSince time.Time
}

// settle checks r and fills in defaults. Its errors begin with at and a field's
// name.
func (r Relay) settle(at string) (Relay, error) {
	for _, step := range []func(at string) error{r.settleTransport, r.settleLogin, r.settleLimits} {
		if err := step(at); err != nil {
			return Relay{}, err
		}
	}
	return r, nil
}

func (r *Relay) settleTransport(at string) error {
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil || host == "" || port == "" {
		return errors.New(at + `Addr is not "host:port"`)
	}
	switch {
	case r.TLS > ImplicitTLS:
		return errors.New(at + "TLS is no known mode")
	case r.DangerouslyPlaintext && r.TLS != AutoTLS:
		return errors.New(at + "DangerouslyPlaintext contradicts TLS")
	case r.TLS == AutoTLS && port == "465":
		r.TLS = ImplicitTLS
	case r.TLS == AutoTLS:
		r.TLS = StartTLS
	}
	if r.TLSConfig == nil {
		r.TLSConfig = new(tls.Config)
	}
	r.TLSConfig = r.TLSConfig.Clone()
	r.TLSConfig.MinVersion = max(r.TLSConfig.MinVersion, tls.VersionTLS12)
	if v := r.TLSConfig.MaxVersion; v != 0 && v < tls.VersionTLS12 {
		return errors.New(at + "TLSConfig.MaxVersion is below TLS 1.2")
	}
	if r.TLSConfig.ServerName == "" {
		r.TLSConfig.ServerName = host
	}
	return nil
}

func (r *Relay) settleLogin(at string) error {
	mechanisms := passwordMechanisms
	if r.Token != nil {
		mechanisms = tokenMechanisms
	}
	switch {
	case r.Password != "" && r.Token != nil:
		return errors.New(at + "Password and Token exclude each other")
	case (r.Username == "") != (r.Password == "" && r.Token == nil):
		return errors.New(at + "Username needs a Password or a Token, and they need it")
	case r.Username != "" && r.DangerouslyPlaintext:
		return errors.New(at + "Username: a password is never sent without TLS")
	case strings.ContainsFunc(r.Username, unicode.IsControl), strings.ContainsRune(r.Password, 0):
		return errors.New(at + "Username or Password contains a control character")
	case r.Mechanism != "" && r.Username == "":
		return errors.New(at + "Mechanism needs a Username")
	case r.Mechanism != "" && !slices.Contains(mechanisms, r.Mechanism):
		return errors.New(at + "Mechanism is not one of " + strings.Join(mechanisms, ", "))
	}
	return nil
}

func (r *Relay) settleLimits(at string) error {
	switch rate := &r.Rate; {
	case r.MaxConns < 0:
		return errors.New(at + "MaxConns is negative")
	case !isRate(rate.PerSecond):
		return errors.New(at + "Rate.PerSecond is not a number from 0")
	case rate.Burst < 0:
		return errors.New(at + "Rate.Burst is negative")
	case !isRate(rate.WarmFrom), rate.WarmFrom > rate.PerSecond:
		return errors.New(at + "Rate.WarmFrom is not a number from 0 to PerSecond")
	case (rate.WarmFrom == 0) != rate.WarmSince.IsZero():
		return errors.New(at + "Rate.WarmFrom and WarmSince need each other")
	case rate.Burst == 0:
		rate.Burst = max(1, int(math.Ceil(min(rate.PerSecond, math.MaxInt32))))
	}
	if r.MaxConns == 0 {
		r.MaxConns = 8
	}
	return nil
}

func isRate(f float64) bool { return f >= 0 && !math.IsInf(f, 0) }
