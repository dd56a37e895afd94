package authenticator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// Config configures a [Service]. Issuer, Keys and Store are required.
type Config struct {
	// Issuer names the service in the person's app: 1 to 64 octets without a
	// colon. Apps tell the tokens of one issuer apart by their Account.
	Issuer string

	// Keys seal the values in the Store. It may be the keyring of an
	// otp.Service. A key that is dropped from it makes the values that were
	// sealed with it unreadable: see [Service.Reseal].
	Keys otp.Keyring

	// Store keeps one value per subject: a column in the program's own table of
	// users, or a memstore or redisstore. See store.Credentials.
	Store store.Credentials

	// Application and Tenant are those of the otp.Service whose keyring this
	// is, so that both name a subject alike in their events. The values are
	// bound to them: a change makes the stored values unreadable. Application
	// defaults to Issuer, as that of an otp.Service does to its brand; Tenant
	// to none.
	Application string
	Tenant      string

	// Failures is the Store of the otp.Service with the same Keys, Application
	// and Tenant, if one lock is to hold for all factors: failures of either
	// count in one run, either is locked with it, and a right code of either
	// ends it. MaxFailures and Lock of both policies should be alike. It adds
	// two or three calls to a Verify. A lock of that run ends by its time only:
	// Unlock and Recover end the Service's own. Default: the Service counts its
	// own failures.
	Failures store.Store

	// Policy holds the windows and limits; its zero value is the default.
	Policy Policy

	// Events is called for each event, in the goroutine and with the context of
	// the call it belongs to. It must be quick and safe for concurrent use; a
	// panic is logged and changes nothing. Default: none.
	Events func(context.Context, Event)

	// Logger gets the events too. Default: discarded.
	Logger *slog.Logger
}

// Policy is which codes are accepted, and how often they may be guessed. New refuses
// values out of range. A zero field means the default.
type Policy struct {
	// Skew is how many steps before and after the current one a TOTP code may
	// be of, up to 10. Default 1, so that with steps of 30 s a code is accepted
	// for 90 s (RFC 6238 §5.2). −1: none.
	Skew int

	// Drift is how many steps the clock of a hard token may be off, up to 100,
	// beyond which [Service.Resync] is needed. The window follows the offset of
	// the last code. Default 10. −1: offsets are not followed. An app has no
	// drift: its phone's clock is right, and a slow typist is not a slow clock.
	Drift int

	// LookAhead is how many presses of an HOTP token may have gone by unused, up
	// to 100. Default 10 (RFC 4226 §7.4).
	LookAhead int

	// Resync is how many steps either way, or presses ahead, two consecutive
	// codes are looked for, up to 10,000. Default 1000.
	Resync int

	// MaxFailures wrong codes in a row lock the subject for Lock, and each
	// further lock lasts twice as long, up to a day. MaxFailures is at most 100,
	// Lock a minute to a day. Default 10 for 30 minutes (PCI DSS 8.3.4). After
	// 100 in a row (NIST SP 800-63B-4 §3.2.2) only [Service.Unlock] or a
	// recovery code helps.
	MaxFailures int
	Lock        time.Duration

	// Pending is how long a token may wait for its [Service.Confirm], a minute
	// to a day. Default 15 minutes.
	Pending time.Duration
}

const (
	maxInARow  = 100 // failures, see Policy.MaxFailures
	maxLock    = 24 * time.Hour
	maxSubject = 256 // octets
	maxIssuer  = 64
	maxAccount = 256
	maxName    = 64
	maxSerial  = 64
)

func (p Policy) withDefaults() Policy {
	p.Skew, p.Drift = cmp.Or(p.Skew, 1), cmp.Or(p.Drift, 10)
	p.LookAhead, p.Resync = cmp.Or(p.LookAhead, 10), cmp.Or(p.Resync, 1000)
	p.MaxFailures, p.Lock = cmp.Or(p.MaxFailures, 10), cmp.Or(p.Lock, 30*time.Minute)
	p.Pending = cmp.Or(p.Pending, 15*time.Minute)
	return p
}

// validate refuses a policy with its defaults.
func (p Policy) validate() error {
	for _, f := range []struct {
		name             string
		n, least, atMost int
	}{
		{"Skew", p.Skew, -1, 10}, {"Drift", p.Drift, -1, 100}, {"LookAhead", p.LookAhead, 1, 100},
		{"Resync", p.Resync, 1, 10_000}, {"MaxFailures", p.MaxFailures, 1, maxInARow},
	} {
		if f.n < f.least || f.n > f.atMost {
			return fmt.Errorf("authenticator: Config.Policy.%s: %d is not within %d..%d", f.name, f.n, f.least,
				f.atMost)
		}
	}
	for name, d := range map[string]time.Duration{"Lock": p.Lock, "Pending": p.Pending} {
		if d < time.Minute || d > maxLock {
			return fmt.Errorf("authenticator: Config.Policy.%s: %v is not within a minute and a day", name, d)
		}
	}
	return nil
}

// skew and drift return 0 for −1.
func (p Policy) skew() int64  { return int64(max(p.Skew, 0)) }
func (p Policy) drift() int64 { return int64(max(p.Drift, 0)) }

func (c Config) withDefaults() Config {
	c.Policy = c.Policy.withDefaults()
	if c.Application == "" {
		c.Application = c.Issuer
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if why := badLabel(c.Issuer, maxIssuer); why != "" {
		return fmt.Errorf("authenticator: Config.Issuer: %s", why)
	}
	if c.Store == nil {
		return errors.New("authenticator: Config.Store is required")
	}
	if _, err := c.Keys.MarshalText(); err != nil {
		return fmt.Errorf("authenticator: Config.Keys: %w", err)
	}
	return c.Policy.validate()
}

// badLabel returns what is wrong with an issuer or an account, "" if nothing is. Apps
// split a label at its colon, so it must have none.
func badLabel(s string, most int) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "it is empty"
	case strings.Contains(s, ":"):
		return "it has a colon, at which apps split it"
	}
	return badText(s, most)
}

// badText returns what is wrong with a text that is kept, "" if nothing is.
func badText(s string, most int) string {
	switch {
	case len(s) > most:
		return fmt.Sprintf("it is longer than %d octets", most)
	case !utf8.ValidString(s):
		return "it is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "it has a control character"
	}
	return ""
}

// String names the issuer and no secret.
func (c Config) String() string { return "authenticator.Config(" + c.Issuer + ")" }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
