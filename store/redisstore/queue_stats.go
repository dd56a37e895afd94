package redisstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Stats implements store.Inspector.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	for {
		now := micros(time.Now())
		cmd, err := s.run(ctx, scriptStats, s.queue.keys, now)
		if err != nil {
			return store.Stats{}, err
		}
		v, err := cmd.Int64Slice()
		if err != nil || len(v) != 10 {
			return store.Stats{}, unreadable("stats", err)
		}
		if v[0] >= promotes { // more jobs may be due
			continue
		}
		st := store.Stats{
			High: int(v[1]), Normal: int(v[3]), Low: int(v[5]), Running: int(v[2] + v[4] + v[6]),
			Delayed: int(v[7]), Dead: int(v[9]),
		}
		if v[8] > 0 {
			st.Oldest = max(0, time.Duration(now-v[8])*time.Microsecond)
		}
		return st, nil
	}
}

// Dead implements store.Inspector.
func (s *Store) Dead(ctx context.Context, n int) ([]store.DeadLetter, error) {
	if n <= 0 {
		return nil, ctx.Err()
	}
	cmd, err := s.run(ctx, scriptDead, s.queue.keys, n)
	if err != nil {
		return nil, err
	}
	v, err := cmd.StringSlice()
	if err != nil || len(v)%3 != 0 {
		return nil, unreadable("dead letters", err)
	}
	dead := make([]store.DeadLetter, 0, len(v)/3)
	for ; len(v) > 0; v = v[3:] {
		j, attempts, err := decodeJob(v[0])
		if err != nil {
			return nil, err
		}
		d := store.DeadLetter{Job: j, Attempts: attempts, Reason: store.Failed, At: instant(number(v[2]))}
		if v[1] == endLate {
			d.Reason = store.Late
		}
		dead = append(dead, d)
	}
	return dead, nil
}
