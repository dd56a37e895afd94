package authenticator

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp/oath"
)

// A Key is the shared secret of an authenticator and the server, with the way to make
// codes from it. [ReadPSKC] and [ReadCSV] read the keys of hard tokens, and [ParseURI]
// reads an app's.
type Key struct {
	Secret  []byte        // 16 to 128 octets (RFC 4226 R6)
	Counter bool          // HOTP, RFC 4226; default TOTP, RFC 6238
	App     bool          // of an app on a phone, whose clock the network sets: no drift is followed
	Hash    oath.Hash     // default SHA1: all apps and most hard tokens support no other
	Digits  int           // 6 to 8; required
	Period  time.Duration // TOTP: a step, 1 to 120 whole seconds (NIST SP 800-63B-4 §3.1.4.2); required
	Moving  uint64        // HOTP: the next counter
	Drift   int           // TOTP: steps by which the token's clock is ahead, −1000 to 1000

	Serial              string // of the device; at most 64 octets
	Manufacturer, Model string // for the caller; not stored
	User                string // the file's name for the owner; for the caller, not stored

	Start, Expires time.Time // the token's validity; zero: no bound
}

const (
	minSecret  = 16  // octets: RFC 4226 R6 asks for 128 bits
	maxSecret  = 128 // octets: a block of SHA-512's HMAC
	softSecret = 20  // octets: RFC 4226 recommends 160 bits
	softPeriod = 30 * time.Second
	maxPeriod  = 120 * time.Second
	maxDrift   = 1000
)

// newSecret returns the secret of an app.
func newSecret() []byte {
	b := make([]byte, softSecret)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return b
}

// fault returns the wrong field of a key, and the reason.
func (k *Key) fault() (field string, why error) {
	if why := weakSecret(k.Secret); why != nil {
		return "Secret", why
	}
	if why := badText(k.Serial, maxSerial); why != "" {
		return "Serial", errors.New(why)
	}
	switch {
	case k.Hash > oath.SHA512:
		return "Hash", errors.New("it is not SHA1, SHA256 or SHA512")
	case k.Digits < 6 || k.Digits > 8:
		return "Digits", fmt.Errorf("codes have 6 to 8 digits, not %d", k.Digits)
	case !k.Counter && (k.Period < time.Second || k.Period > maxPeriod || k.Period%time.Second != 0):
		return "Period", fmt.Errorf("a step has 1 to 120 whole seconds, not %v", k.Period)
	case k.Moving > 1<<62:
		return "Moving", errors.New("the counter is above 2^62")
	case k.Drift < -maxDrift || k.Drift > maxDrift:
		return "Drift", fmt.Errorf("the clock is off by more than %d steps", maxDrift)
	case !k.Start.IsZero() && k.Start.Unix() < 0 || !k.Expires.IsZero() && k.Expires.Unix() < 0:
		return "Expires", errors.New("a date lies before 1970")
	case !k.Expires.IsZero() && !k.Expires.After(k.Start):
		return "Expires", errors.New("the token expires before it starts")
	}
	return "", nil
}

// weakSecret refuses an invalid secret.
func weakSecret(secret []byte) error {
	switch {
	case len(secret) == 0:
		return errors.New("the secret is empty")
	case len(secret) < minSecret:
		return fmt.Errorf("a secret of %d bits is too short: RFC 4226 asks for 128", len(secret)*8)
	case len(secret) > maxSecret:
		return fmt.Errorf("a secret of %d octets is longer than %d", len(secret), maxSecret)
	case bytes.Count(secret, secret[:1]) == len(secret):
		return errors.New("the secret is one octet over and over, not random")
	}
	return nil
}

// method names the algorithm, as events do.
func (k *Key) method() Method {
	if k.Counter {
		return HOTP
	}
	return TOTP
}

// String names the token and no secret.
func (k Key) String() string {
	return "authenticator.Key(" + strings.TrimSpace(string(k.method())+" "+k.Serial) + ")"
}

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON is String.
func (k Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }
