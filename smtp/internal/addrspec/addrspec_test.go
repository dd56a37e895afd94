package addrspec

import (
	"fmt"
	"strings"
	"testing"
)

func TestWire(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ann@example.com":               "ann@example.com false <nil>",
		"Ann.o'Hara+x@Example.COM":      "Ann.o'Hara+x@Example.COM false <nil>",
		"ann@münchen.example":           "ann@xn--mnchen-3ya.example false <nil>",
		"ann@例え.テスト":                    "ann@xn--r8jz45g.xn--zckzah false <nil>",
		"añn@example.com":               "añn@example.com true <nil>",
		"":                              " false " + ErrMissing.Error(),
		"ann":                           " false " + ErrMalformed.Error(),
		"ann@example.com>":              " false " + ErrMalformed.Error(),
		"x@y> NOTIFY=NEVER ORCPT=<q":    " false " + ErrMalformed.Error(),
		"ann@example.com\r\nRCPT TO:<q": " false " + ErrMalformed.Error(),
		"ann@[192.0.2.1]":               " false " + ErrMalformed.Error(),
		"ann@①。example":                 " false " + ErrMalformed.Error(),
		"ann@\u0300ü.example":           " false " + ErrDomainName.Error(),
		"ann@ａｂ.example":                "ann@ab.example false <nil>",
	} {
		wire, needsUTF8, err := Wire(address)
		if got := fmt.Sprint(wire, " ", needsUTF8, " ", err); got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}

func FuzzWire(f *testing.F) {
	for _, s := range []string{
		"ann@example.com", "x@y> NOTIFY=NEVER ORCPT=<q", "a@b\r\nDATA", "ann@münchen.example", "añn@例え.テスト",
		"\"a b\"@c", "a@[::1]", "a@xn--", "a@b..c", "@", "a@-b.c", "a@ß.de", "a@\u200d.example", "a@xn--a.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		wire, needsUTF8, err := Wire(address)
		if err != nil {
			if wire != "" {
				t.Errorf("%q beside %v", wire, err)
			}
			return
		}
		if strings.ContainsAny(wire, " <>\"\\()[],;:\r\n\t\x00") || strings.Count(wire, "@") != 1 || len(wire) > 254 {
			t.Errorf("%q became %q", address, wire)
		}
		local, domain, _ := strings.Cut(wire, "@")
		if !IsASCII(domain) || needsUTF8 == IsASCII(local) {
			t.Errorf("%q became %q, needs SMTPUTF8: %v", address, wire, needsUTF8)
		}
		if again, _, err := Wire(wire); err != nil || again != wire {
			t.Errorf("%q became %q and then %q (%v)", address, wire, again, err)
		}
	})
}
