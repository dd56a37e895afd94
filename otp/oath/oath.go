// Package oath makes codes to be sent, by the algorithms of OATH: HOTP (RFC
// 4226) and TOTP (RFC 6238), computed by github.com/pquerna/otp. Package
// otp/authenticator verifies the codes of authenticator apps and hard tokens.
//
//	svc, err := otp.New(otp.Config{Generator: oath.HOTP{Digits: 8}, …})
//
// Use them if the rules of your system require these algorithms. The key is the
// challenge's own, so the codes are as good as those of [otp.Random], which is
// the default and links no library.
package oath

import (
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/otpcourier/otpcourier/otp"
)

var (
	_ otp.Generator  = HOTP{}
	_ otp.Generator  = TOTP{}
	_ otp.Normalizer = HOTP{}
	_ otp.Normalizer = TOTP{}
)

// Hash is the hash function of HOTP's and TOTP's HMAC.
type Hash uint8

// The hash functions. RFC 4226 has only SHA1, and RFC 6238 has all three.
const (
	SHA1 Hash = iota
	SHA256
	SHA512
)

// HOTP makes codes to be sent, by RFC 4226, from Seed.Key and Seed.Counter.
// Package otp/authenticator verifies the codes of a person's HOTP token.
type HOTP struct {
	Digits int  // 6 to 8; default 6
	Hash   Hash // default SHA1
}

// Generate fails only if Digits or Hash is out of range.
func (g HOTP) Generate(s otp.Seed) (string, error) {
	return hotpCode(s.Key, s.Counter, g.Digits, g.Hash)
}

// Normalize reads typed and pasted codes, as [otp.Random] does.
func (g HOTP) Normalize(typed string) (string, bool) {
	return (otp.Random{Length: orSix(g.Digits)}).Normalize(typed)
}

// TOTP makes codes to be sent, by RFC 6238, from Seed.Key and Seed.Time. Package
// otp/authenticator verifies the codes of a person's app or TOTP token.
type TOTP struct {
	Digits int           // 6 to 8; default 6
	Period time.Duration // whole seconds; default 30 s
	Hash   Hash          // default SHA1
}

// Generate fails only if Digits, Period or Hash is out of range, or if the time
// is before 1970.
func (g TOTP) Generate(s otp.Seed) (string, error) {
	period := int64(g.Period / time.Second)
	if g.Period == 0 {
		period = 30
	}
	if period < 1 || s.Time.Unix() < 0 {
		return "", errors.New("oath: TOTP needs a Period of a second or more and a time after 1970")
	}
	return hotpCode(s.Key, uint64(s.Time.Unix()/period), g.Digits, g.Hash)
}

// Step returns the Period.
func (g TOTP) Step() time.Duration {
	if g.Period == 0 {
		return 30 * time.Second
	}
	return g.Period
}

// Normalize reads typed and pasted codes, as [otp.Random] does.
func (g TOTP) Normalize(typed string) (string, bool) {
	return (otp.Random{Length: orSix(g.Digits)}).Normalize(typed)
}

func orSix(n int) int {
	if n == 0 {
		return 6
	}
	return n
}

func hotpCode(key []byte, counter uint64, n int, h Hash) (string, error) {
	n = orSix(n)
	if n < 6 || n > 8 {
		return "", fmt.Errorf("oath: Digits is %d, not 6 to 8", n)
	}
	algorithms := [...]pquerna.Algorithm{pquerna.AlgorithmSHA1, pquerna.AlgorithmSHA256, pquerna.AlgorithmSHA512}
	if int(h) >= len(algorithms) {
		return "", errors.New("oath: Hash is not SHA1, SHA256 or SHA512")
	}
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
	code, err := hotp.GenerateCodeCustom(secret, counter, hotp.ValidateOpts{Digits: pquerna.Digits(n),
		Algorithm: algorithms[h]})
	if err != nil {
		return "", fmt.Errorf("oath: HOTP: %w", err)
	}
	return code, nil
}
