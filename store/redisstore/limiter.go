package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Limiter = (*Store)(nil)

// Up to exactMost takings, a limit is exact. Beyond, its log has a cell for
// each hundred-and-twenty-eighth of Per, by which it may refuse longer than it
// need.
const (
	exactMost = 64
	coarsePer = 128
)

// giveBack is how long Take tries to return what it took in vain.
const giveBack = 3 * time.Second

// A counted limit is one that a call counts against, and where it stands among
// those of the call.
type counted struct {
	store.Limit
	key   string
	index int
}

// counted names the windows of limits. Limits of one Key and different Per are
// counted apart.
func (s *Store) counted(ctx context.Context, limits []store.Limit) ([]counted, error) {
	all := make([]counted, len(limits))
	for i, l := range limits {
		if l.Most < 1 || l.Per <= 0 {
			return nil, fmt.Errorf("redisstore: limit %q: Most %d, Per %v", l.Key, l.Most, l.Per)
		}
		all[i] = counted{l, s.prefix + "l" + digest(l.Key+"\x00"+strconv.FormatInt(int64(l.Per), 36)), i}
	}
	return all, ctx.Err()
}

// Take implements store.Limiter. On one server it is one round trip. Limits
// that a Cluster keeps in different slots are taken at one time, and what was
// taken is given back where another refused or could not be asked: until then
// others may be refused.
//
// A taking counts among those of which less than Per lies between, whoever's
// clock they were timed by, as long as these differ by less than Per, and by
// less than a minute.
func (s *Store) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	all, err := s.counted(ctx, limits)
	if err != nil {
		return store.Decision{}, err
	}
	waits := make([]int64, len(all))
	if !s.perSlot.Load() {
		err = s.takeTogether(ctx, micros(now), all, waits)
		s.learnCluster(err)
	}
	if s.perSlot.Load() {
		err = s.takePerSlot(ctx, now, all, waits)
	}
	if err != nil {
		return store.Decision{}, err
	}
	return decide(all, waits), nil
}

// decide sums up how long each limit is to be waited for.
func decide(all []counted, waits []int64) store.Decision {
	d := store.Decision{Allowed: true}
	for _, c := range all {
		if waits[c.index] == 0 {
			continue
		}
		d.Over = append(d.Over, c.index)
		if !c.Shadow {
			d.Allowed = false
			d.RetryAfter = max(d.RetryAfter, time.Duration(waits[c.index])*time.Microsecond)
		}
	}
	return d
}

// learnCluster notes that the server is one of a Cluster, as a client that is not
// go-redis's own does not tell.
func (s *Store) learnCluster(err error) {
	if redis.HasErrorPrefix(errors.Unwrap(err), "CROSSSLOT") {
		s.perSlot.Store(true)
	}
}

// takeTogether takes from all in one script, and fills in how long each has to wait.
func (s *Store) takeTogether(ctx context.Context, now int64, all []counted, waits []int64) error {
	if len(all) == 0 {
		return nil
	}
	keys, args := make([]string, len(all)), append(make([]any, 0, 1+2*len(all)), stamp(now))
	for i, c := range all {
		per, step, shadow := max(c.Per.Microseconds(), 1), int64(0), uint64(0)
		if c.Most > exactMost {
			step = per / coarsePer
		}
		if c.Shadow {
			shadow = 1
		}
		keys[i] = c.key
		at := &limitLayout
		limit := make([]byte, at.Shadow.end())
		at.Most.put(limit, uint64(c.Most))
		at.Per.put(limit, uint64(per))
		at.Step.put(limit, uint64(step))
		at.Shadow.put(limit, shadow)
		args = append(args, limit, lifetime(per+step))
	}
	cmd, err := s.run(ctx, scriptTake, keys, args...)
	if err != nil {
		return err
	}
	answer, err := cmd.Text()
	if err != nil || answer != "" && len(answer) != 8*len(all) {
		return unreadable("limits taken", err)
	}
	p := parser{rest: answer}
	for _, c := range all {
		if answer != "" {
			waits[c.index] = p.int64()
		}
	}
	return nil
}

// byKey returns all in groups of one key.
func byKey(all []counted) [][]counted {
	at := map[string]int{}
	var groups [][]counted
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
func eachKey(groups [][]counted, f func(i int, group []counted) error) error {
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

// takePerSlot takes from each key in a script of its own.
func (s *Store) takePerSlot(ctx context.Context, now time.Time, all []counted, waits []int64) error {
	groups := byKey(all)
	taken := make([]bool, len(groups))
	err := eachKey(groups, func(i int, group []counted) error {
		err := s.takeTogether(ctx, micros(now), group, waits)
		taken[i] = err == nil && decide(group, waits).Allowed
		return err
	})
	if err == nil && decide(all, waits).Allowed {
		return nil
	}
	var back []counted
	for i, group := range groups {
		for _, c := range group {
			if taken[i] && waits[c.index] == 0 {
				back = append(back, c)
			}
		}
	}
	if len(back) > 0 {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBack)
		defer cancel()
		// Not the oldest: who is refused again and again would renew the rest.
		if err := s.givePerSlot(within, now, back, justBefore); err != nil {
			s.logger.WarnContext(ctx, "redisstore: limits not given back", "error", err)
		}
	}
	return err
}

// Give implements store.Limiter. Of the takings that count it gives back the
// oldest: if it was not that one, the limit refuses longer than it need.
func (s *Store) Give(ctx context.Context, now time.Time, limits ...store.Limit) error {
	all, err := s.counted(ctx, limits)
	if err != nil {
		return err
	}
	if !s.perSlot.Load() {
		err = s.giveTogether(ctx, micros(now), all, perBefore)
		s.learnCluster(err)
	}
	if s.perSlot.Load() {
		err = s.givePerSlot(ctx, now, all, perBefore)
	}
	return err
}

// Since when takings are looked at for one to give back: all that count, or
// the call's own and those after it.
func perBefore(now int64, c counted) int64  { return now - max(c.Per.Microseconds(), 1) }
func justBefore(now int64, _ counted) int64 { return now - 1 }

// givePerSlot gives back to each key in a script of its own.
func (s *Store) givePerSlot(ctx context.Context, now time.Time, all []counted, since func(int64, counted) int64) error {
	return eachKey(byKey(all), func(_ int, group []counted) error { return s.giveTogether(ctx, micros(now), group, since) })
}

func (s *Store) giveTogether(ctx context.Context, now int64, all []counted, since func(int64, counted) int64) error {
	if len(all) == 0 {
		return nil
	}
	keys, args := make([]string, len(all)), append(make([]any, 0, 1+len(all)), stamp(now))
	for i, c := range all {
		keys[i] = c.key
		args = append(args, since(now, c))
	}
	_, err := s.run(ctx, scriptGive, keys, args...)
	return err
}
