package pgstore

import (
	"context"
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A Migration is a step of the schema. The steps of a release never change. A later release
// adds steps, and the release before it still works after them.
type Migration struct {
	Number int    // from 1, without gaps
	Name   string // of [a-z_]
	SQL    string // statements, to be run in one transaction
}

// Migrations returns all steps of a schema in order, for migration tools. The steps hold
// no transaction statements, and each notes its number in the table migrations. If a tool applies
// them, [Store.Migrate] finds nothing to do. Of the default schema they are the files in the folder
// migrations, for psql.
func Migrations(schema string) ([]Migration, error) {
	if err := checkSchema(schema); err != nil {
		return nil, err
	}
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	var all []Migration
	for i, f := range files {
		text, err := migrationFiles.ReadFile(path.Join("migrations", f.Name()))
		if err != nil {
			return nil, fmt.Errorf("pgstore: %w", err)
		}
		_, name, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".sql"), "_")
		all = append(all, Migration{Number: i + 1, Name: name, SQL: inSchema(string(text), schema)})
	}
	return all, nil
}

// Migrate brings the schema to this release: it applies the missing steps, each in a
// transaction. Processes that start at the same time may all call it. The database's user must
// own the schema or, if there is none, be allowed to create it; the user of the Store needs
// USAGE on the schema, EXECUTE on its functions, and SELECT, INSERT, UPDATE and DELETE on its
// tables.
//
// Steps lock the objects that they create or change. Config.Timeout does not bound them.
func (s *Store) Migrate(ctx context.Context) error {
	all, err := Migrations(s.schema)
	if err != nil {
		return err
	}
	lock := fmt.Sprintf("SELECT pg_advisory_xact_lock(%d);\n", lockNumber(s.schema))
	// If Config.DB is a transaction, it keeps the lock: otherwise another process might apply a step
	// after this one has read the version.
	if _, err := s.db.Exec(ctx, lock); err != nil {
		return failure(err)
	}
	for {
		version, err := s.version(ctx)
		if err != nil {
			return err
		}
		if version >= len(all) {
			return nil
		}
		next := all[version]
		_, failed := s.db.Exec(ctx, lock+next.SQL)
		if failed == nil {
			continue
		}
		// Another process may have applied the step meanwhile.
		if now, err := s.version(ctx); err != nil || now == version {
			return fmt.Errorf("pgstore: migration %d, %s: %w", next.Number, next.Name, failed)
		}
	}
}

// version returns the number of the latest applied step; 0: none.
func (s *Store) version(ctx context.Context) (int, error) {
	var there bool
	table := inSchema("otpcourier.migrations", s.schema)
	if err := s.row(ctx, []any{&there}, "SELECT to_regclass($1::text) IS NOT NULL", table); err != nil || !there {
		return 0, err
	}
	var n int
	err := s.row(ctx, []any{&n}, "SELECT coalesce(max(number), 0) FROM "+table)
	return n, err
}

// lockNumber returns the advisory lock under which a schema is migrated.
func lockNumber(schema string) int64 { return first8(digest("pgstore migrations of " + schema)) }
