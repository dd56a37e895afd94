package memstore_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestSpansApart checks that one Key with different spans is counted apart.
func TestSpansApart(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	minute := store.Limit{Key: "k", Most: 1, Per: time.Minute}
	hour := store.Limit{Key: "k", Most: 2, Per: time.Hour}
	now := benchStart
	for i := range 3 {
		d, err := s.Take(t.Context(), now, minute, hour)
		if err != nil || d.Allowed != (i < 2) {
			t.Fatalf("taking %d: %+v, error %v", i+1, d, err)
		}
		now = now.Add(time.Minute)
	}
}

// TestCoarseLimit checks how early a limit that is too high for an exact log
// refuses: by less than a hundredth of its span.
func TestCoarseLimit(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	l := store.Limit{Key: "k", Most: 1000, Per: 1000 * time.Second}
	allowed := 0
	for i := range 10_000 {
		d, err := s.Take(t.Context(), benchStart.Add(time.Duration(i)*500*time.Millisecond), l)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed {
			allowed++
		}
	}
	if allowed < 4950 || allowed > 5000 { // 1000 in each of 5 spans
		t.Errorf("%d takings were allowed in 5000s, want 5000 or little less", allowed)
	}
}
