package memstore_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

var (
	benchSealed = bytes.Repeat([]byte{7}, 110)
	benchStart  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// usual returns a record of usual size: the nth, of a subject of its own.
func usual(n uint64, now time.Time) *store.Record {
	var random [16]byte
	binary.BigEndian.PutUint64(random[:], n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(random[8:], n)
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:])
	return &store.Record{
		ID: "abc-" + text, Subject: text[:22], Key: "k1",
		Salt: random[:], Sealed: benchSealed, Delivery: benchSealed[:40],
		Created: now, Expires: now.Add(5 * time.Minute),
		MaxAttempts: 5, MaxFailures: 10, Lock: 30 * time.Minute,
	}
}

var tokens atomic.Uint64

// token returns a token of its own for each call.
func token() store.Token { return store.Token(tokens.Add(1)) }

func fill(b *testing.B, s *memstore.Store, n int) []string {
	b.Helper()
	ids := make([]string, n)
	for i := range ids {
		r := usual(uint64(i), benchStart)
		if err := s.Create(b.Context(), r, benchStart); err != nil {
			b.Fatal(err)
		}
		ids[i] = r.ID
	}
	return ids
}

func BenchmarkCreate(b *testing.B) {
	s := memstore.New(memstore.Config{})
	b.ReportAllocs()
	now, n := benchStart, uint64(0)
	r := usual(0, now)
	for b.Loop() {
		n++
		now = now.Add(time.Millisecond) // 300 000 live at a time
		id := [30]byte{}
		copy(id[:], "abc-")
		binary.BigEndian.PutUint64(id[4:], n)
		r.ID = string(id[:])
		r.Expires = now.Add(5 * time.Minute)
		if err := s.Create(b.Context(), r, now); err != nil {
			b.Fatal(err)
		}
	}
}

// lives are how many challenges live meanwhile: so few that they fit into the
// processor's caches, or so many that each call waits for memory.
var lives = []int{1_000, 100_000}

func BenchmarkGet(b *testing.B) {
	for _, live := range lives {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			s := memstore.New(memstore.Config{})
			ids := fill(b, s, live)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				if _, err := s.Get(b.Context(), ids[i%len(ids)], benchStart); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAttempt charges each challenge five times, its attempts.
func BenchmarkAttempt(b *testing.B) {
	for _, live := range lives {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			var s *memstore.Store
			var ids []string
			b.ReportAllocs()
			for i := range b.N {
				if i%(5*live) == 0 {
					b.StopTimer()
					s = memstore.New(memstore.Config{})
					ids = fill(b, s, live)
					b.StartTimer()
				}
				if _, err := s.Attempt(b.Context(), ids[i%live], token(), benchStart); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFinish ends challenges, each with a run of failures.
func BenchmarkFinish(b *testing.B) {
	for _, live := range lives {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			var s *memstore.Store
			var ids []string
			b.ReportAllocs()
			for i := range b.N {
				if i%live == 0 {
					b.StopTimer()
					s = memstore.New(memstore.Config{})
					ids = fill(b, s, live)
					for _, id := range ids {
						if _, err := s.Attempt(b.Context(), id, token(), benchStart); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
				}
				if _, err := s.Finish(b.Context(), ids[i%live], store.Verified, token(), benchStart); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLife is Create, Attempt and Finish of one challenge after another,
// in parallel, while those of five minutes ago are collected.
func BenchmarkLife(b *testing.B) {
	s := memstore.New(memstore.Config{})
	ctx := b.Context()
	var n atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			now := benchStart.Add(time.Duration(i) * time.Millisecond)
			r := usual(i, now)
			if err := s.Create(ctx, r, now); err != nil {
				b.Error(err)
				return
			}
			if _, err := s.Attempt(ctx, r.ID, token(), now); err != nil {
				b.Error(err)
				return
			}
			if _, err := s.Finish(ctx, r.ID, store.Verified, token(), now); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkVerify is Attempt and Finish of challenges that are there, in
// parallel.
func BenchmarkVerify(b *testing.B) {
	s := memstore.New(memstore.Config{MaxChallenges: max(b.N, 1)})
	ids := fill(b, s, b.N)
	ctx := b.Context()
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := ids[n.Add(1)-1]
			if _, err := s.Attempt(ctx, id, token(), benchStart); err != nil {
				b.Error(err)
				return
			}
			if _, err := s.Finish(ctx, id, store.Verified, token(), benchStart); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkTake3(b *testing.B) {
	s := memstore.New(memstore.Config{})
	b.ReportAllocs()
	now, n := benchStart, 0
	limits := []store.Limit{{Most: 5, Per: 10 * time.Minute}, {Most: 10, Per: 24 * time.Hour},
		{Most: 10, Per: time.Hour}}
	keys := make([][3]string, 10_000)
	for i := range keys {
		keys[i] = [3]string{fmt.Sprint("recipient/", i), fmt.Sprint("day/", i), fmt.Sprint("ip/", i)}
	}
	for b.Loop() {
		n++
		now = now.Add(time.Second)
		for i := range limits {
			limits[i].Key = keys[n%len(keys)][i]
		}
		d, err := s.Take(b.Context(), now, limits...)
		if err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkEnqueueRun(b *testing.B) {
	s := memstore.New(memstore.Config{MaxJobs: b.N + 1})
	expires := time.Now().Add(time.Hour)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			if err := s.Enqueue(ctx, store.Job{Challenge: "abc-1", Expires: expires}); err != nil {
				b.Error(err)
			}
		}
	}()
	_ = s.Run(ctx, 8, func(context.Context, store.Job) (time.Time, error) {
		if left.Add(-1) == 0 {
			cancel()
		}
		return time.Time{}, nil
	})
}

// perChallenge returns the bytes that n pending challenges take each, those of
// the table and the wheel included, with a failed attempt if failed.
func perChallenge(tb testing.TB, n int, failed bool) float64 {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := memstore.New(memstore.Config{MaxChallenges: n})
	for i := range n {
		r := usual(uint64(i), benchStart)
		r.ID, r.Subject = strings.Clone(r.ID), strings.Clone(r.Subject)
		if err := s.Create(tb.Context(), r, benchStart); err != nil {
			tb.Fatal(err)
		}
		if !failed {
			continue
		}
		if _, err := s.Attempt(tb.Context(), r.ID, token(), benchStart); err != nil {
			tb.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		for _, failed := range []bool{false, true} {
			b.Run(fmt.Sprintf("n=%d/failed=%t", n, failed), func(b *testing.B) {
				// Once, however large b.N: it is not time that is measured.
				b.ReportMetric(perChallenge(b, n, failed), "B/challenge")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
