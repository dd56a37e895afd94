package smtp_test

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smtp"
)

// TestJSONShowsNoSecret: a careless log does not show what String hides.
func TestJSONShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, v := range []any{smtp.Relay{Addr: "mail.example.com", Password: "s3cret"},
		smtp.DKIMKey{Selector: "x", Private: ed25519.NewKeyFromSeed(make([]byte, 32))}} {
		b, err := json.Marshal([]any{v})
		if err != nil || strings.Contains(string(b), "s3cret") || strings.Contains(string(b), "Private") {
			t.Errorf("%T is %s, %v", v, b, err)
		}
	}
}
