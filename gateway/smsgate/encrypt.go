package smsgate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what the app derives its key with
	"encoding/base64"
	"errors"
	"fmt"
)

const (
	encryptRounds = 75_000
	encryptSalt   = 16
)

// encrypt seals a text or a number for the app, under a salt of its own:
// AES-256-CBC with PKCS #7 padding (RFC 5652 §6.3), whose key is derived by
// PBKDF2 with HMAC-SHA-1 (RFC 8018) and whose initialization vector is the
// salt, as SMSGate's documentation on encryption has it.
func encrypt(passphrase, text string) (string, error) {
	salt := make([]byte, encryptSalt)
	_, _ = rand.Read(salt) // never fails
	return encryptWith(passphrase, text, salt)
}

func encryptWith(passphrase, text string, salt []byte) (string, error) {
	key, err := pbkdf2.Key(sha1.New, passphrase, salt, encryptRounds, 32)
	if err != nil {
		return "", errors.New("the key cannot be derived from Config.Passphrase")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", errors.New("AES cannot be used")
	}
	pad := aes.BlockSize - len(text)%aes.BlockSize
	sealed := make([]byte, len(text)+pad)
	for i := copy(sealed, text); i < len(sealed); i++ {
		sealed[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, salt).CryptBlocks(sealed, sealed)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("$aes-256-cbc/pbkdf2-sha1$i=%d$%s$%s", encryptRounds, b64(salt), b64(sealed)), nil
}
