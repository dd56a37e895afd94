package authenticator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator/internal/pskc"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// PSKC opens a key container. A plain-text file needs neither Key nor Password.
type PSKC struct {
	Key      []byte // pre-shared; 16, 24 or 32 octets, by the file's algorithm
	Password string // PBKDF2 derives the key from it

	// DangerouslyWithoutMAC accepts values in CBC mode without a MAC. With a wrong key such
	// a value may still look like a secret.
	DangerouslyWithoutMAC bool
}

// String keeps the key and the password out of logs.
func (p PSKC) String() string { return "authenticator.PSKC" }

// GoString is String.
func (p PSKC) GoString() string { return p.String() }

// LogValue is String.
func (p PSKC) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalJSON is String.
func (p PSKC) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// Skipped is an unsupported entry of a seed file.
type Skipped struct {
	ID     string // of the key
	Serial string // of the device
	Reason string // for an operator
}

// ReadPSKC reads a key container of RFC 6030, version 1.0, of up to 32 MiB. It is the form
// of hard tokens' seed files from Feitian, multiOTP, Gemalto, NagraID and Yubico. Values may
// be in plain text, encrypted with a pre-shared key, or encrypted by a password (PBKDF2 with
// up to 2,000,000 iterations). The ciphers are AES in CBC mode, AES key wrapping, and Triple
// DES. One device may have several keys.
//
// Other keys are skipped: OCRA, PINs and Yubico's own, codes other than 6 to 8 decimal
// digits, and unknown policies. Any other error fails the whole file, and no key is
// returned: a short secret, a MAC that does not match or is missing, a bad date. The error
// matches otp.ErrInvalidRequest, its Field names the key, and it shows no secret.
// Signatures, certificates and drafts of the RFC are not supported.
func ReadPSKC(r io.Reader, o PSKC) ([]Key, []Skipped, error) {
	read, left, err := pskc.Read(r, pskc.Options{Key: o.Key, Password: o.Password, WithoutMAC: o.DangerouslyWithoutMAC})
	if err != nil {
		where, cause := "PSKC", err
		if f, ok := errors.AsType[*pskc.Error](err); ok && f.Where != "" {
			where, cause = "PSKC "+f.Where, f.Err
		}
		return nil, nil, &otp.Error{Reason: otp.ReasonInvalid, Field: where, Err: cause}
	}
	keys := make([]Key, 0, len(read))
	for _, k := range read {
		key := Key{Secret: k.Secret, Counter: k.HOTP, Hash: oath.Hash(k.Hash), Digits: k.Digits, Moving: k.Counter,
			Drift: int(k.Drift), Serial: k.Serial, Manufacturer: k.Manufacturer, Model: k.Model, User: k.User,
			Start: k.Start, Expires: k.Expires}
		if !k.HOTP {
			key.Period = time.Duration(min(k.Interval, 1<<20)) * time.Second
		}
		if _, err := key.fault(); err != nil {
			where := fmt.Sprintf("PSKC key %.64q of %.64q", k.ID, k.Serial)
			return nil, nil, &otp.Error{Reason: otp.ReasonInvalid, Field: where, Err: err}
		}
		keys = append(keys, key)
	}
	skipped := make([]Skipped, 0, len(left))
	for _, s := range left {
		skipped = append(skipped, Skipped(s))
	}
	return keys, skipped, nil
}
