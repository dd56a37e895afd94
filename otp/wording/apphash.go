package wording

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

const (
	appHashLen   = 11 // characters of an app hash
	appHashBytes = 9  // of the digest, which base64 makes 12 characters
)

// AppHash computes the hash by which the SMS Retriever of Google Play services
// finds the app for a text: the first 11 characters of base64(SHA-256(pkg + " "
// + hex(certDER))). pkg is the application id, for example "com.example.app".
// certDER is the app's signing certificate in DER. With Play App Signing it
// must be Google's certificate ("App signing key certificate" in the Play
// Console), not the upload key's.
//
// It returns "" if pkg is empty, or if certDER cannot be DER, which begins with
// the octet 0x30. PEM, for example, does not.
func AppHash(pkg string, certDER []byte) string {
	if pkg == "" || len(certDER) < 2 || certDER[0] != 0x30 {
		return ""
	}
	sum := sha256.Sum256([]byte(pkg + " " + hex.EncodeToString(certDER)))
	return base64.StdEncoding.EncodeToString(sum[:appHashBytes])[:appHashLen]
}

func isAppHash(s string) bool {
	if len(s) != appHashLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}
