package pgstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Limiter = (*Store)(nil)

// If Most is exactMost or less, a limit is exact. Otherwise a cell of its log spans a
// hundred-and-twenty-eighth of Per, and the limit may refuse for so much longer than
// it need.
const (
	exactMost = 64
	coarsePer = 128
)

// mostTakings bounds Most, and twice that N, so that sums of takings do not overflow.
const mostTakings = 1 << 48

// limitArgs are limits as the functions take them.
type limitArgs struct {
	locks        []int64 // each once, in order
	ids          []pgtype.UUID
	most         []int64
	per          []int64
	step         []int64
	n            []int64
	shadow, peek []bool
}

// encodeLimits validates limits and names their rows and locks. Limits of one Key and different
// Per are counted apart. The locks of a database are of all its schemas.
func (s *Store) encodeLimits(limits []store.Limit) (limitArgs, error) {
	var a limitArgs
	for _, l := range limits {
		if l.Most < 1 || l.Per <= 0 || l.N < 0 {
			return limitArgs{}, fmt.Errorf("pgstore: limit %q: Most %d, Per %v, N %d", l.Key, l.Most, l.Per, l.N)
		}
		id := digest(l.Key + "\x00" + strconv.FormatInt(int64(l.Per), 36))
		per, step := min(l.Per, longest), time.Duration(0)
		if l.Most > exactMost {
			step = per / coarsePer
		}
		a.locks = append(a.locks, s.locks^first8(id))
		a.ids = append(a.ids, id)
		a.most = append(a.most, min(int64(l.Most), mostTakings))
		a.per = append(a.per, int64(per))
		a.step = append(a.step, int64(step))
		a.n = append(a.n, min(int64(l.Takings()), 2*mostTakings)) // Give may return more than Most
		a.shadow = append(a.shadow, l.Shadow)
		a.peek = append(a.peek, l.Peek)
	}
	slices.SortFunc(a.locks, cmp.Compare)
	a.locks = slices.Compact(a.locks)
	return a, nil
}

func first8(id pgtype.UUID) int64 { return int64(binary.BigEndian.Uint64(id.Bytes[:])) }

// Take implements store.Limiter.
//
// Limits hold across processes if their clocks differ by less than Per.
func (s *Store) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	a, err := s.encodeLimits(limits)
	if err != nil {
		return store.Decision{}, err
	}
	if len(limits) == 0 {
		return store.Decision{Allowed: true}, ctx.Err()
	}
	var waits []int64
	err = s.row(ctx, []any{&waits}, s.sql.take,
		a.locks, a.ids, a.most, a.per, a.step, a.n, a.shadow, a.peek, nanos(now))
	if err != nil {
		return store.Decision{}, err
	}
	s.tidy(ctx, sweepEvery, now)
	return decide(limits, waits), nil
}

// decide sums up how long the call has to wait for each limit.
func decide(limits []store.Limit, waits []int64) store.Decision {
	d := store.Decision{Allowed: true}
	for i, w := range waits {
		if w == 0 {
			continue
		}
		d.Over, d.Waits = append(d.Over, i), append(d.Waits, time.Duration(w))
		if !limits[i].Shadow {
			d.Allowed = false
			d.RetryAfter = max(d.RetryAfter, time.Duration(w))
		}
	}
	return d
}

// Give implements store.Limiter. Up to a Most of 64 it returns the takings of that
// nanosecond; above that, those of the same hundred-and-twenty-eighth of Per.
func (s *Store) Give(ctx context.Context, taken, _ time.Time, limits ...store.Limit) error {
	if _, err := s.encodeLimits(limits); err != nil {
		return err
	}
	a, err := s.encodeLimits(slices.DeleteFunc(slices.Clone(limits), func(l store.Limit) bool { return l.Peek }))
	if err != nil || len(a.ids) == 0 {
		return cmp.Or(err, ctx.Err())
	}
	var at *int64
	if !taken.IsZero() {
		n := nanos(taken)
		at = &n
	}
	_, err = s.exec(ctx, s.sql.give, a.locks, a.ids, a.step, a.n, at)
	return err
}
