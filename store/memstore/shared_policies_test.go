package memstore

import (
	"fmt"
	"testing"

	"github.com/otpcourier/otpcourier/store"
)

// TestPoliciesAreShared checks that records share a policy, however many keys
// there have been.
func TestPoliciesAreShared(t *testing.T) {
	t.Parallel()
	var ps policies
	for i := range 3*maxPolicies + 1 {
		r := &store.Record{Key: fmt.Sprint("k", i)}
		first := ps.of(r)
		if second := ps.of(r); second != first || first.key != r.Key {
			t.Fatalf("records of key %d have two policies, of %s and %s", i, first.key, second.key)
		}
		if n := len(*ps.list.Load()); n > maxPolicies {
			t.Fatalf("%d policies are looked through, want at most %d", n, maxPolicies)
		}
	}
}

// FuzzPack checks that what is packed comes back, and that a new delivery
// leaves the rest.
func FuzzPack(f *testing.F) {
	f.Add("subject", "salt", "sealed", "delivery", "later")
	f.Add("", "", "", "", "")
	f.Add(string(make([]byte, 127)), string(make([]byte, 128)), string(make([]byte, 20_000)), "\x80", "\xff")
	f.Fuzz(func(t *testing.T, subject, salt, sealed, delivery, later string) {
		c := challenge{blob: pack(subject, "group", []byte(salt), []byte(sealed), []byte(delivery)), policy: &policy{}}
		for _, delivery := range []string{delivery, later} {
			r := c.record("id", 0)
			if r.Subject != subject || r.Group != "group" || string(r.Salt) != salt || string(r.Sealed) != sealed ||
				string(r.Delivery) != delivery {
				t.Fatalf("%q, %q, %q, %q came back as %q, %q, %q, %q",
					subject, salt, sealed, delivery, r.Subject, r.Salt, r.Sealed, r.Delivery)
			}
			c.setDelivery([]byte(later))
		}
	})
}
