package authenticator

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A sealed value is "otp1:", the name of its key, ":", and in base64url a salt and the
// value under AES-256-GCM. Each value has a salt of its own, and so a key of its own. The
// nonce may therefore be fixed, and no two values are alike. The subject is part of the
// key and the associated data: a value does not open for another subject.
const (
	sealedBegin = "otp1:"
	saltLen     = 16
)

var (
	sealedText = base64.RawURLEncoding
	zeroNonce  [12]byte

	errKey    = errors.New("authenticator: the key of the value is not in the keyring")
	errSealed = errors.New(
		"authenticator: the value is not this subject's, or was changed, or its key has another name")
)

// seal returns the stored form of a value.
func (s *Service) seal(subject string, v *value) ([]byte, error) {
	name := s.c.Keys.Current
	box := make([]byte, saltLen, 1024)
	_, _ = rand.Read(box) // never fails, see crypto/rand
	aead, err := s.sealer(name, subject, box)
	if err != nil {
		return nil, unavailable(err)
	}
	box = aead.Seal(box, zeroNonce[:], v.encode(), []byte(subject))
	out := make([]byte, 0, len(sealedBegin)+len(name)+1+sealedText.EncodedLen(len(box)))
	out = append(append(append(out, sealedBegin...), name...), ':')
	out = sealedText.AppendEncode(out, box)
	if len(out) > store.MaxCredentials {
		return nil, &otp.Error{Reason: otp.ReasonFull, Err: fmt.Errorf(
			"authenticator: the tokens of the subject take %d octets, over %d", len(out), store.MaxCredentials)}
	}
	return out, nil
}

// open reads the stored form of a value. No octets mean an empty value.
func (s *Service) open(subject string, raw []byte) (*value, error) {
	if len(raw) == 0 {
		return &value{}, nil
	}
	rest, ours := bytes.CutPrefix(raw, []byte(sealedBegin))
	name, text, found := bytes.Cut(rest, []byte(":"))
	if !ours || !found || len(raw) > store.MaxCredentials {
		return nil, errValue
	}
	box := make([]byte, sealedText.DecodedLen(len(text)))
	if n, err := sealedText.Strict().Decode(box, text); err != nil || n != len(box) || n < saltLen {
		return nil, errValue
	}
	aead, err := s.sealer(string(name), subject, box[:saltLen])
	if err != nil {
		return nil, err
	}
	sealed := box[saltLen:]
	plain, err := aead.Open(sealed[:0], zeroNonce[:], sealed, []byte(subject))
	if err != nil {
		return nil, errSealed
	}
	v, err := decode(plain)
	if err != nil {
		return nil, err
	}
	v.key = string(name)
	return v, nil
}

// sealer returns the cipher of one value.
func (s *Service) sealer(name, subject string, salt []byte) (cipher.AEAD, error) {
	key := s.c.Keys.Keys[name]
	if key == nil {
		return nil, errKey
	}
	m := hmac.New(sha256.New, key)
	message := make([]byte, 0, 256)
	for _, field := range [...]string{"authenticator 1", s.c.Application, s.c.Tenant, subject, string(salt)} {
		message = append(binary.BigEndian.AppendUint32(message, uint32(len(field))), field...)
	}
	m.Write(message)
	block, err := aes.NewCipher(m.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
