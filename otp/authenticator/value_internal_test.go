package authenticator

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// everything is a value with all that one can have.
func everything() *value {
	return &value{
		tokens: []token{
			{id: tokenID{1}, app: true, digits: 6, period: 30, secret: []byte("12345678901234567890"), name: "phone",
				created: 1, used: 2, next: 3, offset: -1},
			{id: tokenID{2}, hotp: true, hash: oath.SHA512, digits: 8, secret: []byte("1234567890123456"), serial: "S",
				created: 1, next: 1 << 62, start: 5, ends: 6},
			{id: tokenID{3}, hash: oath.SHA256, digits: 7, period: 120, secret: []byte(strings.Repeat("x", 128)),
				created: 1,
				offset:  900, maxDrift: 902, pending: 99, failures: 9, replaces: tokenID{1}},
		},
		otp: run{9, 100}, recovery: run{100, forever}, codes: []recoveryHash{{1}, {2}},
	}
}

func testService(t testing.TB) *Service {
	s, err := New(Config{Issuer: "Acme", Keys: otp.NewKeyring(), Store: memstore.New(memstore.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var all = cmp.Exporter(func(reflect.Type) bool { return true })

func TestValueRoundTrip(t *testing.T) {
	t.Parallel()
	s := testService(t)
	for _, v := range []*value{everything(), {otp: run{failures: 1}}} {
		sealed, err := s.seal("ann", v)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range sealed {
			if b <= ' ' || b > '~' {
				t.Errorf("octet %d in a value", b)
			}
		}
		back, err := s.open("ann", sealed)
		if err != nil {
			t.Fatal(err)
		}
		v.key = "k1"
		if diff := cmp.Diff(v, back, all); diff != "" {
			t.Error(diff)
		}
		again, _ := s.seal("ann", v)
		if bytes.Equal(sealed, again) {
			t.Error("two values are alike")
		}
	}
}

// TestValueFields: a field that is added to a token or a value is written, too.
func TestValueFields(t *testing.T) {
	t.Parallel()
	for _, v := range []any{token{}, value{}, run{}} {
		n := map[string]int{"token": 19, "value": 5, "run": 2}[reflect.TypeOf(v).Name()]
		if got := reflect.TypeOf(v).NumField(); got != n {
			t.Errorf("%T has %d fields: write the new one in encode and decode, then change this number", v, got)
		}
	}
}

// TestOpenChanged: a value with any octet changed does not open.
func TestOpenChanged(t *testing.T) {
	t.Parallel()
	s := testService(t)
	sealed, err := s.seal("ann", everything())
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		for _, to := range []byte{sealed[i] ^ 1, 'A', ':', '\n'} {
			changed := bytes.Clone(sealed)
			if changed[i] = to; bytes.Equal(changed, sealed) {
				continue
			}
			if v, err := s.open("ann", changed); err == nil {
				t.Fatalf("octet %d changed to %q: opens as %+v", i, to, v)
			}
		}
		if i > 0 {
			if _, err := s.open("ann", sealed[:i]); err == nil {
				t.Fatalf("opens when cut to %d octets", i)
			}
		}
	}
	if _, err := s.open("ann", append(sealed, 'A')); err == nil {
		t.Error("opens with an octet more")
	}
}

// FuzzOpen: whatever the table holds, it opens or not, without a panic; what opens is
// what was sealed.
func FuzzOpen(f *testing.F) {
	s := testService(f)
	for _, v := range []*value{everything(), {}} {
		sealed, err := s.seal("ann", v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
	}
	f.Add([]byte("otp1:k1:"))
	f.Add([]byte("otp2:k1:AAAA"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if v, err := s.open("ann", raw); err == nil && len(raw) > 0 && len(v.tokens) == 0 && v.key == "" {
			t.Fatalf("%q opens as nothing", raw)
		}
	})
}

// FuzzDecode: what is inside of a value, as a program with the key may have written it.
func FuzzDecode(f *testing.F) {
	f.Add(everything().encode())
	f.Add((&value{}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		for i := range v.tokens { // must not panic, nor last for ever
			v.tokens[i].check("123456", Policy{}.withDefaults(), 1_700_000_000)
			v.tokens[i].find("123456", "123457", Policy{Resync: 3}.withDefaults(), 1_700_000_000)
		}
		again, err := decode(v.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again, all); diff != "" {
			t.Error(diff)
		}
	})
}

// TestClockBefore1970: nobody is verified by a clock that cannot be right.
func TestClockBefore1970(t *testing.T) {
	t.Parallel()
	s := testService(t)
	e, err := s.Enroll(t.Context(), Request{Subject: "ann", Account: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Unix(-1, 0) }
	for name, err := range map[string]error{
		"Enroll":  func() error { _, err := s.Enroll(t.Context(), Request{Subject: "b", Account: "b"}); return err }(),
		"Verify":  func() error { _, err := s.Verify(t.Context(), "ann", "123456"); return err }(),
		"Confirm": func() error { _, err := s.Confirm(t.Context(), "ann", "123456"); return err }(),
		"Resync":  s.Resync(t.Context(), "ann", e.ID, "123456", "123456"),
	} {
		if otp.ReasonOf(err) != otp.ReasonUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.now = func() time.Time { return time.Unix(0, 0) } // steps before 1970 are none
	secret, _ := secretText(strings.ReplaceAll(e.Secret, " ", ""))
	first := newToken(&Key{Secret: secret, App: true, Digits: 6, Period: softPeriod}, s.c.Policy)
	if _, err := s.Confirm(t.Context(), "ann", first.code(1)); err != nil && otp.ReasonOf(err) != otp.ReasonWrong {
		t.Errorf("at the very beginning: %v", err)
	}
}
