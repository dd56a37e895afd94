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
	// otp.Service. If a key is dropped from it, the values under that key
	// become unreadable: see [Service.Reseal].
	Keys otp.Keyring

	// Store keeps one value per subject, for example in a column of the program's
	// own table of users, or in a memstore or redisstore. See store.Credentials.
	//
	// The value is sealed with AES-256-GCM under a key of Keys, bound to its
	// subject: a row copied to another user does not open. If a value does not
	// open, the error is otp.ErrUnavailable, and no code is accepted. Anyone
	// with write access to the table can still put an older value back.
	Store store.Credentials

	// Application and Tenant must be those of the otp.Service with this
	// keyring, so that both name a subject alike in their events. The values
	// are bound to them: a change makes the stored values unreadable.
	// Application defaults to Issuer, as an otp.Service's defaults to its
	// brand. Tenant defaults to none.
	Application string
	Tenant      string

	// Failures makes one lock for all factors. It must be the Store of the
	// otp.Service with the same Keys, Application and Tenant. Failures of
	// either Service then count in one run, a lock holds for both, and a right
	// code of either ends the run. MaxFailures and Lock of both policies should
	// be alike. It adds two or three calls to a Verify. A lock of that run ends
	// only with time: Unlock and Recover end only this Service's own locks.
	// Default: this Service counts its own failures.
	Failures store.Store

	// Policy holds the windows and limits; its zero value is the default.
	Policy Policy

	// Events is called for each event, in the goroutine and with the context of
	// its call. It must be quick and safe for concurrent use. A panic in it is
	// logged and has no other effect. Default: none.
	Events func(context.Context, Event)

	// Logger gets the events too. Default: discarded.
	Logger *slog.Logger
}

// Policy says which codes are accepted, and how often they may be guessed. New
// refuses values out of range. A zero field means the default.
//
// The defaults follow RFC 4226, RFC 6238, NIST SP 800-63B-4 §3.1.4, §3.2.2 and
// §4.2, OWASP ASVS 5.0 §6.5, and PCI DSS 8.3.4. ASVS 6.5.5 asks for a life of
// 30 s, which is one step: set Skew to −1 for it.
type Policy struct {
	// Skew is the number of steps before and after the current one from which a
	// TOTP code is accepted, up to 10. Default 1: with steps of 30 s a code is
	// accepted for 90 s (RFC 6238 §5.2). −1: none.
	Skew int

	// Drift is the largest error of a hard token's clock, in steps, up to 100.
	// Beyond it, [Service.Resync] is needed. The window follows the offset of
	// the last code. Default 10. −1: offsets are not followed. An app has no
	// drift: its phone's clock is right, and a person who types slowly is not a
	// slow clock.
	Drift int

	// LookAhead is the largest number of unused presses of an HOTP token, up to
	// 100. Default 10 (RFC 4226 §7.4).
	LookAhead int

	// Resync is how far Resync looks for two consecutive codes: in steps either
	// way, or in presses ahead. Up to 10,000. Default 1000.
	Resync int

	// MaxFailures wrong codes in a row lock the subject for Lock. Each further
	// lock lasts twice as long, up to a day. MaxFailures may be up to 100, and
	// Lock a minute to a day. Default 10 for 30 minutes (PCI DSS 8.3.4). After
	// 100 failures in a row (NIST SP 800-63B-4 §3.2.2), only [Service.Unlock]
	// or a recovery code helps.
	MaxFailures int
	Lock        time.Duration

	// Pending is the time in which a token must get its [Service.Confirm], a
	// minute to a day. Default 15 minutes.
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

// validate checks a policy with its defaults.
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

// badLabel returns the problem of an issuer or an account, or "". Apps split a
// label at its colon, so it must have none.
func badLabel(s string, most int) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "it is empty"
	case strings.Contains(s, ":"):
		return "it has a colon, at which apps split it"
	}
	return badText(s, most)
}

// badText returns the problem of a text to be stored, or "".
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
