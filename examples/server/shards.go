package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

const (
	// writeEvery leaves time to write within the second that a killed process may lose.
	writeEvery = 500 * time.Millisecond
	// idle shards are forgotten. Another event of their bucket begins another shard.
	idle = time.Hour

	readers = 32 // calls of the store at one time, for one question
)

// A shard is what one process counts of a bucket. It is kept as a record of the store:
// any store has records that are created once, replaced by compare-and-set, and gone
// at their end. Shards of a bucket are numbered from 0 without gaps, so that they are
// found without a list. Only the process that created a shard writes it, and always the
// whole, so that a write whose answer was lost is repeated and counts nothing twice.
type shard struct {
	counters
	told    map[[2]string]bool // the pairs of country and purpose that have fields
	dirty   bool
	touched time.Time

	salt     []byte // of the record; nil: there is none yet
	number   int
	revision uint64
}

// maxTold is how many pairs of country and purpose a shard tells apart. The countries of
// further pairs are counted as other, in all kinds, so that a ratio still compares like
// with like.
const maxTold = 300

func (s *shard) add(f field, n int64) {
	if pair := [2]string{f.b, f.purpose}; f.purpose != "" && !s.told[pair] {
		if len(s.told) >= maxTold {
			f.b = otherName
		} else {
			s.told[pair] = true
		}
	}
	s.counters[f] += n
}

func (f *figures) shardID(b bucket, number int) string {
	return fmt.Sprintf("%s%d-%s-%d", levels[b.level].name, b.index, f.app, number)
}

// record returns what is common to the records of figures: to a store they are
// challenges that nobody tries codes of.
func record(id string, salt []byte, created, expires time.Time) *store.Record {
	return &store.Record{ID: id, Subject: "figures", Salt: salt, Created: created, Expires: expires, MaxAttempts: 1}
}

func newSalt() []byte {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	return salt
}

// write writes what is counted until ctx ends, and then once more, unless patient has ended.
func (f *figures) write(ctx, patient context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for more, failing := true, false; more; {
		select {
		case <-ctx.Done():
			more = false
		case <-tick.C:
		}
		writing, cancel := context.WithTimeout(patient, 5*time.Second)
		err := errors.Join(f.writeShards(writing), f.writeLog(writing))
		if err != nil && !failing {
			f.log.Error("figures: they are not written until the store is back", "error", err)
		}
		failing = err != nil
		cancel()
	}
}

// close writes the last figures, until ctx ends.
func (f *figures) close(ctx context.Context) {
	defer f.giveUp()
	defer context.AfterFunc(ctx, f.giveUp)()
	f.stop()
	f.writing.Wait()
}

// writeShards writes the shards that have changed. One that fails is written the next
// time.
func (f *figures) writeShards(ctx context.Context) error {
	now := time.Now()
	values, changed := map[bucket][]byte{}, map[bucket]*shard{}
	f.mu.Lock()
	for b, s := range f.shards {
		switch {
		case s.dirty:
			value, err := json.Marshal(s.counters)
			if err != nil {
				panic(err) // counters are text and numbers
			}
			values[b], changed[b], s.dirty = value, s, false
		case now.Sub(s.touched) > idle:
			delete(f.shards, b)
		}
	}
	f.mu.Unlock()
	var failed error
	for b, s := range changed {
		if err := f.writeShard(ctx, b, s, values[b], now); err != nil {
			failed = err
			f.mu.Lock()
			s.dirty = true
			f.mu.Unlock()
		}
	}
	return failed
}

func (f *figures) writeShard(ctx context.Context, b bucket, s *shard, value []byte, now time.Time) error {
	if s.salt == nil {
		s.salt, s.number, s.revision = newSalt(), 0, 0
	}
	l := levels[b.level]
	ends := l.start(b.index + 1).Add(l.life)
	for s.revision == 0 { // it may not be there yet; a repeat changes nothing
		err := f.store.Create(ctx, record(f.shardID(b, s.number), s.salt, now, ends), now)
		if errors.Is(err, store.ErrExists) { // another process's
			s.number++
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	r, err := f.store.Update(ctx, f.shardID(b, s.number), s.revision, value, now)
	if errors.Is(err, store.ErrConflict) { // the answer to an earlier write was lost
		r, err = f.store.Update(ctx, f.shardID(b, s.number), r.Revision, value, now)
	}
	switch {
	case errors.Is(err, store.ErrExpired) || errors.Is(err, store.ErrNotFound):
		s.salt = nil // the store has lost it: begin anew
		return err
	case err != nil:
		return err
	}
	s.revision = r.Revision
	return nil
}

// read returns the figures of each bucket of a level between two times, the earliest
// first.
func (f *figures) read(ctx context.Context, level int, from, to time.Time) ([]counters, error) {
	first, last, now := levels[level].index(from), levels[level].index(to.Add(-1)), time.Now()
	out := make([]counters, max(0, last-first+1))
	err := each(len(out), func(i int) error {
		out[i] = counters{}
		for number := 0; ; number++ {
			r, err := f.store.Get(ctx, f.shardID(bucket{level, first + int64(i)}, number), now)
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
				return nil
			}
			if err != nil {
				return err
			}
			part := counters{}
			if len(r.Delivery) > 0 {
				if err := json.Unmarshal(r.Delivery, &part); err != nil {
					return err
				}
			}
			out[i].merge(part)
		}
	})
	return out, err
}

func (c counters) merge(of counters) {
	for f, n := range of {
		c[f] += n
	}
}

// total adds up buckets.
func total(all []counters) counters {
	out := counters{}
	for _, c := range all {
		out.merge(c)
	}
	return out
}

// each calls do for 0 to n-1, some at one time, and returns the first error.
func each(n int, do func(i int) error) error {
	var running sync.WaitGroup
	places, failed := make(chan struct{}, readers), make(chan error, n)
	for i := range n {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if err := do(i); err != nil {
				failed <- err
			}
		})
	}
	running.Wait()
	close(failed)
	return <-failed
}
