// Package memstore keeps challenges, limits, receipts, jobs and credentials in the
// memory of one process. A [Store] is a store.Store, Limiter, Tracker, Queue and
// Credentials.
//
//	mem := memstore.New(memstore.Config{})
//	err := mem.Create(ctx, record, time.Now())
//	// each call draws a token at random
//	record, err = mem.Attempt(ctx, record.ID, token, time.Now())
//	// compare a code, and if it is right:
//	record, err = mem.Finish(ctx, record.ID, store.Verified, token, time.Now())
//
// When the process ends, everything is lost. Credentials must outlive a process, so
// a memstore's are only for tests and demonstrations.
//
// # Errors
//
// A method returns an error of package store, its context's error, or an error that
// names an unusable argument.
//
// # Concurrency
//
// All methods are safe for concurrent use. Challenges, runs of failures, calls of
// CancelAll, limits and receipts are each spread over 64 locks; jobs have one lock,
// and credentials another. No lock is held while a job is handled. Only Run uses
// goroutines. A Store need not be closed.
//
// # Room
//
// No live entry is ever evicted. If a cap of [Config] is reached, expired entries
// make room. If none has expired, the call returns store.ErrFull. An entry that
// expired less than a second ago may not make room yet: a call looks at only a few
// entries of the current second. A usual challenge takes less than 400 bytes, with
// the run of failures of its subject. The newest 1000 dead letters are kept in
// addition to the bounds of Config.
//
// An entry that ends early makes room at once, for example a run of failures when
// its subject is verified, a limit when its last taking is given back, or a job
// when it is done. Later calls collect the expired entries, a few each. So no call
// is slow because of another's garbage, and a store without calls keeps its
// entries.
//
// # Cancelling all
//
// A call of CancelAll takes one entry for its subject and group until the time until,
// however many challenges it cancels. A repeated call takes no other entry. A group may
// have up to 16 octets; Create refuses a longer one.
//
// # Times and names
//
// Times are stored in nanoseconds by the wall clock, from the year 1678 to 2262,
// and returned in UTC. A challenge keeps the names of its subject and group. All
// other entries of subjects, and the entries of groups, limits and receipts, are
// found by 128-bit hashes of their names.
package memstore

import (
	"log/slog"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// Config configures a Store. The zero value is ready to use. A number of 0 or
// less means the default.
type Config struct {
	MaxChallenges int // live challenges, closed or not; default 1 << 20
	MaxSubjects   int // runs of failures, and separately as many entries of CancelAll; default 1 << 22
	MaxLimits     int // limits with takings that count; default 1 << 22
	MaxReceipts   int // keys and parked receipts together, of which half may be parked; default 1 << 20
	MaxJobs       int // unfinished live jobs; default 1 << 20

	MaxCredentials int // subjects with credentials; default 1 << 20

	// JobAttempts is the number of failures in a row after which a job is given up.
	// Default 64, which takes over 30 min.
	JobAttempts int

	Logger *slog.Logger // gets the failed jobs; default slog.DiscardHandler
}

// validate fills in the defaults. Every Config is valid.
func (c *Config) validate() {
	for _, f := range []struct {
		n         *int
		byDefault int
	}{
		{&c.MaxChallenges, 1 << 20},
		{&c.MaxSubjects, 1 << 22},
		{&c.MaxLimits, 1 << 22},
		{&c.MaxReceipts, 1 << 20},
		{&c.MaxJobs, 1 << 20},
		{&c.MaxCredentials, 1 << 20},
		{&c.JobAttempts, worker.Attempts},
	} {
		if *f.n <= 0 {
			*f.n = f.byDefault
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// A Store keeps challenges, limits, receipts, jobs and credentials in memory. Make
// one with New.
type Store struct {
	policies   policies
	challenges *shards[challenge, *challenge]
	runs       *shards[run, *run]
	windows    *shards[window, *window]
	tracked    *shards[trackedKey, *trackedKey]
	parking    room // for parked receipts, part of tracked's room
	queue      *queue
	marks      *shards[mark, *mark]

	credentials credentials
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Limiter = (*Store)(nil)
	_ store.Tracker = (*Store)(nil)
	_ store.Queue   = (*Store)(nil)

	_ store.Inspector = (*Store)(nil)
)

// New returns an empty Store.
func New(cfg Config) *Store {
	cfg.validate()
	s := &Store{
		challenges: newShards[challenge](cfg.MaxChallenges, nil),
		runs:       newShards[run](cfg.MaxSubjects, nil),
		windows:    newShards[window](cfg.MaxLimits, nil),
		marks:      newShards[mark](cfg.MaxSubjects, nil),
		queue:      newQueue(cfg.MaxJobs, cfg.JobAttempts, cfg.Logger),

		credentials: credentials{max: cfg.MaxCredentials, of: map[string][]byte{}},
	}
	s.tracked = newShards(cfg.MaxReceipts, s.release)
	s.parking.max = s.tracked.max / 2
	return s
}
