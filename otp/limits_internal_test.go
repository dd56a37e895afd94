package otp

import (
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// TestLimitsOfOneThing: the limits of an address that differ in their span are counts of
// one thing, which a backend keeps together; those of other addresses, kinds and tenants
// are not.
func TestLimitsOfOneThing(t *testing.T) {
	t.Parallel()
	k, err := NewKeyring().application("test")
	if err != nil {
		t.Fatal(err)
	}
	thing := func(tenant, scope, what string, per time.Duration) string {
		name, count, ok := strings.Cut(k.limitKey(tenant, scope, what, per), store.Of)
		if !ok || count != per.String() {
			t.Errorf("the count is %q, want %v", count, per)
		}
		return name
	}
	first := thing("", "email", "ann@example.com", time.Hour)
	if other := thing("", "email", "ann@example.com", 24*time.Hour); other != first {
		t.Errorf("an hour is counted for %s, a day for %s; want one thing", first, other)
	}
	for _, other := range []string{thing("", "email", "bob@example.com", time.Hour),
		thing("", "email/known", "ann@example.com", time.Hour), thing("brand", "email", "ann@example.com", time.Hour)} {
		if other == first {
			t.Errorf("two things have one name, %s", other)
		}
	}
}
