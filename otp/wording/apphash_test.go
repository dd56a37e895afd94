package wording_test

import (
	"encoding/base64"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp/wording"
)

func debugCertificate(tb testing.TB) []byte {
	tb.Helper()
	raw, err := os.ReadFile("testdata/react-native-debug-cert.der.b64")
	if err != nil {
		tb.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(raw)), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func TestAppHash(t *testing.T) {
	t.Parallel()
	der := debugCertificate(t)
	for _, c := range []struct {
		name, pkg string
		der       []byte
		want      string
	}{
		{"the published example", "com.rnsmsretrieverexample", der, "f8Escobih1Z"},
		{"no package", "", der, ""},
		{"no certificate", "com.rnsmsretrieverexample", nil, ""},
		{"an octet", "com.rnsmsretrieverexample", der[:1], ""},
		{"PEM", "com.rnsmsretrieverexample", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), ""},
		{"base64", "com.rnsmsretrieverexample", []byte(base64.StdEncoding.EncodeToString(der)), ""},
	} {
		if got := wording.AppHash(c.pkg, c.der); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	other := wording.AppHash("com.example.app", der)
	if len(other) != 11 || other == "f8Escobih1Z" {
		t.Errorf("another package: %q", other)
	}
	newSet(t, wording.Config{AppHash: other})
}
