package pskc

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// An opener decrypts the values of a container.
type opener struct {
	cek        []byte // content encryption key
	missing    error  // the error if there is none
	mac        func() hash.Hash
	macKey     []byte
	withoutMAC bool
}

// maxIterations bounds the time for a file: some seconds.
const maxIterations = 2_000_000

// macs are the algorithms of MACs and of PBKDF2 by the last part of their URIs.
var macs = map[string]func() hash.Hash{
	"hmac-sha1": sha1.New, "hmac-sha224": sha256.New224, "hmac-sha256": sha256.New, "hmac-sha384": sha512.New384,
	"hmac-sha512": sha512.New,
}

// lastPart returns the text after the "#" of an algorithm's URI.
func lastPart(uri string) string {
	return strings.ToLower(uri[strings.LastIndexByte(uri, '#')+1:])
}

func newOpener(c *container, o Options) (*opener, error) {
	b := &opener{cek: o.Key, withoutMAC: o.WithoutMAC}
	if err := b.findKey(c.Key, o); err != nil {
		return nil, err
	}
	if c.MAC == nil || c.MAC.Algorithm == "" {
		return b, nil
	}
	if b.mac = macs[lastPart(c.MAC.Algorithm)]; b.mac == nil {
		return nil, fmt.Errorf("its MAC is %.64q, which is not supported", c.MAC.Algorithm)
	}
	b.macKey = b.cek // RFC 6030 §6.1.1
	if c.MAC.Key != nil && b.missing == nil {
		key, err := b.decrypt(c.MAC.Key)
		if err != nil {
			return nil, fmt.Errorf("the key of the MAC does not open: the key or the password is wrong: %w", err)
		}
		b.macKey = key
	}
	return b, nil
}

// findKey finds the key of the values.
func (b *opener) findKey(k *encryptionKey, o Options) error {
	switch {
	case k == nil:
		if len(b.cek) == 0 {
			b.missing = errors.New("a pre-shared key is needed")
		}
	case k.X509 != nil:
		return errors.New("it is encrypted for a certificate, which is not supported")
	case k.Derived != nil:
		return b.derive(&k.Derived.Method, o.Password)
	case len(b.cek) == 0:
		b.missing = fmt.Errorf("the pre-shared key %.64q is needed", strings.TrimSpace(k.Name))
	}
	return nil
}

// derive makes a key of a password by PBKDF2 (RFC 8018). The default PRF is HMAC-SHA-1.
func (b *opener) derive(m *derivation, password string) error {
	if lastPart(m.Algorithm) != "pbkdf2" {
		return fmt.Errorf("its key derivation is %.64q, which is not supported", m.Algorithm)
	}
	salt, err := octetsOf(m.Salt)
	if err != nil || len(salt) == 0 {
		return errors.New("PBKDF2 has no salt")
	}
	count, err := strconv.Atoi(strings.TrimSpace(m.Count))
	if err != nil || count < 1 || count > maxIterations {
		return fmt.Errorf("PBKDF2 has %.12q iterations, not 1 to %d", m.Count, maxIterations)
	}
	size := 16
	if text := strings.TrimSpace(m.Length); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 16 || size > 32 {
			return fmt.Errorf("PBKDF2 makes a key of %.12q octets, not 16 to 32", text)
		}
	}
	prf := sha1.New
	if name := m.PRF.Algorithm + strings.TrimSpace(m.PRF.Text); name != "" {
		if prf = macs[lastPart(name)]; prf == nil {
			return fmt.Errorf("the PRF of PBKDF2 is %.64q, which is not supported", name)
		}
	}
	if password == "" {
		b.missing = errors.New("a password is needed")
		return nil
	}
	b.cek, err = pbkdf2.Key(prf, password, salt, count, size)
	return err
}

// octetsOf reads base64 with white space in it.
func octetsOf(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return b, nil
}

func (b *opener) octets(v *value) ([]byte, error) {
	switch {
	case v.Encrypted != nil:
		return b.open(v)
	case v.Plain != nil:
		return octetsOf(*v.Plain)
	}
	return nil, errors.New("it is empty")
}

// open checks the MAC of an encrypted value and decrypts it. Key wrapping has its own
// check.
func (b *opener) open(v *value) ([]byte, error) {
	if b.missing != nil {
		return nil, b.missing
	}
	sealed, err := octetsOf(v.Encrypted.Value)
	if err != nil {
		return nil, err
	}
	mac, err := octetsOf(v.MAC)
	if err != nil {
		return nil, err
	}
	switch {
	case len(mac) > 0 && b.mac == nil:
		return nil, errors.New("it has a MAC, but the file has no MACMethod")
	case len(mac) == 0 && !wraps(v.Encrypted) && !b.withoutMAC:
		return nil, errors.New("it is encrypted without a MAC: a wrong key would go unnoticed")
	}
	plain, err := b.decrypt(v.Encrypted)
	switch {
	case err != nil:
		return nil, err
	case len(mac) > 0 && !hmac.Equal(b.sum(sealed), mac) && !hmac.Equal(b.sum(plain),
		mac): // some vendors use the latter
		return nil, errors.New("the MAC does not match")
	}
	return plain, nil
}

func (b *opener) sum(of []byte) []byte {
	h := hmac.New(b.mac, b.macKey)
	h.Write(of)
	return h.Sum(nil)
}

// number reads an integer. In plain text it is in digits. Encrypted, it is in digits,
// as multiOTP writes it, or in octets, as in RFC 6030.
func (b *opener) number(v *value, byDefault uint64) (uint64, error) {
	switch {
	case v == nil || v.Encrypted == nil && v.Plain == nil:
		return byDefault, nil
	case v.Encrypted == nil:
		n, err := strconv.ParseUint(strings.TrimSpace(*v.Plain), 10, 63)
		if err != nil {
			return 0, errors.New("it is not a number")
		}
		return n, nil
	}
	octets, err := b.open(v)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseUint(string(octets), 10, 63); err == nil {
		return n, nil
	}
	if len(octets) == 0 || len(octets) > 8 {
		return 0, fmt.Errorf("it is a number of %d octets", len(octets))
	}
	return binary.BigEndian.Uint64(append(make([]byte, 8-len(octets)), octets...)), nil
}
