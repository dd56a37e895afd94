package memstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A window is the log of a limit's takings. It expires Per after the latest.
//
// No Per has more than Most takings. A taking is allowed only if fewer than Most
// others are less than Per before it or, by another caller's clock, after it.
// Takings are kept for twice Per. So this holds between callers whose clocks differ
// by less than Per, and by less than grace.
type window struct {
	removable[window]
	cells []cell // in the order of at
}

// A cell is a number of takings. All count as if they were at its time, which is no
// earlier than the latest. So no taking is forgotten early.
type cell struct {
	at int64
	n  int
}

// If Most is exactMost or less, a cell holds takings of one instant, and the limit
// is exact. Otherwise a cell spans a hundred-and-twenty-eighth of Per, so that a log
// has some 256 cells. The limit may then refuse for that much longer than necessary:
// for example, 28 s if Per is an hour.
const (
	exactMost = 64
	coarsePer = 128
)

// Take implements store.Limiter. Limits with one Key and different Per are counted
// separately.
func (s *Store) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if err := checkLimits(ctx, limits); err != nil {
		return store.Decision{}, err
	}
	var array [4]countedLimit // as many as a message has by default
	t := taking{store: s, now: nanos(now), limits: array[:0]}
	t.count(limits)
	d, err := t.take()
	for try := 0; errors.Is(err, errNoRoom) && try < reclaims &&
		s.windows.reclaim(t.now, s.windows.has(len(limits))); try++ {
		d, err = t.take()
	}
	if errors.Is(err, errNoRoom) {
		return store.Decision{}, store.ErrFull
	}
	return d, err
}

func checkLimits(ctx context.Context, limits []store.Limit) error {
	for _, l := range limits {
		if l.Most < 1 || l.Per <= 0 || l.N < 0 {
			return fmt.Errorf("memstore: limit %q: Most %d, Per %v, N %d", l.Key, l.Most, l.Per, l.N)
		}
	}
	return ctx.Err()
}

// A taking is one call of Take or Give.
type taking struct {
	store  *Store
	now    int64
	limits []countedLimit
	shards uint64 // a set
}

type countedLimit struct {
	store.Limit
	key    key
	window *window // nil: no takings
	over   bool
}

// count finds the keys and shards of limits.
func (t *taking) count(limits []store.Limit) {
	for _, l := range limits {
		k := t.store.windows.key(l.Key)
		// Different odd factors for the halves give the spans of a Key different
		// keys.
		k[0] ^= uint64(l.Per) * 0x9e3779b97f4a7c15
		k[1] ^= uint64(l.Per) * 0xc2b2ae3d27d4eb4f
		t.limits = append(t.limits, countedLimit{Limit: l, key: k})
		t.shards |= 1 << t.store.windows.index(k)
	}
}

func (t *taking) lock() {
	t.store.windows.lockAll(t.shards, t.now)
	for i := range t.limits {
		a := &t.limits[i]
		a.window = t.store.windows.of(a.key).table.get(a.key)
	}
}

// take decides and, if it allows, records the takings.
func (t *taking) take() (store.Decision, error) {
	t.lock()
	defer t.store.windows.unlockAll(t.shards)
	d := store.Decision{Allowed: true}
	missing := 0
	for i := range t.limits {
		a := &t.limits[i]
		wait := a.window.wait(a.Limit, t.now, t.before(i))
		if a.over = wait > 0; a.over {
			d.Over, d.Waits = append(d.Over, i), append(d.Waits, wait)
			if !a.Shadow {
				d.Allowed = false
				d.RetryAfter = max(d.RetryAfter, wait)
			}
		} else if a.window == nil && !a.Peek {
			missing++
		}
	}
	if !d.Allowed {
		return d, nil
	}
	if !t.store.windows.reserve(missing) {
		return d, errNoRoom
	}
	for i := range t.limits {
		if a := &t.limits[i]; !a.over && !a.Peek {
			missing -= t.add(a)
		}
	}
	t.store.windows.used.Add(-int64(missing)) // a key named twice
	return d, nil
}

// before returns the takings of the limits before i from the same key.
func (t *taking) before(i int) int {
	n := 0
	for j := range t.limits[:i] {
		if a := &t.limits[j]; !a.over && !a.Peek && a.key == t.limits[i].key {
			n += a.Takings()
		}
	}
	return n
}

