package pgstore

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store"
)

// TestLocksOfSchemas: calls for one limit in two schemas of a database do not wait for each other.
func TestLocksOfSchemas(t *testing.T) {
	t.Parallel()
	seen := map[int64]string{}
	for _, schema := range []string{"shop", "bank"} {
		s, err := New(Config{DB: &pgxpool.Pool{}, Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.encodeLimits([]store.Limit{{Key: "ip/1", Most: 1, Per: time.Hour}})
		if err != nil || len(a.locks) != 1 {
			t.Fatalf("%+v, error %v", a, err)
		}
		if before := seen[a.locks[0]]; before != "" {
			t.Errorf("schemas %s and %s have one lock", before, schema)
		}
		seen[a.locks[0]] = schema
	}
}
