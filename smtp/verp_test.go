package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

var (
	keyA = bytes.Repeat([]byte("a"), 32)
	keyB = bytes.Repeat([]byte("b"), 32)
)

const returnPath = "bounce+*@mybank.example"

func newVERP(t testing.TB, address string, keys ...[]byte) *VERP {
	t.Helper()
	v, err := NewVERP(address, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVERP(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", maxID)
	for _, pattern := range []string{returnPath, "*@bounces.mybank.example", "twelve.oct+*@b.example",
		"a-*-z@münchen.example"} {
		v := newVERP(t, pattern, keyA)
		for _, id := range []string{"c4n7.1", "1", "-", ".", "a..b", "a.", ".a", longest} {
			address := v.address(id)
			if wire, err := addrspec.ASCII(address); err != nil || wire != address {
				t.Errorf("%s: %q: %v", pattern, address, err)
			}
			token := len(v.before)
			upper := address[:token] + strings.ToUpper(address[token:token+macLen]) + address[token+macLen:]
			for _, way := range []string{address, strings.ToLower(address), mangleDomain(address), upper} {
				if got, err := v.messageID(way); err != nil || got != id {
					t.Errorf("%q: %q, %v; want %q", way, got, err, id)
				}
			}
			text := "rfc822; <" + address + "> (was here)"
			if got, err := v.find(text); err != nil || got != id {
				t.Errorf("%q: %q, %v; want %q", text, got, err, id)
			}
		}
	}
}

func mangleDomain(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	return local + "@" + strings.ToUpper(domain)
}

// One letter more, less or other: refused, whichever letter it is.
func TestVERPForged(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	address := v.address("c4n7.1")
	start, end := len("bounce+"), strings.IndexByte(address, '@')
	for i := start; i < end; i++ {
		for name, forged := range map[string]string{
			"other": address[:i] + string(other(address[i])) + address[i+1:],
			"less":  address[:i] + address[i+1:],
			"more":  address[:i] + "a" + address[i:],
		} {
			if forged == address {
				continue
			}
			if id, err := v.messageID(forged); !errors.Is(err, ErrForgedToken) || id != "" {
				t.Errorf("%s at %d: %q: %q, %v", name, i, forged, id, err)
			}
		}
	}
	for _, no := range []string{"", "@", "bounce@mybank.example", "bounce+@mybank.example", address + "x",
		"x" + address, "bounce+aaaa@mybank.example"} {
		if id, err := v.messageID(no); !errors.Is(err, ErrNoToken) || id != "" {
			t.Errorf("%q: %q, %v", no, id, err)
		}
	}
	if _, err := newVERP(t, returnPath, keyB).messageID(address); !errors.Is(err, ErrForgedToken) {
		t.Errorf("another's key: %v", err)
	}
	forged := strings.Replace(address, "c4n7", "c4n8", 1)
	if id, err := v.find(forged + ", " + address); err != nil || id != "c4n7.1" {
		t.Errorf("a forged address hides a good one: %q, %v", id, err)
	}
	if _, err := v.find("x, " + forged + ", y"); !errors.Is(err, ErrForgedToken) {
		t.Errorf("forged among others: %v", err)
	}
}

func other(c byte) byte {
	if c == 'q' {
		return 'r'
	}
	return 'q'
}

// What has become lower case on the way is known again if it was so before.
func TestVERPInLowerCase(t *testing.T) {
	t.Parallel()
	v := newVERP(t, "Bounce+*@MyBank.example", keyA)
	for id, want := range map[string]error{"c4n7.1": nil, "C4n7.1": ErrForgedToken} {
		if got, err := v.messageID(strings.ToLower(v.address(id))); !errors.Is(err, want) || err == nil && got != id {
			t.Errorf("%q: %q, %v; want error %v", id, got, err, want)
		}
	}
}

func TestVERPRotate(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	old := v.address("c4n7.1")
	if err := v.Rotate(keyB, keyA); err != nil {
		t.Fatal(err)
	}
	renewed := v.address("c4n7.1")
	for _, address := range []string{old, renewed} {
		if id, err := v.messageID(address); err != nil || id != "c4n7.1" {
			t.Errorf("%q: %q, %v", address, id, err)
		}
	}
	if old == renewed {
		t.Error("the new key does not sign")
	}
	if err := v.Rotate(keyB); err != nil {
		t.Fatal(err)
	}
	if _, err := v.messageID(old); !errors.Is(err, ErrForgedToken) {
		t.Errorf("a key that is gone verifies: %v", err)
	}
	if err := v.Rotate(); err == nil {
		t.Error("no key is accepted")
	}
	if v.address("c4n7.1") != renewed {
		t.Error("a failed Rotate changes the keys")
	}

	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				if i == 0 {
					_ = v.Rotate(keyA, keyB)
					_ = v.Rotate(keyB, keyA)
				} else if id, err := v.messageID(v.address("c4n7.1")); err != nil || id != "c4n7.1" {
					t.Errorf("%q, %v", id, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNewVERPRefuses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "bounce@mybank.example", "bounce+*", "*", "**@mybank.example", "bounce@*.example", "*@*.example",
		"bo unce+*@mybank.example", "böunce+*@mybank.example", ".*@mybank.example", "thirteen.oct+*@mybank.example",
		"*@" + strings.Repeat("abcdefghi.", 21) + "example", "<*@mybank.example>",
	} {
		if _, err := NewVERP(address, keyA); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
	for _, keys := range [][][]byte{nil, {nil}, {keyA[:15]}, {keyA, nil}} {
		if _, err := NewVERP(returnPath, keys...); err == nil {
			t.Errorf("keys %q are accepted", keys)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte("Z"), 32)
	v := newVERP(t, returnPath, secret)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, v); strings.Contains(got, "ZZ") || strings.Contains(got, "90") ||
			!strings.Contains(got, "bounce+*") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestEnvelopeFrom(t *testing.T) {
	t.Parallel()
	m := &channel.Message{ID: "c4n7.1"}
	s := newSettings(t, "codes@mybank.example")
	if got := s.envelopeFrom(m); got != "codes@mybank.example" {
		t.Errorf("without VERP %q", got)
	}
	s.VERP = newVERP(t, returnPath, keyA)
	if id, err := s.VERP.messageID(s.envelopeFrom(m)); err != nil || id != "c4n7.1" {
		t.Errorf("with VERP %q, %v", id, err)
	}
}

func FuzzVERP(f *testing.F) {
	v := newVERP(f, returnPath, keyA)
	for _, s := range []string{"", v.address("c4n7.1"), v.address("."), "<" + v.address("a..b") + ">,",
		"bounce+aaaaaaaaaaaaaaaab@mybank.example", "bounce+\xff@mybank.example", "BOUNCE+@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := v.find(text)
		switch {
		case err == nil:
			if !isMessageID(id) || !strings.Contains(strings.ToLower(text), sign(keyA, id)) {
				t.Errorf("%q is %q", text, id)
			}
		case id != "" || !errors.Is(err, ErrNoToken) && !errors.Is(err, ErrForgedToken):
			t.Errorf("%q: %q, %v", text, id, err)
		}
		if isMessageID(text) {
			if id, err := v.messageID(v.address(text)); err != nil || id != text {
				t.Errorf("%q comes back as %q, %v", text, id, err)
			}
		}
	})
}

func BenchmarkVERP(b *testing.B) {
	v := newVERP(b, returnPath, keyA)
	b.ReportAllocs()
	for b.Loop() {
		_ = v.address("c4n7.1")
	}
}
