// Package pgstore keeps challenges, limits, receipts, jobs and credentials in PostgreSQL. A
// [Store] is a store.Store, Limiter, Tracker, Queue and Credentials that any number of
// processes share, on one primary.
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
// Each method of Store, Limiter, Tracker and Credentials is one statement and one round trip.
// All that it does is in a function of the schema, which locks a row of its subject, limit or
// key and nothing else. A wrong code writes one row, of its subject; it does not touch the
// challenge.
//
// # Schema
//
// Tables and functions are in a schema of their own, "otpcourier" unless Config.Schema names
// another. [Store.Migrate] makes them and brings them to the program's release. Programs with
// a migration tool apply the SQL of [Migrations] with it instead. Config.DB needs no more
// rights than Migrate says.
//
// # Programs that use database/sql
//
// A program with a *sql.DB of pgx's package stdlib has a pool of its own for the Store: open
// a *pgxpool.Pool with the same address, of four connections and three for each Run. From a
// *sql.Conn of it, Raw gives the *pgx.Conn, for calls in a transaction of the program:
//
//	err := conn.Raw(func(c any) error {
//		within, err := pgstore.New(pgstore.Config{DB: c.(*stdlib.Conn).Conn()})
//		…
//	})
//
// # Transactions
//
// With a pgx.Tx as Config.DB, what the Store does is committed or rolled back with the
// transaction: a program can create its own row and enqueue the message for it in one step.
// Until the transaction ends, calls for the same subject, limit or key wait for it. Never
// roll back an Attempt: its charge would be undone. The isolation level must be READ
// COMMITTED.
//
// # Errors
//
// Apart from the errors of package store, a method returns its context's error, or
// an error that begins with "pgstore: " and wraps pgx's. After such an error the caller must
// refuse the code, and must not send. If the server's disk is full, the error is also
// store.ErrFull.
//
// # Concurrency
//
// With a *pgxpool.Pool all methods are safe for concurrent use. Only Run works in the
// background, and there is nothing to close: the pool is the caller's. Calls of Enqueue that
// come at one time share statements.
//
// # If the server does not answer
//
// A call returns an error when its context ends or Config.Timeout is over. Nothing is kept in
// the process to be sent later. Run goes on when the server is back.
//
// pgx never repeats a statement whose answer was lost. The caller may repeat Attempt and
// Finish with their token, and Create with its salt. An Update that had its effect returns
// store.ErrConflict when it is repeated, and so does a Swap, whose caller loads the value and
// finds its own. CancelAll changes nothing more. A Take that is repeated counts twice, and a
// job whose Enqueue is repeated is two jobs.
//
// # Durability
//
// With synchronous_commit = on, the default, what a call has answered is on disk. With off, a
// crash of the server, though not of a client, undoes the answers of its last moment, up
// to three times wal_writer_delay: 0.6 s by default. It may then have forgotten attempts that
// were charged, failures, takings and jobs, and that a code was accepted: the code may be
// accepted once more until it expires. Nothing becomes inconsistent. In exchange a call does
// not wait for the disk. A program may choose it for the Store alone, by the pool's address:
// "postgres://app@localhost/app?synchronous_commit=off".
//
// # Standbys and failover
//
// All statements go to the primary: the Store never reads from a standby. With asynchronous
// replication a new primary lacks the writes that it had not received, with the effect
// described above; with synchronous_standby_names it lacks none. An address with several
// hosts and target_session_attrs=read-write makes pgx find the new primary.
//
// # PgBouncer and other poolers
//
// Each call is one statement without session state, so pool_mode session, transaction and
// statement all work. In the latter two:
//
//   - Prepared statements need PgBouncer 1.21 or later with max_prepared_statements, or
//     default_query_exec_mode=exec in the pool's address.
//   - Notifications do not pass. Config.Listen opens a connection that goes around the pooler;
//     without it a job begins up to a second late.
//
// [Store.Check] reports both.
//
// # Expired rows
//
// The processes that work remove them: once a second, a Create, Take, Track or Run of a
// process removes up to 500 expired rows of each table, and more often if there are more. Rows
// that another call has locked stay for the next time. There is no job to schedule. Autovacuum
// must be on, as it is by default.
//
// # Time
//
// The clocks of the processes decide what has expired. They should agree to a few seconds.
// Times have nanoseconds. A row is removed a minute or more after it has expired by both the
// process's clock and the server's. The server's clock also tells that a worker is dead.
//
// # If others have access to the server
//
// Anyone with write access can reset counters and keep guessing. Read access shows no code and
// no address: keys are digests, and values are as package store describes them.
package pgstore
