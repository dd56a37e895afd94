package pskc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key reads one key. If the key is skipped, it returns the reason.
func (b *opener) key(x *key, d *device) (k *Key, reason string, err error) {
	k = &Key{ID: x.ID, Manufacturer: strings.TrimSpace(d.Manufacturer), Model: strings.TrimSpace(d.Model),
		User: strings.TrimSpace(x.User), Digits: 6}
	if k.User == "" {
		k.User = strings.TrimSpace(d.User)
	}
	if reason := k.algorithm(x); reason != "" {
		return nil, reason, nil
	}
	if reason := k.response(x.Response); reason != "" {
		return nil, reason, nil
	}
	if reason := x.Policy.forbids(); reason != "" {
		return nil, reason, nil
	}
	if err := k.dates(x.Policy, d); err != nil {
		return nil, "", err
	}
	if x.Secret == nil {
		return nil, "its secret is not in the file", nil
	}
	if k.Secret, err = b.octets(x.Secret); err != nil {
		return nil, "", fmt.Errorf("secret: %w", err)
	}
	return k, "", b.numbers(k, x)
}

// algorithm reads the algorithm and the hash. The hash is never guessed from the
// secret's length.
func (k *Key) algorithm(x *key) (reason string) {
	switch a := strings.ToLower(x.Algorithm); {
	case strings.HasSuffix(a, ":hotp"), strings.HasSuffix(a, "#hotp"):
		k.HOTP = true
	case strings.HasSuffix(a, ":totp"), strings.HasSuffix(a, "#totp"):
	default:
		return fmt.Sprintf("its algorithm is %.64q", x.Algorithm)
	}
	suite := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(x.Suite), "-", ""))
	switch strings.TrimPrefix(suite, "HMAC") {
	case "", "SHA1":
	case "SHA256":
		k.Hash = 1
	case "SHA512":
		k.Hash = 2
	default:
		return fmt.Sprintf("its suite is %.64q", x.Suite)
	}
	return ""
}

func (k *Key) response(f *responseFormat) (reason string) {
	if f == nil {
		return ""
	}
	n, err := strconv.Atoi(f.Length)
	switch {
	case f.Encoding != "DECIMAL":
		return fmt.Sprintf("its codes are in %.32q", f.Encoding)
	case f.CheckDigits == "true" || f.CheckDigits == "1":
		return "its codes have a check digit"
	case err != nil || n < 6 || n > 8:
		return fmt.Sprintf("its codes have %.8q digits", f.Length)
	}
	k.Digits = n
	return ""
}

// forbids returns the reason why a key must not be used: its policy does not allow
// one-time passwords, or is unknown.
func (p *policy) forbids() (reason string) {
	if p == nil {
		return ""
	}
	for i := range p.Usage {
		p.Usage[i] = strings.TrimSpace(p.Usage[i])
	}
	if len(p.Usage) > 0 && !slices.Contains(p.Usage, "OTP") {
		return "its policy does not allow one-time passwords"
	}
	for _, e := range p.Others {
		if local := e.PINMode == "" || e.PINMode == "Local"; e.XMLName.Local != "PINPolicy" || !local {
			return fmt.Sprintf("its policy has %.32q", strings.TrimSpace(e.XMLName.Local+" "+e.PINMode))
		}
	}
	return ""
}

// dates reads the validity of the key, from its policy and its device.
func (k *Key) dates(p *policy, d *device) error {
	for _, text := range []string{d.Start, p.start()} {
		t, err := date(text)
		if err != nil {
			return err
		}
		if t.After(k.Start) {
			k.Start = t
		}
	}
	for _, text := range []string{d.Expires, p.expires()} {
		t, err := date(text)
		if err != nil {
			return err
		}
		if !t.IsZero() && (k.Expires.IsZero() || t.Before(k.Expires)) {
			k.Expires = t
		}
	}
	return nil
}

func (p *policy) start() string {
	if p == nil {
		return ""
	}
	return p.Start
}

func (p *policy) expires() string {
	if p == nil {
		return ""
	}
	return p.Expires
}

// date reads a date of XML Schema, with or without a time and a zone.
func date(s string) (time.Time, error) {
	if s = strings.TrimSpace(s); s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02", "2006-01-02Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.32q is not a date", s)
}

// numbers reads the counter, or the interval and the drift.
func (b *opener) numbers(k *Key, x *key) (err error) {
	if k.HOTP {
		if k.Counter, err = b.number(x.Counter, 0); err != nil {
			return fmt.Errorf("counter: %w", err)
		}
		return nil
	}
	if k.Interval, err = b.number(x.Interval, 30); err != nil {
		return fmt.Errorf("time interval: %w", err)
	}
	if k.Drift, err = b.drift(x.Drift); err != nil {
		return fmt.Errorf("time drift: %w", err)
	}
	return nil
}

// drift is a number that may be negative.
func (b *opener) drift(v *value) (int64, error) {
	if v != nil && v.Plain != nil && v.Encrypted == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(*v.Plain), 10, 32)
		if err != nil {
			return 0, errors.New("it is not a number")
		}
		return n, nil
	}
	n, err := b.number(v, 0)
	if n > 1<<31 {
		return 0, errors.New("it is out of range")
	}
	return int64(n), err
}
