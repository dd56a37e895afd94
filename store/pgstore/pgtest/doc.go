// Package pgtest runs real PostgreSQL servers for tests and examples, as
// net/http/httptest runs HTTP servers: on a Unix socket in a directory of their own, and
// until the test ends.
//
//	server := pgtest.Start(t)                      // a server of this test
//	pool, err := pgxpool.New(ctx, server.URL())
//
//	server := pgtest.Shared(t)                     // one for all tests of the process
//	store := pgstore.New(pgstore.Config{DB: pool, Schema: pgtest.Schema()})
//
//	bouncer := pgtest.StartBouncer(t, server, "pool_mode = transaction")
//	pool, err := pgxpool.New(ctx, bouncer.URL())
//
// A [Server] can be killed, restarted where it was, and paused. As to start one takes a
// second, tests that do none of that share one, and have a schema each. The TestMain of
// their package ends it by [StopShared].
//
// # Missing servers
//
// The servers are Debian's /usr/lib/postgresql/*/bin/postgres, the newest, or the postgres
// of the PATH, and the pgbouncer of the PATH. If there is none, the test is skipped. If
// there is none and the environment variable OTPCOURIER_REAL is "require", the test fails.
// The servers refuse to run as root: a test that does runs them as the user postgres.
//
// # Errors and concurrency
//
// A method that fails without returning an error fails the test. All methods are safe
// for concurrent use. On Linux the servers die with the test's process, however the
// process ends. On other systems they outlive a killed process.
package pgtest
