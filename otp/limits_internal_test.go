package otp

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/idna"

	"github.com/otpcourier/otpcourier/store"
)

// TestLimitsOfOneThing: the limits of an address are counts of one thing, which a backend
// keeps together; those of other addresses, kinds and tenants are not.
func TestLimitsOfOneThing(t *testing.T) {
	t.Parallel()
	k, err := NewKeyring().application("test")
	if err != nil {
		t.Fatal(err)
	}
	things := map[string]bool{}
	for _, of := range [][3]string{{"", "email", "ann@example.com"}, {"", "email", "bob@example.com"},
		{"", "email/known", "ann@example.com"}, {"brand", "email", "ann@example.com"}} {
		name := k.limitsKey(of[0], of[1], of[2])
		thing, rest, ok := strings.Cut(name, store.Of)
		if !ok || rest != "" || things[thing] {
			t.Errorf("%q names the limits of %q, want a thing of its own", name, of)
		}
		things[thing] = true
	}
}

// TestCanonicalDomains: a domain in ASCII has the form that package idna gives it.
func TestCanonicalDomains(t *testing.T) {
	t.Parallel()
	const characters = "aAbBxXnN-.019-.aAbBxXnN_ !*\"'/:%+,;=^`()[]#"
	for range 100_000 {
		domain := make([]byte, rand.IntN(12))
		for i := range domain {
			domain[i] = characters[rand.IntN(len(characters))]
		}
		want, err := idna.Lookup.ToASCII(string(domain))
		if err != nil {
			want = string(domain)
		}
		if got := canonicalEmail("ann@" + string(domain)); got != "ann@"+strings.ToLower(want) {
			t.Fatalf("%q becomes %q, idna makes %q of it", domain, got, want)
		}
	}
	for domain, want := range map[string]string{
		"EXAMPLE.com":           "example.com",
		"xn--BCHER-kva.example": "xn--bcher-kva.example",
		"bücher.example":        "xn--bcher-kva.example",
		"xn--e1afmkfd.XN--P1AI": "xn--e1afmkfd.xn--p1ai",
		"xn--a.example":         "xn--a.example",
	} {
		if got := canonicalEmail("ann@" + domain); got != "ann@"+want {
			t.Errorf("%s becomes %s, want %s", domain, got, want)
		}
	}
}
