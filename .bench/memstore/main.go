// Command memstore measures a memstore that holds 10^3 to 10^7 pending
// challenges. It is a module of its own, so run it from the repository as
//
//	go -C .bench run ./memstore
//
// or with -most 1000000. At 10^7 it takes some 4 GB and a few minutes.
//
// For each size it prints, with one goroutine for each processor: creations a
// second until the store holds so many; the heap that a challenge takes, the run
// of failures of its subject included once it has one; wrong guesses (Attempt)
// and right ones (Attempt and Finish) a second on challenges taken at random;
// and the longest call while all that the store holds expires and new challenges
// come: percentiles of their time, in µs, the garbage collector's part included.
//
// Figures from a machine with other work on it are of the machine.
package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

const (
	life     = 5 * time.Minute
	measured = 400_000 // calls for a figure
)

func main() {
	most := flag.Int("most", 10_000_000, "pending challenges in the largest store")
	flag.Parse()
	if flag.NArg() > 0 || *most < 1000 {
		flag.Usage()
		os.Exit(2)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "pending\tcreate /s\tB each\tB each, guessed\twrong /s\tright /s\texpiring: p50\tp99.9\tmax µs\t")
	for n := 1000; n <= *most; n *= 10 {
		if err := measure(w, n); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	_ = w.Flush()
}

// A bench is a store of n pending challenges.
type bench struct {
	*memstore.Store
	n   int
	now time.Time // begins the life of all
}

func measure(w *tabwriter.Writer, n int) error {
	room := memstore.Config{MaxChallenges: 2*n + measured, MaxSubjects: 2*n + measured}
	b := &bench{Store: memstore.New(room), n: n, now: time.Now()}
	empty := heap()
	creates, err := rate(n, b.create)
	if err != nil {
		return err
	}
	pending := heap()
	if _, err := rate(n, b.wrong); err != nil { // each subject has a run of failures now
		return err
	}
	guessed := heap()
	calls := min(measured, n)
	wrong, err := rate(calls, func(int) error { return b.wrong(rand.IntN(n)) })
	if err != nil {
		return err
	}
	order := rand.Perm(n)
	right, err := rate(calls, func(i int) error { return b.right(order[i]) })
	if err != nil {
		return err
	}
	took, err := b.expire()
	if err != nil {
		return err
	}
	at := func(p float64) float64 {
		return float64(took[min(int(p*float64(len(took))), len(took)-1)].Nanoseconds()) / 1e3
	}
	each := func(heap uint64) float64 { return float64(heap-empty) / float64(n) }
	fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t\n",
		n, creates, each(pending), each(guessed), wrong, right, at(0.5), at(0.999), at(1))
	return nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// rate calls do(0) to do(n-1) in a goroutine for each processor.
func rate(n int, do func(i int) error) (float64, error) {
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	began := time.Now()
	var wg sync.WaitGroup
	for g := range errs {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[g] == nil; i = int(next.Add(1)) - 1 {
				errs[g] = do(i)
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(began).Seconds(), errors.Join(errs...)
}

// id is that of challenge i: 14 bits of bucket and 80 that look random.
func id(i int) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i)*0x9E3779B97F4A7C15)
	return hex.EncodeToString(b[:2]) + "-" + hex.EncodeToString(b[:]) + "abcd"
}

func (b *bench) create(i int) error { return b.createAt(i, b.now) }

func (b *bench) createAt(i int, now time.Time) error {
	return b.Create(context.Background(), &store.Record{
		ID: id(i), Subject: "subject-hash-" + id(i), Key: "2026-11", Salt: make([]byte, 16), Sealed: make([]byte, 100),
		Created: now, Expires: now.Add(life), MaxAttempts: 5, MaxFailures: 10, Lock: 30 * time.Minute,
	}, now)
}

// token names a call, and is not zero.
func token() store.Token { return store.Token(rand.Uint64() | 1) }

func (b *bench) wrong(i int) error {
	_, err := b.Attempt(context.Background(), id(i), token(), b.now)
	if errors.Is(err, store.ErrExhausted) {
		return nil // taken at random too often
	}
	return err
}

func (b *bench) right(i int) error {
	_, err := b.Attempt(context.Background(), id(i), token(), b.now)
	if errors.Is(err, store.ErrExhausted) {
		return nil
	}
	if err == nil {
		_, err = b.Finish(context.Background(), id(i), store.Verified, token(), b.now)
	}
	return err
}

// expire creates challenges while the store's pass their expiry within as many
// calls, and returns how long each took, sorted.
func (b *bench) expire() ([]time.Duration, error) {
	calls := max(b.n, measured)
	took := make([]time.Duration, calls)
	_, err := rate(calls, func(i int) error {
		now := b.now.Add(life - time.Second + 2*time.Second*time.Duration(i)/time.Duration(calls))
		began := time.Now()
		err := b.createAt(b.n+i, now)
		took[i] = time.Since(began)
		return err
	})
	slices.Sort(took)
	return took, err
}
