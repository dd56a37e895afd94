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

var sealedRequests = []sealedRequest{
	{binding: noBinding},
	{priority: store.Low, binding: noBinding, region: "GB"},
	{tenant: "brand-b", to: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com", Push: "token",
		Chat: "telegram:4711"}, region: "GB",
		purpose: "pay", language: "pt-BR", details: "10 € to Bob", route: "email", requestID: "r-1",
		reference: "order-7",
		ip:        netip.MustParseAddr("2001:db8::1"), priority: store.High, binding: sha256.Sum256([]byte("10 EUR")),
		fixed: true},
}

func equalRequests(want, got *sealedRequest) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(sealedRequest{}), cmp.Comparer(func(a,
		b channel.Recipient) bool {
		return a == b
	}),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
}

func TestSealedCodec(t *testing.T) {
	t.Parallel()
	for _, want := range sealedRequests {
		b := want.encode()
		got, err := decodeSealed(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := equalRequests(&want, got); diff != "" {
			t.Error(diff)
		}
		for n := range b {
			if _, err := decodeSealed(b[:n]); err == nil && n != len(b)-32 { // without its binding it is whole
				t.Errorf("%d of %d octets passed", n, len(b))
			}
		}
		if _, err := decodeSealed(append(b, 0)); err == nil {
			t.Error("an octet too many passed")
		}
	}
}

func FuzzSealedCodec(f *testing.F) {
	for i := range sealedRequests {
		f.Add(sealedRequests[i].encode())
	}
	f.Add([]byte(nil))
	f.Add([]byte{sealedVersion, 0})
	f.Add([]byte{sealedVersion + 1, 0})
	f.Add(append([]byte{sealedVersion, 0}, bytes.Repeat([]byte{0xff}, 40)...)) // lengths that overflow
	f.Add(append([]byte{sealedVersion, 0xff}, make([]byte, 13)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := decodeSealed(b)
		if err != nil {
			return
		}
		again, err := decodeSealed(q.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := equalRequests(q, again); diff != "" && q.priority.Valid() {
			t.Error(diff)
		}
	})
}

func readyKeys(t *testing.T, application string, ring Keyring) keys {
	t.Helper()
	k, err := ring.application(application)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestIDs(t *testing.T) {
	t.Parallel()
	ring := NewKeyring()
	k := readyKeys(t, "bank", ring)
	ann, bob := k.subject("", "ann"), k.subject("", "bob")
	a1, a2 := k.newID("", ann, "login", ""), k.newID("", ann, "login", "")
	if a1 == a2 || a1.store()[:bucketLen] != a2.store()[:bucketLen] || !a1.belongs(ann) || a1.belongs(bob) {
		t.Errorf("ids %q and %q: want the same bucket and another rest", a1.store(), a2.store())
	}
	if first, again := k.newID("", ann, "login", "x"), k.newID("", ann, "login", "x"); first != again {
		t.Error("an idempotency key gives two ids")
	}
	if stored, ok := storedID(a1.store()); !ok || stored != a1 {
		t.Errorf("%q is read as %q", a1.store(), stored.store())
	}
	if public, ok := k.parseID(k.public(a1)); !ok || public != a1 || k.publicOf(a1.store()) != k.public(a1) {
		t.Errorf("%q is read as %q", k.public(a1), public.store())
	}
	seen := map[string]bool{}
	for _, i := range []id{k.newID("", ann, "login", "x"), k.newID("", ann, "pay", "x"), k.newID("", bob, "login", "x"),
		k.newID("", ann, "login", "y"),
		k.newID("b", k.subject("b", "ann"), "login", "x"), readyKeys(t, "shop", ring).newID("", ann, "login", "x")} {
		if seen[i.store()] {
			t.Errorf("id %q twice", i.store())
		}
		seen[i.store()] = true
	}
	public := k.public(a1)
	if id := public + "." + stepName(&store.Record{Salt: []byte("salt")}, 999); len(id) > 36 {
		t.Errorf("Message.ID %q is longer than 36", id)
	}
	for _, id := range []string{"", public[1:], public + "a", strings.ToUpper(public), public[:25] + "b", public[:25] +
		"/", a1.store()} {
		if _, ok := k.parseID(id); ok || validID(id) {
			t.Errorf("%q is a valid id", id)
		}
	}
}

// Subjects fall into more buckets than 13 bits have, and no more than 14 have:
// a first character of "q" or later would be the 15th bit.
func TestBuckets(t *testing.T) {
	t.Parallel()
	k := readyKeys(t, "bank", NewKeyring())
	seen := map[string]bool{}
	for i := range 20_000 { // of which some 11,500 differ in 14 bits, 7,500 in 13
		seen[k.newID("", k.subject("", strconv.Itoa(i)), "", "").store()[:bucketLen]] = true
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
	k := readyKeys(t, "bank", ring)
	now := time.Now()
	seen := map[[32]byte]string{}
	add := func(name string, k keys, change func(r *store.Record), purpose, binding string, n int) {
		t.Helper()
		r := &store.Record{Key: k.keyID, Salt: []byte("s"), ID: "id", Subject: "u1", Created: now,
			Expires: now.Add(time.Minute), MaxAttempts: 5}
		if change != nil {
			change(r)
		}
		key, err := k.codeKey(r, purpose, sha256.Sum256([]byte(binding)), n)
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[key]; other != "" {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[key] = name
	}
	add("base", k, nil, "login", "", 0)
	add("number", k, nil, "login", "", 1)
	add("purpose", k, nil, "pay", "", 0)
	add("binding", k, nil, "login", "x", 0)
	add("application", readyKeys(t, "shop", ring), nil, "login", "", 0)
	for name, change := range map[string]func(*store.Record){
		"salt": func(r *store.Record) { r.Salt = []byte("S") }, "id": func(r *store.Record) { r.ID = "iD" },
		"subject":  func(r *store.Record) { r.Subject = "u2" },
		"created":  func(r *store.Record) { r.Created = now.Add(time.Microsecond) },
		"expires":  func(r *store.Record) { r.Expires = r.Expires.Add(time.Microsecond) },
		"new code": func(r *store.Record) { r.NewCode = true },
		"attempts": func(r *store.Record) { r.MaxAttempts++ }, "failures": func(r *store.Record) { r.MaxFailures++ },
		"lock": func(r *store.Record) { r.Lock++ }, "shifted": func(r *store.Record) { r.ID, r.Subject = "idu", "1" },
		"shifted more": func(r *store.Record) { r.Salt, r.ID = []byte("si"), "d" },
	} {
		add(name, k, change, "login", "", 0)
	}
	if _, err := k.codeKey(&store.Record{Key: k.owner + "/k2"}, "", noBinding, 0); err == nil {
		t.Error("an unknown key derives")
	}
}

func TestSealIsBoundToItsRecord(t *testing.T) {
	t.Parallel()
	k := readyKeys(t, "bank", NewKeyring())
	now := time.Now()
	r := store.Record{Key: k.keyID, ID: "id-1", Subject: "u1", Salt: make([]byte, saltLen), Created: now,
		Expires: now.Add(time.Minute)}
	sealed, err := k.seal(&r, []byte("+447912345678"))
	if err != nil {
		t.Fatal(err)
	}
	r.Sealed = sealed
	if plain, err := k.open(&r); err != nil || string(plain) != "+447912345678" {
		t.Fatalf("opened %q, %v", plain, err)
	}
	if bytes.Contains(sealed, []byte("4479")) {
		t.Error("the sealed record is readable")
	}
	for name, change := range map[string]func(*store.Record){
		"id":      func(r *store.Record) { r.ID = "id-2" },
		"salt":    func(r *store.Record) { r.Salt = bytes.Repeat([]byte{1}, saltLen) },
		"subject": func(r *store.Record) { r.Subject = "u2" },
		"created": func(r *store.Record) { r.Created = now.Add(-time.Minute) },
		"expires": func(r *store.Record) { r.Expires = now.Add(time.Hour) },
		"owner":   func(r *store.Record) { r.Key = "another/k1" },
		"sealed":  func(r *store.Record) { r.Sealed = append([]byte{sealed[0] ^ 1}, sealed[1:]...) },
	} {
		changed := r
		change(&changed)
		if _, err := k.open(&changed); err == nil {
			t.Errorf("opened with another %s", name)
		}
	}
}
