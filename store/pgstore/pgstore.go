package pgstore

import (
	"context"
	"crypto/sha256"
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
	pool     *pgxpool.Pool // nil: db is none
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
	s.pool, _ = cfg.DB.(*pgxpool.Pool)
	s.enqueues = &batcher[newJob, struct{}]{
		timeout: s.timeout, patience: s.timeout, maxBatch: maxNewJobs, parallel: 1, send: s.addJobs,
	}
	s.charges, s.finishes, s.updates = shared(s, s.charge), shared(s, s.finish), shared(s, s.update)
	_, inTx := cfg.DB.(pgx.Tx) // a sweep would hold its locks until the transaction ends
	s.sweeps = !inTx
	if s.pool != nil && s.listen == nil {
		s.listen = func(ctx context.Context) (*pgx.Conn, error) { return hijack(ctx, s.pool) }
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
	if s.pool != nil {
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