// add logs the takings of a limit and returns how many windows it began, 0 or 1.
func (t *taking) add(a *countedLimit) (begun int) {
	sh := t.store.windows.of(a.key)
	w := sh.table.get(a.key)
	if w == nil {
		w = &window{}
		w.key, w.expires = a.key, after(t.now, a.Per)
		defer sh.insert(w)
		begun = 1
	}
	w.add(a.Limit, t.now)
	return begun
}

// Give implements store.Limiter. If the limit's Most is over 64, it gives back a
// taking of about that time.
func (s *Store) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	if err := checkLimits(ctx, limits); err != nil {
		return err
	}
	var array [4]countedLimit
	t := taking{store: s, now: nanos(now), limits: array[:0]}
	t.count(limits)
	t.lock()
	defer s.windows.unlockAll(t.shards)
	for i := range t.limits {
		a := &t.limits[i]
		sh := s.windows.of(a.key)
		w := sh.table.get(a.key)
		if w == nil || a.Peek || !w.give(a.Limit, taken) {
			continue
		}
		if len(w.cells) == 0 {
			sh.remove(w)
			s.windows.used.Add(-1)
			continue
		}
		w.expires = after(w.cells[len(w.cells)-1].at, a.Per)
		sh.wheel.remove(w)
		sh.wheel.put(w)
	}
	return nil
}

// counts returns the index of the first cell that counts at now.
func (w *window) counts(per time.Duration, now int64) int {
	since := before(now, int64(per))
	i := len(w.cells)
	for i > 0 && w.cells[i-1].at > since {
		i--
	}
	return i
}

// wait returns 0 if l allows its takings together with also others. Otherwise it
// returns the time until l allows them.
func (w *window) wait(l store.Limit, now int64, also int) time.Duration {
	room := l.Most - also - l.Takings() + 1
	if room <= 0 {
		return l.Per
	}
	if w == nil {
		return 0
	}
	since := before(now, int64(l.Per))
	for _, c := range slices.Backward(w.cells) {
		if c.at <= since {
			return 0
		}
		if room -= c.n; room <= 0 { // allowed once c no longer counts
			return time.Duration(c.at - since)
		}
	}
	return 0
}

// add logs the takings of a call.
func (w *window) add(l store.Limit, now int64) {
	last := len(w.cells) - 1
	if last >= 0 && now <= w.cells[last].at {
		w.insert(l, now)
		return
	}
	at := now
	if l.Most > exactMost {
		at = after(now, l.Per/coarsePer)
	}
	old := w.counts(2*min(l.Per, math.MaxInt64/2), at)
	w.cells = append(slices.Delete(w.cells, 0, old), cell{at, l.Takings()})
	w.expires = max(w.expires, after(at, l.Per))
}

// insert logs takings by a slow clock. In an exact log they have a cell of their
// own, so that they can be given back.
func (w *window) insert(l store.Limit, now int64) {
	last := len(w.cells) - 1
	i, found := slices.BinarySearchFunc(w.cells, now, func(c cell, at int64) int { return cmp.Compare(c.at, at) })
	switch {
	case found:
		w.cells[i].n += l.Takings()
	case l.Most > exactMost:
		w.cells[last].n += l.Takings()
	default:
		w.cells = slices.Insert(w.cells, i, cell{now, l.Takings()})
	}
}

// give refunds the takings of a Give, and reports whether there were any.
func (w *window) give(l store.Limit, taken time.Time) bool {
	if taken.IsZero() {
		return w.giveLatest(l.Takings())
	}
	return w.giveBack(l, nanos(taken))
}

// giveLatest refunds the latest n takings.
func (w *window) giveLatest(n int) bool {
	last := len(w.cells) - 1
	for ; last >= 0 && w.cells[last].n <= n; last-- {
		n -= w.cells[last].n
	}
	w.cells = w.cells[:last+1]
	if last >= 0 {
		w.cells[last].n -= n
	}
	return true
}

// giveBack refunds the takings of l at taken, and reports whether there were any.
func (w *window) giveBack(l store.Limit, taken int64) bool {
	i := slices.IndexFunc(w.cells, func(c cell) bool { return c.at >= taken })
	most := int64(0) // largest delay of its cell
	if l.Most > exactMost {
		most = int64(l.Per/coarsePer) + grace
	}
	if i < 0 || w.cells[i].at-taken > most {
		return false
	}
	if w.cells[i].n -= l.Takings(); w.cells[i].n <= 0 {
		w.cells = slices.Delete(w.cells, i, i+1)
	}
	return true
}
