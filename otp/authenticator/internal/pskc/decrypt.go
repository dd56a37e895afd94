package pskc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// keySizes are the supported algorithms of XML Encryption, with the octets of their keys.
var keySizes = map[string]int{
	"aes128-cbc": 16, "aes192-cbc": 24, "aes256-cbc": 32, "tripledes-cbc": 24,
	"kw-aes128": 16, "kw-aes192": 24, "kw-aes256": 32,
}

// wraps reports whether a value is a wrapped key, which has a check of its own.
func wraps(e *encrypted) bool { return strings.HasPrefix(lastPart(e.Method.Algorithm), "kw-") }

func (b *opener) decrypt(e *encrypted) ([]byte, error) {
	if b.missing != nil {
		return nil, b.missing
	}
	sealed, err := octetsOf(e.Value)
	if err != nil {
		return nil, err
	}
	name := lastPart(e.Method.Algorithm)
	size, known := keySizes[name]
	switch {
	case !known:
		return nil, fmt.Errorf("its encryption is %.64q, which is not supported", e.Method.Algorithm)
	case len(b.cek) != size:
		return nil, fmt.Errorf("a key of %d octets is needed, this one has %d", size, len(b.cek))
	case wraps(e):
		return unwrap(b.cek, sealed)
	}
	newCipher := aes.NewCipher
	if name == "tripledes-cbc" {
		newCipher = des.NewTripleDESCipher
	}
	block, err := newCipher(b.cek)
	if err != nil {
		return nil, err
	}
	return openCBC(block, sealed)
}

// openCBC decrypts an IV and its ciphertext (XML Encryption 1.1 §5.2). The last octet is
// the length of the padding; the others are arbitrary.
func openCBC(block cipher.Block, sealed []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(sealed) < 2*size || len(sealed)%size != 0 {
		return nil, errors.New("the ciphertext has a wrong length")
	}
	plain := make([]byte, len(sealed)-size)
	cipher.NewCBCDecrypter(block, sealed[:size]).CryptBlocks(plain, sealed[size:])
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > size {
		return nil, errors.New("the padding is wrong, as with a wrong key")
	}
	return plain[:len(plain)-padding], nil
}

// unwrap is the key unwrapping of RFC 3394 §2.2.2.
func unwrap(key, sealed []byte) ([]byte, error) {
	if len(sealed) < 24 || len(sealed)%8 != 0 {
		return nil, errors.New("the wrapped key has a wrong length")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	n := len(sealed)/8 - 1
	r := bytes.Clone(sealed[8:])
	var a [16]byte
	copy(a[:8], sealed)
	for step := 6 * n; step >= 1; step-- {
		part := r[8*((step-1)%n):][:8]
		binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])^uint64(step))
		copy(a[8:], part)
		block.Decrypt(a[:], a[:])
		copy(part, a[8:])
	}
	if subtle.ConstantTimeCompare(a[:8], bytes.Repeat([]byte{0xA6}, 8)) != 1 {
		return nil, errors.New("the wrapped key does not open: the key is wrong")
	}
	return r, nil
}
