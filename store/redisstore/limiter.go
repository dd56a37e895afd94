package redisstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

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

// mostNonces is how many calls a string of windows remembers, to know a repeated call.
const mostNonces = 8

// beginning is how much scriptTake reads of a string of windows: all of a few exact
// ones, and of others what it mostly needs.
const beginning = 320

// mostWindows is how many windows a string has at most: their lastFields and the nonces
// are in its beginning.
const mostWindows = 12

// The flags of limitFields.
const (
	limitShadow = 1 << 0
	limitPeek   = 1 << 1
)

// giveBack bounds how long a refused Take refunds its takings in other slots.
const giveBack = 3 * time.Second

// A countedLimit is a limit of a call.
type countedLimit struct {
	store.Limit
	key   string // of the string that has its window
	tag   uint32 // of its window, see windowFields
	index int    // in the call's limits
}

// per returns Per in microseconds.
func (c countedLimit) per() int64 { return min(max(c.Per.Microseconds(), 1), longestPer) }

// longestPer is the longest Per, of over four years: spanFields hold twice as much.
const longestPer = 1<<47 - 1

// step returns how long a cell of the limit's log is, in microseconds; 0: the log is
// exact.
func (c countedLimit) step() int64 {
	if c.Most > exactMost {
		return c.per() / coarsePer
	}
	return 0
}

// countedLimits validates limits and names their windows. Limits of one Key and
// different Per are counted apart.
func (s *Store) countedLimits(ctx context.Context, limits []store.Limit) ([]countedLimit, error) {
	all := make([]countedLimit, len(limits))
	name := make([]byte, 0, 96)
	for i, l := range limits {
		if l.Most < 1 || l.Per <= 0 || l.N < 0 {
			return nil, fmt.Errorf("redisstore: limit %q: Most %d, Per %v, N %d", l.Key, l.Most, l.Per, l.N)
		}
		name = append(append(name[:0], l.Key...), 0)
		name = strconv.AppendInt(name, int64(l.Per), 36)
		all[i] = countedLimit{Limit: l, tag: crc32.ChecksumIEEE(name), index: i}
		thing := strings.Index(l.Key, store.Of)
		switch {
		case thing < 0:
			all[i].key = s.windowsKey(name)
		case i > 0 && strings.HasPrefix(limits[i-1].Key, l.Key[:thing+len(store.Of)]): // nearly always of one thing
			all[i].key = all[i-1].key
		default:
			all[i].key = s.windowsKey(name[:thing])
		}
	}
	return all, ctx.Err()
}

// windowsKey returns the key of a string of windows.
func (s *Store) windowsKey(name []byte) string {
	key := append(make([]byte, 0, 64), s.prefix...)
	return string(appendDigest(append(key, 'w'), name))
}

// Take implements store.Limiter. On one server it is one round trip. On a Cluster
// Take sends one script to each slot, all at one time. If a limit refuses, or a slot
// cannot be reached, Take gives back what the other slots granted; until then other
// calls may be refused.
//
// Limits hold across processes if their clocks differ by less than Per, and by less
// than a minute.
func (s *Store) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	all, err := s.countedLimits(ctx, limits)
	if err != nil {
		return store.Decision{}, err
	}
	waits := make([]int64, len(all))
	if !s.clustered.Load() {
		err = s.takeTogether(ctx, micros(now), all, waits)
		s.learnCluster(err)
	}
	if s.clustered.Load() {
		err = s.takePerKey(ctx, now, all, waits)
	}
	if err != nil {
		return store.Decision{}, err
	}
	return decide(all, waits), nil
}

// decide sums up how long the call has to wait for each limit.
func decide(all []countedLimit, waits []int64) store.Decision {
	d := store.Decision{Allowed: true}
	for _, c := range all {
		if waits[c.index] == 0 {
			continue
		}
		wait := time.Duration(waits[c.index]) * time.Microsecond
		d.Over, d.Waits = append(d.Over, c.index), append(d.Waits, wait)
		if !c.Shadow {
			d.Allowed = false
			d.RetryAfter = max(d.RetryAfter, wait)
		}
	}
	return d
}

