package otp

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

func TestLetterCodec(t *testing.T) {
	t.Parallel()
	for _, want := range []letter{
		{binding: noBinding},
		{to: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com", Push: "token"}, purpose: "pay", language: "pt-BR",
			details: "10 € to Bob", route: "email", requestID: "r-1", ip: netip.MustParseAddr("2001:db8::1"), binding: sha256.Sum256([]byte("10 EUR")), fixed: true},
	} {
		b := want.encode()
		got, err := decodeLetter(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(letter{}), cmp.Comparer(func(a, b channel.Recipient) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		for n := range b {
			if _, err := decodeLetter(b[:n]); err == nil && n != len(b)-32 { // without its binding it is whole
				t.Errorf("%d of %d octets passed", n, len(b))
			}
		}
	}
}

func TestDeliveryCodec(t *testing.T) {
	t.Parallel()
	for _, want := range []delivery{
		{},
		{step: 3, by: "silence", priority: store.High, submitted: true, again: true, state: channel.Failed, sends: 2, route: "carrier-a", kind: channel.Phone, via: "email",
			providers: []string{"x1", "x2"}, got: 1<<63 | 1, tried: []string{"A", "B"}, used: channel.Phone, invalid: channel.Email,
			await: time.UnixMilli(1_800_000_000_123), lease: time.UnixMilli(1_800_000_000_000), early: "B", request: "r-2",
			reached: 2, void: []string{"resend2", "resend3"}, older: []posted{{1, "A", []string{"a-1"}}, {2, "B", []string{"b-1", "b-2"}}}},
	} {
		b := want.encode()
		got, err := decodeDelivery(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(delivery{}, posted{})); diff != "" {
			t.Error(diff)
		}
		for n := range b {
			if _, err := decodeDelivery(b[:n]); err == nil {
				t.Errorf("%d of %d octets passed", n, len(b))
			}
		}
	}
}

func FuzzRecordCodec(f *testing.F) {
	f.Add((&letter{to: channel.Recipient{Phone: "+447912345678"}, binding: noBinding}).encode())
	f.Add((&delivery{step: 1, by: "send", tried: []string{"A"}, older: []posted{{1, "A", []string{"a-1"}}}}).encode())
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeLetter(b)
		if d, err := decodeDelivery(b); err == nil {
			if _, err := decodeDelivery(d.encode()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	k := NewKeyring().ready()
	ann, bob := k.subjectTag("ann"), k.subjectTag("bob")
	a1, a2 := k.newID(ann, "login", ""), k.newID(ann, "login", "")
	if a1 == a2 || a1[:3] != a2[:3] || !validID(a1) {
		t.Errorf("ids %q and %q: want the same bucket and another rest", a1, a2)
	}
	if first, again := k.newID(ann, "login", "x"), k.newID(ann, "login", "x"); first != again {
		t.Error("an idempotency key gives two ids")
	}
	seen := map[string]bool{}
	for _, id := range []string{k.newID(ann, "login", "x"), k.newID(ann, "pay", "x"), k.newID(bob, "login", "x"), k.newID(ann, "login", "y")} {
		if seen[id] {
			t.Errorf("id %q twice", id)
		}
		seen[id] = true
	}
	if id := a1 + "." + stepName(&store.Record{Salt: []byte("salt")}, 999); len(id) > 36 {
		t.Errorf("Message.ID %q is longer than 36", id)
	}
	for _, id := range []string{"", a1[1:], a1 + "a", strings.ToUpper(a1), "abc.aaaaaaaaaaaaaaaaaaaaaaaa", "abc-aaaaaaaaaaaaaaaaaaaaaaa/"} {
		if validID(id) {
			t.Errorf("%q is a valid id", id)
		}
	}
}

// Subjects fall into more buckets than 13 bits have, and no more than 14 have:
// a first character of "q" or later would be the 15th bit.
func TestBuckets(t *testing.T) {
	t.Parallel()
	k := NewKeyring().ready()
	seen := map[string]bool{}
	for i := range 20_000 { // of which some 11,500 differ in 14 bits, 7,500 in 13
		seen[k.newID(k.subjectTag(strconv.Itoa(i)), "", "")[:bucketLen]] = true
	}
	for bucket := range seen {
		if bucket[0] >= 'q' {
			t.Fatalf("bucket %q", bucket)
		}
	}
	if len(seen) <= 1<<13 {
		t.Errorf("%d buckets", len(seen))
	}
}

// Fields must not run together: ("ab", "c") is another code than ("a", "bc").
func TestCodeKeySeparatesFields(t *testing.T) {
	t.Parallel()
	ring := NewKeyring()
	k := ring.ready()
	seen := map[[32]byte]string{}
	add := func(name string, key [32]byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[key]; other != "" {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[key] = name
	}
	base := func(salt, id, purpose, subject, binding string, n int) ([32]byte, error) {
		return k.codeKey("k1", []byte(salt), id, purpose, subject, sha256.Sum256([]byte(binding)), n)
	}
	for name, args := range map[string][5]string{"base": {"s", "id", "login", "u1", ""}, "salt": {"S", "id", "login", "u1", ""},
		"id": {"s", "iD", "login", "u1", ""}, "purpose": {"s", "id", "pay", "u1", ""}, "subject": {"s", "id", "login", "u2", ""},
		"binding": {"s", "id", "login", "u1", "x"}, "shifted": {"s", "idl", "ogin", "u1", ""}, "shifted more": {"s", "id", "loginu", "1", ""}} {
		key, err := base(args[0], args[1], args[2], args[3], args[4], 0)
		add(name, key, err)
	}
	key, err := base("s", "id", "login", "u1", "", 1)
	add("number", key, err)
	if _, err := k.codeKey("k2", nil, "", "", "", noBinding, 0); err == nil {
		t.Error("an unknown key derives")
	}
}

func TestSealIsBoundToItsRecord(t *testing.T) {
	t.Parallel()
	k := NewKeyring().ready()
	salt := make([]byte, saltLen)
	sealed, err := k.seal("k1", salt, "id-1", []byte("+447912345678"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.open("k1", salt, "id-1", sealed); err != nil || string(plain) != "+447912345678" {
		t.Fatalf("opened %q, %v", plain, err)
	}
	if bytes.Contains(sealed, []byte("4479")) {
		t.Error("the sealed record is readable")
	}
	if _, err := k.open("k1", salt, "id-2", sealed); err == nil {
		t.Error("opened under another id")
	}
	if _, err := k.open("k1", bytes.Repeat([]byte{1}, saltLen), "id-1", sealed); err == nil {
		t.Error("opened with another salt")
	}
	sealed[0] ^= 1
	if _, err := k.open("k1", salt, "id-1", sealed); err == nil {
		t.Error("opened although changed")
	}
}
