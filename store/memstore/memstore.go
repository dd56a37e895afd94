// Package memstore keeps challenges, limits, receipts and jobs in the memory
// of one process: a [Store] is a store.Store, Limiter, Tracker and Queue.
//
//	mem := memstore.New(memstore.Config{})
//	err := mem.Create(ctx, record, time.Now())
//	record, err = mem.Attempt(ctx, record.ID, time.Now())
//	// compare a code, and if it is right:
//	record, err = mem.Finish(ctx, record.ID, store.Verified, time.Now())
//
// All is lost when the process ends.
//
// # Room
//
// No live entry is ever evicted. At a cap of [Config], what has expired makes
// room, and if nothing has, the answer is store.ErrFull. What expired less
// than a second ago may not make room yet: a refusal looks only at a few of
// what expires in the same second. A usual challenge
// takes less than 400 bytes, the run of failures of its subject included.
//
// Entries that have expired are collected by the calls that come after, by the
// time that these bring, a few each; so there is no goroutine but those of Run
// and nothing to close, a call takes long for no other's sake, and a store
// that nobody calls keeps what it has.
//
// The newest 1000 dead letters of jobs are kept beside what Config bounds.
//
// # Times and names
//
// Times are kept to the nanosecond by the wall clock, from the year 1678 to
// 2262, and returned in UTC. Names of subjects, limits, receipts' keys and jobs
// are kept as hashes of 128 bits.
//
// # Errors
//
// Beside the errors of package store, a method returns its context's error, or
// says what in its arguments cannot be kept.
//
// # Concurrency
//
// Challenges, subjects, limits and receipts are each spread over 64 locks,
// jobs have one. No lock is held while a job is handled.
package memstore

import (
	"log/slog"

	"github.com/otpcourier/otpcourier/store"
)

// Config configures a Store. The zero value is ready to use. Numbers of 0 or
// less mean the default.
type Config struct {
	MaxChallenges int          // challenges, closed ones until they expire included; default 1 << 20
	MaxSubjects   int          // runs of failures; default 1 << 22
	MaxLimits     int          // limits of which takings count; default 1 << 22
	MaxReceipts   int          // keys and parked receipts together; at most half for parking; default 1 << 20
	MaxJobs       int          // jobs, done ones until they expire included; default 1 << 20
	JobAttempts   int          // how often a job whose handler fails is handed out; default 64, which last over 30 min
	Logger        *slog.Logger // failed jobs; default: discards
}

// A Store keeps all in memory. Make one with New.
type Store struct {
	policies   policies
	challenges *shards[challenge, *challenge]
	runs       *shards[run, *run]
	windows    *shards[window, *window]
	threads    *shards[thread, *thread]
	parking    room // of that of threads
	queue      *queue
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
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		challenges: newShards[challenge](orDefault(cfg.MaxChallenges, 1<<20), nil),
		runs:       newShards[run](orDefault(cfg.MaxSubjects, 1<<22), nil),
		windows:    newShards[window](orDefault(cfg.MaxLimits, 1<<22), nil),
		queue:      newQueue(orDefault(cfg.MaxJobs, 1<<20), orDefault(cfg.JobAttempts, jobAttempts), cfg.Logger),
	}
	s.threads = newShards(orDefault(cfg.MaxReceipts, 1<<20), s.leave)
	s.parking.max = s.threads.max / 2
	for i := range s.runs.shard {
		s.runs.shard[i].wheel.look = runLook
	}
	return s
}

func orDefault(n, byDefault int) int {
	if n <= 0 {
		return byDefault
	}
	return n
}
