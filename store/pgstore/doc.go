// Package pgstore keeps challenges, limits, receipts, jobs and credentials in PostgreSQL. A
// [Store] is a store.Store, Opener, Limiter, Tracker, Queue and Credentials. Any number of processes
// may share it, on one primary.
//
//	pool, err := pgxpool.New(ctx, "postgres://app@localhost/app")
//	shared, err := pgstore.New(pgstore.Config{DB: pool})
//	err = shared.Migrate(ctx)          // or by your migration tool, see Migrations
//	warnings, err := shared.Check(ctx) // at the start: does this server keep its data?
//	err = shared.Create(ctx, record, time.Now())
//	record, err = shared.Attempt(ctx, record.ID, token, time.Now())
//	// compare the code, and if it is right:
//	record, err = shared.Finish(ctx, record.ID, store.Verified, token, time.Now())
//
// The server must be PostgreSQL 14 or later, with PL/pgSQL, which every database has unless
// its owner dropped it. The client is github.com/jackc/pgx/v5.
//
// Each method of Store, Limiter, Opener, Tracker and Credentials is one statement and one round trip,
// and locks only a row of its subject, limit or key. A wrong code writes one row, of its
// subject, and none of the challenge. Four methods take a second statement if something speaks
// against the call: a Create, an Attempt or a Finish that is refused or repeated, an Attempt that
// locks the subject, a Finish while another challenge of the subject is closed and has not expired, an
// Update that is refused or whose challenge is closed, and each of them after a CancelAll.
//
// # Schema
//
// Tables and functions are in a schema of their own, "otpcourier" unless Config.Schema names
// another. [Store.Migrate] makes them and brings them to the program's release. A program with
// a migration tool may apply the SQL of [Migrations] instead. The comment of Migrate lists the
// rights that Config.DB needs.
//
// # Programs that use database/sql
//
// A program with a *sql.DB of pgx's package stdlib should open a *pgxpool.Pool for the Store,
// with the same address, of four connections and three more for each Run. For calls in a
// transaction of the program, Raw of a *sql.Conn gives the *pgx.Conn:
//
//	err := conn.Raw(func(c any) error {
//		within, err := pgstore.New(pgstore.Config{DB: c.(*stdlib.Conn).Conn()})
//		…
//	})
//
// # Transactions
//
// With a pgx.Tx as Config.DB, the Store's changes are committed or rolled back with the
// transaction. So a program can create its own row and enqueue the message for it in one
// step. Until the transaction ends, calls for the same subject, limit or key wait for it. An
// Attempt must not be rolled back, since that would undo its charge. The isolation level must
// be READ COMMITTED.
//
// # Errors
//
// A method returns an error of package store, its context's error, or an error that begins
// with "pgstore: " and wraps pgx's. After any error but those of package store, the caller
// must refuse the code, and must not send.
//
// # Concurrency
//
// With a *pgxpool.Pool all methods are safe for concurrent use. Only Run works in the
// background. A Store need not be closed: the caller closes the pool. Calls of Attempt at
// the same time share statements, and so do calls of Finish as Verified, of Update, and of Enqueue:
// one commit serves up to 128 calls, or 256 of Enqueue. Of each kind but Enqueue two statements may be
// under way at one time. If one hangs for a tenth of Config.Timeout, the next calls do not wait for it.
//
// # Operation
//
// The page OPERATING.md in this package's folder is about outages, durability, standbys,
// poolers such as PgBouncer, and expired rows. Call [Store.Check] at the start of a
// program: it warns of settings that lose data or make jobs late.
//
// The clocks of the processes decide when a row expires, and the server's clock decides
// when a worker is dead. The clocks should agree to a few seconds. Times have nanoseconds.
package pgstore
