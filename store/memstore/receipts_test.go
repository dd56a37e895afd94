package memstore_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestAnothersReceipts checks that a message does not get another's receipts.
func TestAnothersReceipts(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	expires := benchStart.Add(time.Hour)
	if _, err := s.Match(t.Context(), "route/1", []byte("delivered"), expires, benchStart); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		message string
		want    int
	}{{"first", 1}, {"second", 0}, {"first", 1}} {
		early, err := s.Track(t.Context(), "route/1", c.message, expires, benchStart)
		if err != nil || len(early) != c.want {
			t.Errorf("Track of %s: %q, error %v, want %d receipts", c.message, early, err, c.want)
		}
	}
}
