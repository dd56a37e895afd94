package pgstore

import "time"

// Pace sets how often a Run that begins sends heartbeats, and looks for jobs that it has not
// heard of.
func (s *Store) Pace(every time.Duration) { s.pace = every }

// SweepAtOnce lets the next call sweep.
func (s *Store) SweepAtOnce() { s.swept.Store(0) }
