// Package memstore keeps challenges, limits, receipts and jobs in the memory
// of one process: it is a store.Store, Limiter, Tracker and Queue.
package memstore

import (
	"log/slog"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Config configures a Store. The zero value is ready to use.
type Config struct {
	MaxChallenges int          // pending at a time; default 1 << 20
	MaxSubjects   int          // runs of failures remembered at a time; default 1 << 20
	MaxLimits     int          // limits with takings in their span; default 1 << 20
	MaxReceipts   int          // tracked keys and parked receipts together; default 1 << 20
	MaxJobs       int          // jobs, done ones until they expire included; default 1 << 20
	Logger        *slog.Logger // failed and panicked jobs; default: discards
}

const defaultMax = 1 << 20

// A Store is a store.Store, store.Limiter, store.Tracker and store.Queue.
type Store struct {
	cfg Config

	mu     sync.Mutex
	recs   map[string]*store.Record
	runs   map[string]*run
	limits map[limitKey][]time.Time
	tracks map[string]*tracked
	parked int
	seen   map[string]time.Time
	jobs   []*store.Job
	wake   chan struct{}
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Limiter = (*Store)(nil)
	_ store.Tracker = (*Store)(nil)
	_ store.Queue   = (*Store)(nil)
)

// New returns an empty Store.
func New(cfg Config) *Store {
	for _, limit := range []*int{&cfg.MaxChallenges, &cfg.MaxSubjects, &cfg.MaxLimits, &cfg.MaxReceipts, &cfg.MaxJobs} {
		if *limit <= 0 {
			*limit = defaultMax
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Store{
		cfg:    cfg,
		recs:   map[string]*store.Record{},
		runs:   map[string]*run{},
		limits: map[limitKey][]time.Time{},
		tracks: map[string]*tracked{},
		seen:   map[string]time.Time{},
		wake:   make(chan struct{}, 1),
	}
}
