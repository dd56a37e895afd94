package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
)

// minVersion is the oldest server that the functions run on.
const minVersion = 140000

// Check looks at the server and at the poolers before it. A program should call it at its
// start, after [Store.Migrate] if the program calls that.
//
// It returns an error if the Store cannot work: the server does not answer, is a standby or
// read-only, is older than 14, or lacks the schema of this release; the user lacks rights on its
// tables; or a pooler loses prepared statements. It returns a warning, and logs it, for each
// setting that would lose stored data or make jobs late:
//
//   - fsync or full_page_writes is off, or synchronous_commit
//   - autovacuum is off
//   - transactions are not READ COMMITTED
//   - notifications do not arrive, as behind a pooler that gives a connection to a client
//     for one transaction only: see Config.Listen
func (s *Store) Check(ctx context.Context) (warnings []string, err error) {
	var version int
	var standby bool
	var set settings
	err = s.row(ctx, []any{&version, &standby, &set.readOnly, &set.fsync, &set.pages, &set.commit, &set.vacuum,
		&set.isolation}, `SELECT current_setting('server_version_num')::integer, pg_is_in_recovery(),
		current_setting('default_transaction_read_only'), current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('autovacuum'),
		current_setting('default_transaction_isolation')`)
	switch {
	case err != nil:
		return nil, err
	case version < minVersion:
		return nil, fmt.Errorf("pgstore: the server is of version %d; the Store needs 14 or later", version/10000)
	case standby:
		return nil, errors.New("pgstore: the server is a standby: the Store needs the primary")
	case set.readOnly != "off":
		return nil, errors.New("pgstore: default_transaction_read_only is on")
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	if err := cmp.Or(s.checkRights(ctx), s.checkStatements(ctx)); err != nil {
		return nil, err
	}
	warnings = set.risks()
	if s.listen != nil && !s.hearsItself(ctx) {
		warnings = append(warnings, "notifications do not arrive: jobs begin up to a second late; behind a pooler, "+
			"set Config.Listen to open a connection that goes around it")
	}
	for _, w := range warnings {
		s.logger.WarnContext(ctx, "pgstore: "+w)
	}
	return warnings, ctx.Err()
}

// settings are the server's settings that Check reads.
type settings struct{ readOnly, fsync, pages, commit, vacuum, isolation string }

func (s settings) risks() (warnings []string) {
	add := func(risk bool, warning string) {
		if risk {
			warnings = append(warnings, warning)
		}
	}
	add(s.fsync == "off" || s.pages == "off", "fsync or full_page_writes is off: "+
		"a power failure may destroy the database")
	add(s.commit == "off", "synchronous_commit is off: a crash of the server forgets attempts, failures, takings and "+
		"jobs of its last moment, and which codes were used then")
	add(s.vacuum == "off", "autovacuum is off: the tables grow without end")
	add(s.isolation != "read committed", "default_transaction_isolation is "+s.isolation+
		": calls fail where they meet; set it to read committed")
	return warnings
}

// checkSchema returns an error if steps of the schema are missing.
func (s *Store) checkSchema(ctx context.Context) error {
	all, err := Migrations(s.schema)
	if err != nil {
		return err
	}
	version, err := s.version(ctx)
	switch {
	case err != nil:
		return err
	case version == 0:
		return fmt.Errorf("pgstore: schema %s is missing: call Store.Migrate, or apply Migrations", s.schema)
	case version < len(all):
		return fmt.Errorf("pgstore: schema %s is at step %d of %d: call Store.Migrate, or apply Migrations", s.schema,
			version, len(all))
	}
	return nil
}

// checkRights returns an error if the user of the Store lacks a right that it needs.
func (s *Store) checkRights(ctx context.Context) error {
	var missing string
	err := s.row(ctx, []any{&missing}, `SELECT coalesce(string_agg(p || ' on ' || c.relname, ', '), '')
		FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
		WHERE c.relnamespace = to_regnamespace($1::text) AND c.relname = ANY ($2::text[])
		AND NOT has_table_privilege(c.oid, p)`, `"`+s.schema+`"`,
		[]string{"challenges", "subjects", "limits", "receipts", "credentials", "jobs", "dead_letters"})
	if err == nil && missing != "" {
		err = fmt.Errorf("pgstore: the user lacks rights in schema %s: %s; see Store.Migrate", s.schema, missing)
	}
	return err
}

// How Check looks for a pooler that loses prepared statements: by calls at one time, of which half run
// another statement than the others.
const (
	checkCalls  = 8
	checkRounds = 60
)

// checkStatements returns an error if a pooler gives statements to connections that do not
// know them, or know another by that name.
func (s *Store) checkStatements(ctx context.Context) error {
	if s.pool == nil {
		return nil
	}
	within, cancel := s.within(ctx)
	defer cancel()
	errs := make([]error, checkCalls)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for round := 0; round < checkRounds && errs[i] == nil; round++ {
				if (i+round)%2 == 0 {
					_, errs[i] = s.pool.Exec(within, s.sql.get, digest("no challenge"), int64(0))
				} else {
					_, errs[i] = s.pool.Exec(within, s.sql.load, subjectDigest("nobody"))
				}
			}
		})
	}
	wg.Wait()
	return failure(cmp.Or(errs...))
}

// hearsItself reports whether a notification of the Store reaches the connection on which
// it listens.
func (s *Store) hearsItself(ctx context.Context) bool {
	within, cancel := s.within(ctx)
	defer cancel()
	times := 0
	_ = s.hear(within, func() {
		if times++; times == 1 {
			_, _ = s.exec(within, inSchema("SELECT otpcourier.wake()", s.schema))
		} else {
			cancel()
		}
	})
	return times > 1
}
