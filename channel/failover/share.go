package failover

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
)

// Shared holds the evidence that processes exchange: a value for each region, of at most
// 4096 printable ASCII characters, that stays until it is replaced. Every store.Credentials
// is a Shared, such as a memstore, a redisstore or a table. The values hold names of routes
// and counts, and no data of a person. A Shared must be safe for concurrent use.
type Shared interface {
	// Load returns the value of a key, or nil if there is none.
	Load(ctx context.Context, key string) ([]byte, error)

	// Swap replaces the value old by new in one atomic step, if the value is still old.
	// Otherwise it returns an error. If old is empty, there must be no value yet.
	Swap(ctx context.Context, key string, old, new []byte) error
}

const (
	// maxValue is the longest value, in octets.
	maxValue = 4096

	// exchangeTime bounds one exchange.
	exchangeTime = 10 * time.Second

	// swaps bounds the tries of one value that other processes replace, too.
	swaps = 8
)

// current reports whether the evidence is fresh enough to act by it. mu is held.
func (l *Learner) current(now time.Time) bool {
	return l.c.Shared == nil || now.Sub(l.exchanged) < 3*l.c.Interval+10*time.Second
}

// Run exchanges evidence with Learning.Shared at once and every Learning.Interval, until
// ctx ends. Then it hands over the rest, within 10 s, and returns ctx's error. A process
// needs one Run. Without Shared, Run returns an error at once.
func (l *Learner) Run(ctx context.Context) error {
	if l.c.Shared == nil {
		return errors.New("failover: Learner.Run needs Learning.Shared")
	}
	tick := time.NewTicker(l.c.Interval)
	defer tick.Stop()
	for {
		if err := l.exchange(ctx); err != nil && ctx.Err() == nil {
			l.c.Logger.WarnContext(ctx, "failover: evidence was not exchanged; without it the given order is kept",
				"error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			_ = l.exchange(context.WithoutCancel(ctx)) // a few seconds of evidence are lost
			return ctx.Err()
		}
	}
}

// exchange hands over the evidence on each region, and takes over that of other processes.
func (l *Learner) exchange(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	regions, err := l.exchangeRegions(ctx)
	if err != nil {
		return err
	}
	for _, region := range regions {
		if err := l.exchangeRegion(ctx, region); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchanged = time.Now()
	return nil
}

func (l *Learner) key(what string) string { return "failover/" + l.c.Name + "/" + what }

// exchangeRegions exchanges the names of the regions that there is evidence of.
func (l *Learner) exchangeRegions(ctx context.Context) ([]string, error) {
	key := l.key("regions")
	return swapped(ctx, l.c.Shared, key, func(old []byte) ([]byte, []string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(old) > 0 {
			for region := range strings.SplitSeq(string(old), ",") {
				l.e.Know(strings.TrimPrefix(region, "="))
			}
		}
		regions := l.e.Regions()
		return []byte("=" + strings.Join(regions, ",=")), regions
	})
}

// exchangeRegion exchanges the evidence of one region.
func (l *Learner) exchangeRegion(ctx context.Context, region string) error {
	l.mu.Lock()
	delta := l.e.Take(region)
	l.mu.Unlock()
	value, err := swapped(ctx, l.c.Shared, l.key("in/"+region), func(old []byte) ([]byte, []byte) {
		if delta == nil {
			return old, old
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		merged := l.e.Merge(time.Now(), region, old, delta, maxValue, rand.Uint64())
		return merged, merged
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.e.Return(time.Now(), region, delta)
		return err
	}
	if len(value) > 0 {
		_ = l.e.Replace(time.Now(), region, value) // an older program's value is replaced with the next delta
	}
	return nil
}

// swapped replaces the value of a key by the result of change, unless they are equal, and
// returns the second result of change. If a Swap fails and the value has changed, it is a
// conflict.
func swapped[T any](ctx context.Context, s Shared, key string, change func(old []byte) ([]byte, T)) (
	result T, err error) {
	old, err := s.Load(ctx, key)
	for range swaps {
		if err != nil {
			return result, err
		}
		var value []byte
		if value, result = change(old); bytes.Equal(value, old) {
			return result, nil
		}
		failed := s.Swap(ctx, key, old, value)
		if failed == nil {
			return result, nil
		}
		var now []byte
		switch now, err = s.Load(ctx, key); {
		case err == nil && bytes.Equal(now, value): // its answer was lost
			return result, nil
		case err == nil && bytes.Equal(now, old):
			return result, failed
		}
		old = now
	}
	return result, errors.New("failover: the value of " + key + " changes all the time")
}
