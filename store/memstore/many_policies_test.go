package memstore_test

import (
	"testing"

	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestManyPolicies checks records whose policies are too many to be shared.
func TestManyPolicies(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	for round := range 2 {
		for n := range 200 {
			r := usual(uint64(round*200+n), benchStart)
			r.MaxAttempts = 1 + n
			if err := s.Create(t.Context(), r, benchStart); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Get(t.Context(), r.ID, benchStart); err != nil || got.MaxAttempts != 1+n {
				t.Fatalf("Get: %v, error %v, want MaxAttempts %d", got, err, 1+n)
			}
		}
	}
}
