package authenticator

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
)

var hashNames = [...]string{oath.SHA1: "SHA1", oath.SHA256: "SHA256", oath.SHA512: "SHA512"}

// uri returns the otpauth URI of a key, in the form of Google's Key Uri Format that
// all apps read. The issuer is in the label and in a parameter, because some apps
// read only one of them. Default values are left out, which makes the QR code
// smaller.
func uri(issuer, account string, k *Key) string {
	var b strings.Builder
	fmt.Fprintf(&b, "otpauth://%s/%s:%s?secret=%s&issuer=%s", k.method(), escape(issuer), escape(account),
		base32Text.EncodeToString(k.Secret), escape(issuer))
	if k.Hash != oath.SHA1 {
		b.WriteString("&algorithm=" + hashNames[k.Hash])
	}
	if k.Digits != 6 {
		fmt.Fprintf(&b, "&digits=%d", k.Digits)
	}
	switch {
	case k.Counter:
		fmt.Fprintf(&b, "&counter=%d", k.Moving)
	case k.Period != softPeriod:
		fmt.Fprintf(&b, "&period=%d", k.Period/time.Second)
	}
	return b.String()
}

// escape percent-encodes all but RFC 3986's unreserved characters and "@". A space is
// %20, because apps show a + unchanged.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~@", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ParseURI reads an otpauth:// URI of an app or another library, for a [Request] with
// Confirmed. The Key is an App's; its User is the account. White space, dashes,
// padding and case of the secret are ignored.
//
// The error matches otp.ErrInvalidRequest, its Field is "URI", and its text shows
// nothing of the URI. Steam's codes, the migration format of Google Authenticator,
// and hashes, digits and periods that a [Key] does not support are refused.
func ParseURI(text string) (Key, error) {
	k, err := parseURI(text)
	if err == nil {
		_, err = k.fault()
	}
	if err != nil {
		return Key{}, &otp.Error{Reason: otp.ReasonInvalid, Field: "URI", Err: err}
	}
	return k, nil
}

func parseURI(text string) (Key, error) {
	if len(text) > 4096 {
		return Key{}, errors.New("it is longer than 4096 octets")
	}
	if strings.HasPrefix(strings.ToLower(text), "otpauth-migration:") {
		return Key{}, errors.New("it is an export from phone to phone: enrol the person anew")
	}
	u, err := url.Parse(text) // its error repeats the text, and so the secret
	if err != nil || !strings.EqualFold(u.Scheme, "otpauth") {
		return Key{}, errors.New("it is not an otpauth:// URI")
	}
	k := Key{App: true, Digits: 6}
	switch strings.ToLower(u.Host) {
	case "totp":
		k.Period = softPeriod
	case "hotp":
		k.Counter = true
	default:
		return Key{}, errors.New("its type is neither totp nor hotp")
	}
	label := strings.TrimPrefix(u.Path, "/")
	if _, account, found := strings.Cut(label, ":"); found {
		label = account
	}
	k.User = strings.TrimSpace(label)
	return k, k.parameters(u.RawQuery)
}

// parameters reads the parameters of an otpauth URI. Unknown ones, such as image, are
// ignored.
func (k *Key) parameters(query string) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("its parameters cannot be read")
	}
	for _, name := range []string{"secret", "algorithm", "digits", "period", "counter", "encoder"} {
		if len(q[name]) > 1 {
			return fmt.Errorf("it has %s twice", name)
		}
	}
	if q.Get("encoder") != "" {
		return errors.New("its codes are not decimal: an encoder is named")
	}
	if k.Secret, err = secretText(q.Get("secret")); err != nil {
		return err
	}
	if name := q.Get("algorithm"); name != "" {
		i := slices.Index(hashNames[:], strings.TrimPrefix(strings.ReplaceAll(strings.ToUpper(name), "-", ""), "HMAC"))
		if i < 0 {
			return errors.New("its algorithm is not SHA1, SHA256 or SHA512")
		}
		k.Hash = oath.Hash(i)
	}
	if text := q.Get("digits"); text != "" {
		if k.Digits, err = strconv.Atoi(text); err != nil {
			return errors.New("its digits are not a number")
		}
	}
	if text := q.Get("period"); text != "" && !k.Counter {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return errors.New("its period is not a number of seconds")
		}
		k.Period = time.Duration(n) * time.Second
	}
	if k.Counter {
		if k.Moving, err = strconv.ParseUint(q.Get("counter"), 10, 63); err != nil {
			return errors.New("its counter is missing or not a number")
		}
	}
	return nil
}

// secretText reads a secret in base32, as people and other programs write it.
func secretText(s string) ([]byte, error) {
	s = strings.NewReplacer(" ", "", "-", "", "\t", "").Replace(strings.ToUpper(strings.TrimSpace(s)))
	b, err := base32Text.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, errors.New("the secret is not base32")
	}
	return b, nil
}
