package pgstore_test

import (
	"fmt"
	"strings"

	"github.com/otpcourier/otpcourier/store/pgstore"
)

// A program with a migration tool writes the steps of the schema as files of the tool.
// Store.Migrate then finds nothing to do.
func ExampleMigrations() {
	steps, err := pgstore.Migrations("otpcourier")
	if err != nil {
		panic(err)
	}
	first := steps[0]
	fmt.Printf("%04d_otpcourier_%s.sql has SQL: %t\n", first.Number, first.Name,
		strings.Contains(first.SQL, "CREATE TABLE"))
	// Output: 0001_otpcourier_challenges.sql has SQL: true
}
