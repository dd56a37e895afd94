package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var (
	_ store.Queue     = (*Store)(nil)
	_ store.Inspector = (*Store)(nil)
)

// How Run keeps time. Each Run sends a heartbeat for the jobs that it has, and looks
// for jobs, whether it has heard of any or not. If a job had no heartbeat for staleAfter, it
// is given to another Run: within 5 s after a process died its jobs are due again, and a
// process may miss two heartbeats.
const (
	heartbeatEvery = time.Second
	staleAfter     = 3500 * time.Millisecond
)

// deadLetters is how many of them are kept, and deadLife for how long.
const (
	deadLetters = 1000
	deadLife    = 24 * time.Hour
)

// rank is a priority in the tables: 0 for High, 1, 2 for Low.
func rank(p store.Priority) int16 { return int16(store.High - p) }

// maxNewJobs bounds the jobs that one statement adds.
const maxNewJobs = 256

// A newJob is a job as it is added.
type newJob struct {
	store.Job
	due int64
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case j.Challenge == "" || j.Expires.IsZero():
		return errors.New("pgstore: job without Challenge or Expires")
	case !j.Priority.Valid():
		return fmt.Errorf("pgstore: job of priority %d", j.Priority)
	}
	due := max(nanos(j.NotBefore), nanos(time.Now()))
	if due >= nanos(j.Expires) {
		return nil
	}
	_, err := s.enqueues.ask(ctx, newJob{j, due})
	if err == nil {
		s.tidy(ctx, sweepEvery, time.Now())
	}
	return err
}

// addJobs adds a batch. The answers mean nothing.
func (s *Store) addJobs(ctx context.Context, batch []newJob) ([]struct{}, error) {
	n := len(batch)
	ranks, challenges := make([]int16, n), make([][]byte, n)
	due, expires, notBefore := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, j := range batch {
		ranks[i], challenges[i] = rank(j.Priority), octets(j.Challenge)
		due[i], expires[i] = j.due, nanos(j.Expires)
		if !j.NotBefore.IsZero() {
			notBefore[i] = nanos(j.NotBefore)
		}
	}
	_, err := s.exec(ctx, s.sql.enqueue, ranks, due, expires, notBefore, challenges, nanos(time.Now()))
	return make([]struct{}, n), err
}

// Stats implements store.Inspector. It reads all jobs.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	var st store.Stats
	var first int64
	now := nanos(time.Now())
	err := s.row(ctx, []any{&st.High, &st.Normal, &st.Low, &st.Delayed, &st.Running, &first, &st.Dead},
		s.sql.stats, now, now-int64(deadLife))
	if err != nil {
		return store.Stats{}, err
	}
	if first > 0 {
		st.Oldest = max(0, time.Duration(now-first))
	}
	return st, nil
}

// Dead implements store.Inspector.
func (s *Store) Dead(ctx context.Context, n int) ([]store.DeadLetter, error) {
	if err := ctx.Err(); n <= 0 || err != nil {
		return nil, err
	}
	within, cancel := s.within(ctx)
	defer cancel()
	var dead []store.DeadLetter
	err := s.on(within, func(ctx context.Context, db DB) error {
		dead = nil
		rows, err := db.Query(ctx, s.sql.dead, nanos(time.Now())-int64(deadLife), int64(min(n, deadLetters)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d store.DeadLetter
			var challenge []byte
			var priority, reason int16
			var notBefore, expires, at int64
			if err := rows.Scan(&challenge, &priority, &notBefore, &expires, &d.Attempts, &reason, &at); err != nil {
				return err
			}
			d.Job = jobOf(challenge, priority, notBefore, expires)
			d.Reason, d.At = store.Reason(reason), instant(at)
			dead = append(dead, d)
		}
		return rows.Err()
	})
	return dead, err
}

// jobOf returns a job from its columns.
func jobOf(challenge []byte, priority int16, notBefore, expires int64) store.Job {
	return store.Job{
		Challenge: string(challenge), Priority: store.High - store.Priority(priority),
		NotBefore: instant(notBefore), Expires: instant(expires),
	}
}