// learnCluster notes that the server is one of a Cluster, as a client that is not
// go-redis's own does not tell.
func (s *Store) learnCluster(err error) {
	if redis.HasErrorPrefix(errors.Unwrap(err), "CROSSSLOT") {
		s.clustered.Store(true)
	}
}

// takeTogether takes from all limits in one script, and fills in how long the call has
// to wait for each.
func (s *Store) takeTogether(ctx context.Context, now int64, all []countedLimit, waits []int64) error {
	if len(all) == 0 {
		return nil
	}
	keys, args := encodeLimits(now, all)
	answer, err := s.text(ctx, scriptTake, keys, args...)
	if err != nil || answer == "" {
		return err
	}
	return readWaits(answer, all, waits)
}

// readWaits fills in how long the call has to wait for each limit.
func readWaits(answer string, all []countedLimit, waits []int64) error {
	if len(answer) != 8*len(all) {
		return unreadable("limits taken", nil)
	}
	p := parser{rest: answer}
	for _, c := range all {
		waits[c.index] = p.int64()
	}
	return nil
}

// byKey returns all in groups of one key.
func byKey(all []countedLimit) [][]countedLimit {
	at := map[string]int{}
	var groups [][]countedLimit
	for _, c := range all {
		i, ok := at[c.key]
		if !ok {
			i = len(groups)
			at[c.key], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// eachKey calls f with each group at one time and returns the first error.
func eachKey(groups [][]countedLimit, f func(i int, group []countedLimit) error) error {
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups[min(1, len(groups)):] {
		wg.Go(func() { errs[i+1] = f(i+1, g) })
	}
	if len(groups) > 0 {
		errs[0] = f(0, groups[0])
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// takePerKey takes from each key in a script of its own.
func (s *Store) takePerKey(ctx context.Context, now time.Time, all []countedLimit, waits []int64) error {
	groups := byKey(all)
	taken := make([]bool, len(groups))
	err := eachKey(groups, func(i int, group []countedLimit) error {
		err := s.takeTogether(ctx, micros(now), group, waits)
		taken[i] = err == nil && decide(group, waits).Allowed
		return err
	})
	if err == nil && decide(all, waits).Allowed {
		return nil
	}
	var back []countedLimit
	for i, group := range groups {
		for _, c := range group {
			if taken[i] && waits[c.index] == 0 && !c.Peek {
				back = append(back, c)
			}
		}
	}
	if len(back) > 0 {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBack)
		defer cancel()
		if err := s.givePerKey(within, now, back); err != nil {
			s.logger.WarnContext(ctx, "redisstore: limits not given back", "error", err)
		}
	}
	return err
}

// Give implements store.Limiter. Up to a Most of 64 it returns the takings of that
// microsecond; above that, those of the same hundred-and-twenty-eighth of Per.
func (s *Store) Give(ctx context.Context, taken, _ time.Time, limits ...store.Limit) error {
	all, err := s.countedLimits(ctx, limits)
	if err != nil {
		return err
	}
	if !s.clustered.Load() {
		err = s.giveTogether(ctx, takenAt(taken), all)
		s.learnCluster(err)
	}
	if s.clustered.Load() {
		err = s.givePerKey(ctx, taken, all)
	}
	return err
}

// takenAt is the time of a Give as its script reads it; 0: the latest takings.
func takenAt(taken time.Time) int64 {
	if taken.IsZero() {
		return 0
	}
	return micros(taken)
}

// givePerKey gives back to each key in a script of its own.
func (s *Store) givePerKey(ctx context.Context, taken time.Time, all []countedLimit) error {
	return eachKey(byKey(all), func(_ int, group []countedLimit) error {
		return s.giveTogether(ctx, takenAt(taken), group)
	})
}

// giveTogether gives back to all limits in one script.
func (s *Store) giveTogether(ctx context.Context, taken int64, all []countedLimit) error {
	if len(all) == 0 {
		return nil
	}
	keys, args := encodeLimits(taken, all)
	_, err := s.run(ctx, scriptGive, keys, args...)
	return err
}
