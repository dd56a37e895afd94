package otp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"
)

// A Generator derives a code from a challenge's seed. It must be a pure function: the
// same seed gives the same code in every process, since a code is not stored, but made
// when it is sent and again when it is compared. It must be safe for concurrent use. A
// code must have 4 to 32 characters.
//
// A Generator may also be a [Normalizer], a [Measurer] and a [Periodic]. A typed code is
// read by the Normalizer; without it, letters and digits are read as typed.
type Generator interface {
	Generate(seed Seed) (string, error)
}

// A Seed is the input of a [Generator].
type Seed struct {
	Key     []byte    // 32 pseudo-random octets, of this code only
	Counter uint64    // number of the code within the challenge, from 0: HOTP's moving factor
	Time    time.Time // when the challenge was created: TOTP's moving factor
}

// String keeps the key out of logs.
func (s Seed) String() string { return fmt.Sprintf("otp.Seed(counter %d)", s.Counter) }

// GoString is String.
func (s Seed) GoString() string { return s.String() }

// MarshalJSON is String.
func (s Seed) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue is String.
func (s Seed) LogValue() slog.Value { return slog.StringValue(s.String()) }

// A Normalizer is a [Generator] that recognises its codes in typed text.
type Normalizer interface {
	// Normalize returns the code in typed, in the form that Generate gives it. If
	// typed cannot be a code, Normalize returns false: Verify refuses it without
	// charging an attempt.
	Normalize(typed string) (code string, ok bool)
}

var (
	_ Generator  = Random{}
	_ Normalizer = Random{}
	_ Measurer   = Random{}
)

const digits = "0123456789"

// maxCode is the longest code, in characters.
const maxCode = 32

// Random makes codes that are all equally likely (NIST SP 800-63B-4 §3.1.3.2).
// The zero value makes six digits. If the Alphabet has letters and digits, each
// code has at least one digit, since phones recognise no code without a digit.
type Random struct {
	Length   int    // 4 to 32; default 6
	Alphabet string // 10 to 64 distinct ASCII letters and digits; default the ten digits
}

func (g Random) withDefaults() Random {
	if g.Length == 0 {
		g.Length = 6
	}
	if g.Alphabet == "" {
		g.Alphabet = digits
	}
	return g
}

// Generate derives a code. It fails only if Length or Alphabet is out of range.
func (g Random) Generate(s Seed) (string, error) {
	g = g.withDefaults()
	if err := g.validate(); err != nil {
		return "", err
	}
	n := len(g.Alphabet)
	fair := byte(256 - 256%n - 1) // octets above it would favour the first characters
	digitless := g.digitless()
	code := make([]byte, 0, maxCode)
	block := s.Key
	for i := uint64(0); ; i++ {
		for _, b := range block {
			if b > fair {
				continue
			}
			if code = append(code, g.Alphabet[int(b)%n]); len(code) < g.Length {
				continue
			}
			if digitless == 0 || bytes.ContainsAny(code, digits) {
				return string(code), nil
			}
			code = code[:0] // rejected whole, so that those left stay equally likely
		}
		block = expand(s.Key, i)
	}
}

// digitless returns the share of codes without a digit, which Generate rejects: 0 for an
// alphabet of digits or of letters alone.
func (g Random) digitless() float64 {
	letters := len(g.Alphabet)
	for _, c := range []byte(g.Alphabet) {
		if c <= '9' {
			letters--
		}
	}
	if letters == len(g.Alphabet) {
		return 0
	}
	return math.Pow(float64(letters)/float64(len(g.Alphabet)), float64(g.Length))
}

// expand returns the next block of the pseudo-random stream that begins with key.
func expand(key []byte, block uint64) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(binary.BigEndian.AppendUint64([]byte("otpcourier random "), block))
	return h.Sum(nil)
}

func (g Random) validate() error {
	if g.Length < 4 || g.Length > maxCode {
		return fmt.Errorf("otp: Random.Length: %d is not within 4..%d", g.Length, maxCode)
	}
	if g.Alphabet == digits {
		return nil
	}
	if len(g.Alphabet) < 10 || len(g.Alphabet) > 64 {
		return errors.New("otp: Random.Alphabet: it must have 10 to 64 characters")
	}
	for i, c := range []byte(g.Alphabet) {
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alnum || strings.IndexByte(g.Alphabet[:i], c) >= 0 {
			return errors.New("otp: Random.Alphabet: it must be distinct ASCII letters and digits")
		}
	}
	return nil
}

// Bits returns the entropy of a code.
func (g Random) Bits() float64 {
	g = g.withDefaults()
	return float64(g.Length)*math.Log2(float64(len(g.Alphabet))) + math.Log2(1-g.digitless())
}

// Normalize reads a code as people type and paste it: with spaces, dashes and
// punctuation, after a label ("Code: 482910", "G-482910"), or in a whole message of
// at most 2048 octets with exactly one code. It reads digits of any script. If the
// alphabet has only one case, it ignores case. If the alphabet has only one of two
// characters that look alike, it reads the other as that one: O and 0, I or l and 1.
// It refuses a text with two different codes.
func (g Random) Normalize(typed string) (string, bool) {
	g = g.withDefaults()
	return normalize(typed, g.Alphabet, g.Length)
}
