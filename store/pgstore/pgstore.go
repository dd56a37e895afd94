package pgstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store"
)

// A DB runs statements on PostgreSQL. A *pgxpool.Pool is for programs: it is safe for
// concurrent use, and so then is the Store. With a *pgx.Conn or a pgx.Tx the Store is as
// safe as these are: one call at a time.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

var (
	_ DB = (*pgxpool.Pool)(nil)
	_ DB = (*pgx.Conn)(nil)
	_ DB = pgx.Tx(nil)
)

// A Store keeps challenges, limits, receipts, jobs and credentials in PostgreSQL. Make one
// with New.
type Store struct {
	db       DB
	schema   string
	locks    int64 // tells the advisory locks of the schema from those of others
	timeout  time.Duration
	logger   *slog.Logger
	parked   int           // receipts per shard
	attempts int           // of a job
	pace     time.Duration // of heartbeats
	listen   func(context.Context) (*pgx.Conn, error)
	sql      statements
	enqueues *batcher[newJob, struct{}]
	charges  *batcher[charge, *store.Record]
	finishes *batcher[finishing, *store.Record]
	updates  *batcher[updating, *store.Record]
	swept    atomic.Int64 // when the latest sweep began: nanoseconds since 1970
	sweeps   bool
}

// New returns a Store. It does not talk to the server: see [Store.Migrate] and
// [Store.Check].
func New(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Store{
		db: cfg.DB, schema: cfg.Schema, locks: lockNumber(cfg.Schema), timeout: cfg.Timeout, logger: cfg.Logger,
		parked: max((cfg.MaxParked+shards-1)/shards, maxParked), attempts: cfg.JobAttempts,
		pace: heartbeatEvery, listen: cfg.Listen, sql: newStatements(cfg.Schema),
	}
	s.enqueues = &batcher[newJob, struct{}]{
		timeout: s.timeout, patience: s.timeout, maxBatch: maxNewJobs, parallel: 1, send: s.addJobs,
	}
	s.charges, s.finishes, s.updates = shared(s, s.charge), shared(s, s.finish), shared(s, s.update)
	_, inTx := cfg.DB.(pgx.Tx) // a sweep would hold its locks until the transaction ends
	s.sweeps = !inTx
	if pool, ok := cfg.DB.(*pgxpool.Pool); ok && s.listen == nil {
		s.listen = func(ctx context.Context) (*pgx.Conn, error) { return hijack(ctx, pool) }
	}
	return s, nil
}

// How calls on challenges share statements. The more calls one commit serves, the less each waits
// for the disk, and the fewer connections are busy. While the server works for one batch, the process
// reads the answer to the other. If a connection hangs, the next batch goes by another after a tenth
// of Config.Timeout.
const (
	maxShared      = 128
	parallelShared = 2
	sharedPatience = 10
)

// shared returns a batcher for calls that return a record. A single connection runs one statement at a
// time.
func shared[Q any](s *Store, send func(context.Context, []Q) ([]*store.Record, error)) *batcher[Q, *store.Record] {
	parallel := 1
	if _, ok := s.db.(*pgxpool.Pool); ok {
		parallel = parallelShared
	}
	return &batcher[Q, *store.Record]{
		timeout: s.timeout, patience: s.timeout / sharedPatience, maxBatch: maxShared, parallel: parallel, send: send,
	}
}

// hijack takes a connection out of the pool, which may then open another in its place.
func hijack(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Hijack(), nil
}

// within bounds a call by Config.Timeout.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}

// exec runs a statement that returns nothing to read, and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	within, cancel := s.within(ctx)
	defer cancel()
	tag, err := s.db.Exec(within, sql, args...)
	return tag.RowsAffected(), failure(err)
}

// row runs a statement and reads the one row that it returns.
func (s *Store) row(ctx context.Context, into []any, sql string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	within, cancel := s.within(ctx)
	defer cancel()
	return failure(s.db.QueryRow(within, sql, args...).Scan(into...))
}

// SQLSTATEs that failure tells apart.
const (
	diskFull         = "53100"
	undefinedTable   = "42P01"
	undefinedSchema  = "3F000"
	undefinedFunc    = "42883"
	readOnly         = "25006"
	unknownStatement = "26000"
	statementExists  = "42P05"
)

// failure returns the error of a call: store.ErrFull if the server's disk is full.
func failure(err error) error {
	if err == nil {
		return nil
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fmt.Errorf("pgstore: %w", err)
	}
	switch refused.Code {
	case diskFull:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case undefinedTable, undefinedSchema, undefinedFunc:
		return fmt.Errorf("pgstore: the schema is missing or of another release, see Store.Migrate: %w", err)
	case readOnly:
		return fmt.Errorf("pgstore: the server is a standby or read-only: %w", err)
	case unknownStatement, statementExists:
		return fmt.Errorf("pgstore: a pooler changes the connection between two statements: set PgBouncer's "+
			"max_prepared_statements, or pgx's default_query_exec_mode to exec: %w", err)
	}
	return fmt.Errorf("pgstore: %w", err)
}

// digest returns a name for s, of 128 bits.
func digest(s string) pgtype.UUID {
	sum := sha256.Sum256([]byte(s))
	return pgtype.UUID{Bytes: [16]byte(sum[:16]), Valid: true}
}

// inSchema returns text with the names of schema in place of those of the default. The name is in
// quotes: it may be a word of SQL, such as "order".
func inSchema(text, schema string) string {
	return strings.NewReplacer(
		`'`+defaultSchema+`.`, `'`+schema+`.`, // channels
		`"`+defaultSchema+`.`, `"`+schema+`.`,
		defaultSchema, `"`+schema+`"`,
	).Replace(text)
}
