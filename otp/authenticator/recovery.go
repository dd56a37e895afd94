package authenticator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/otp"
)

const (
	recoveryCodes  = 10
	recoveryLength = 24 // characters of 5 bits: 120 bits

	// crockford is the alphabet of Crockford's base 32. It has no I, L, O and U.
	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// A recoveryHash is the stored form of a recovery code. A code of 112 bits or more may
// be stored as a plain approved hash (NIST SP 800-63B-4 §3.1.2.2).
type recoveryHash [16]byte

func hashRecovery(code string) recoveryHash {
	sum := sha256.Sum256([]byte("authenticator recovery 1 " + code))
	return recoveryHash(sum[:])
}

// NewRecoveryCodes replaces the subject's recovery codes by ten new ones. Each can be
// used once: XXXX-XXXX-XXXX-XXXX-XXXX-XXXX, 120 bits. The program must show them to
// the person now, because they cannot be read again. The caller must have verified the
// subject by a fresh login. A subject needs no token for recovery codes, so they serve
// passkeys, too.
//
// Errors match otp.ErrInvalidRequest or otp.ErrUnavailable.
func (s *Service) NewRecoveryCodes(ctx context.Context, subject string) ([]string, error) {
	shown := make([]string, recoveryCodes)
	hashes := make([]recoveryHash, recoveryCodes)
	for i := range shown {
		code := make([]byte, recoveryLength)
		_, _ = rand.Read(code) // never fails, see crypto/rand
		for j, b := range code {
			code[j] = crockford[b%32]
		}
		shown[i], hashes[i] = inFours(string(code), "-"), hashRecovery(string(code))
	}
	err := s.update(ctx, subject, func(v *value, _ int64) (error, bool) {
		v.codes, v.recovery = hashes, run{}
		return nil, true
	})
	s.report(ctx, subject, Event{Kind: EventIssued, Method: Recovery, Left: recoveryCodes}, err)
	if err != nil {
		return nil, err
	}
	return shown, nil
}

// alike maps letters that look like digits. It accepts both cases.
var alike = strings.NewReplacer("O", "0", "o", "0", "I", "1", "i", "1", "L", "1", "l", "1")

// Recover uses a recovery code up, and returns the number of those left. It works
// while codes of tokens are locked, and ends that lock. Its own failures are counted
// separately, with the same limits. Spaces and dashes are ignored, O is read as 0, and
// I and L as 1.
//
// At NIST's AAL2 a recovery code counts only together with another factor (§4.2 of SP
// 800-63B-4): the caller must ask for the password, too. Errors are as those of
// Verify; a used code is wrong.
func (s *Service) Recover(ctx context.Context, subject, code string) (left int, err error) {
	e := Event{Kind: EventRecovered, Method: Recovery}
	left, err = s.recover(ctx, subject, code, &e)
	e.Left = left
	s.report(ctx, subject, e, err)
	return left, err
}

func (s *Service) recover(ctx context.Context, subject, typed string, e *Event) (left int, err error) {
	code, ok := (otp.Random{Length: recoveryLength, Alphabet: crockford}).Normalize(alike.Replace(typed))
	if !ok {
		return 0, refuse(otp.ReasonMalformed)
	}
	hash := hashRecovery(code)
	err = s.update(ctx, subject, func(v *value, now int64) (error, bool) {
		left = 0
		e.Failures = v.recovery.failures
		if err := v.recovery.locked(now); err != nil {
			return err, false
		}
		if len(v.codes) == 0 {
			return refuse(otp.ReasonNotFound), false
		}
		at := -1
		for i, h := range v.codes {
			if subtle.ConstantTimeCompare(h[:], hash[:]) == 1 {
				at = i
			}
		}
		if at < 0 {
			err := v.recovery.fail(s.c.Policy, now)
			e.Failures = v.recovery.failures
			return err, true
		}
		v.codes = slices.Delete(v.codes, at, at+1)
		v.recovery, v.otp = run{}, run{}
		left = len(v.codes)
		return nil, true
	})
	if err != nil {
		return 0, err
	}
	return left, nil
}
