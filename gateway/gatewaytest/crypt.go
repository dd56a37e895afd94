package gatewaytest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the app's choice
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// decrypt opens the content of an end-to-end encrypted message,
// "$aes-256-cbc/pbkdf2-sha1$i=75000$<salt>$<ciphertext>" in standard base64. The
// key is derived from the passphrase, and the salt is also the IV.
func decrypt(text, passphrase string) (string, error) {
	malformed := errors.New("gatewaytest: the text is not encrypted as the app does")
	parts := strings.Split(text, "$")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "aes-256-cbc/pbkdf2-sha1" {
		return "", malformed
	}
	iterations, err := strconv.Atoi(strings.TrimPrefix(parts[2], "i="))
	if err != nil || iterations < 1 || iterations > 10_000_000 {
		return "", malformed
	}
	salt, saltErr := base64.StdEncoding.DecodeString(parts[3])
	sealed, sealedErr := base64.StdEncoding.DecodeString(parts[4])
	if saltErr != nil || sealedErr != nil || len(salt) != aes.BlockSize || len(sealed) == 0 ||
		len(sealed)%aes.BlockSize != 0 {
		return "", malformed
	}
	key, err := pbkdf2.Key(sha1.New, passphrase, salt, iterations, 32)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	open := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, salt).CryptBlocks(open, sealed)
	pad := int(open[len(open)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.HasSuffix(open, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return "", errors.New("gatewaytest: the passphrase does not open the text")
	}
	return string(open[:len(open)-pad]), nil
}
