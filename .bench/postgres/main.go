// Command postgres measures what pgstore costs beside the least that a call to the same
// PostgreSQL can cost. It is a module of its own, so run it from the repository as
//
//	go -C .bench run ./postgres
//
// or with -mode verify, queue, fill, partitions or day, -rounds 9, -time 1s, -challenges 1000000.
//
// It starts a server of its own, which shares the processors with it and syncs its files,
// and calls it with 1, 16 and 64 goroutines through one pgxpool: the barest UPDATE of a
// verification, which counts a guess in a row and does nothing else, what the Store does
// for a wrong code, and Service.Verify of a wrong code. Rounds alternate between them. Between
// two guesses at a row or challenge there is one at each other. Medians are printed, in calls a
// second, and then lines like
//
//	RATIO postgres verify-wrong sync=on goroutines=16 vs=update 0.91
//
// The queue is measured by jobs that one half of the goroutines enqueue while the other half
// handles them, with synchronous_commit off and on:
//
//	RATE postgres queue both-ways sync=off 7000
//
// Mode fill compares fill factors of the table that wrong codes write: calls a second, which
// part of the updates was HOT, and what the table then takes.
//
// Mode partitions compares a plain table of challenges, whose expired rows are deleted in batches,
// with a table partitioned by expiry: rows a second, the longest time of a row, and the size.
//
// Mode day passes 24 hours of traffic through the Store, with the time of each call given, as
// fast as it goes: challenges come evenly, each has three limits, two wrong codes and a right
// one, and is gone after 5 min. It prints, for each two hours, the size of the tables, the
// rows in them, and the 99th percentile of a verification.
//
// Figures from a machine with other work on it are of the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	mode := flag.String("mode", "all", "verify, queue, fill, partitions, day or all")
	rounds := flag.Int("rounds", 5, "rounds, of which the median counts")
	each := flag.Duration("time", 300*time.Millisecond, "of each run, about")
	challenges := flag.Int("challenges", 100_000, "challenges in the 24 hours")
	flag.Parse()
	modes := map[string]func(b *bench) error{
		"verify": measureVerify, "queue": measureQueue, "fill": measureFill, "partitions": measurePartitions,
		"day": measureDay,
	}
	if flag.NArg() > 0 || *rounds < 1 || *each <= 0 || (*mode != "all" && modes[*mode] == nil) {
		flag.Usage()
		os.Exit(2)
	}
	// A minute of autovacuum's is a second here, as time passes so much faster in mode day.
	server, err := pgtest.New("fsync = on", "full_page_writes = on", "shared_buffers = 256MB",
		"autovacuum_naptime = 1s")
	if err != nil {
		return err
	}
	defer server.Close()
	b := &bench{context.Background(), server.URL(), *rounds, *each, *challenges}
	for _, name := range []string{"verify", "queue", "fill", "partitions", "day"} {
		if *mode == "all" || *mode == name {
			if err := modes[name](b); err != nil {
				return err
			}
		}
	}
	return nil
}

// bench is what the modes share.
type bench struct {
	ctx        context.Context
	url        string
	rounds     int
	each       time.Duration
	challenges int
}

// open returns a Store in a schema of its own.
func (b *bench) open(sync string) (*pgstore.Store, *pgxpool.Pool, string, error) {
	pool, err := pgxpool.New(b.ctx, b.url+"&pool_max_conns=70&synchronous_commit="+sync)
	if err != nil {
		return nil, nil, "", err
	}
	schema := pgtest.Schema()
	s, err := pgstore.New(pgstore.Config{DB: pool, Schema: schema, Timeout: time.Minute})
	if err == nil {
		err = s.Migrate(b.ctx)
	}
	return s, pool, schema, err
}

// A call is one operation, number i of a run.
type call func(i int) error

func inParallel(g, n int, do call) error {
	var next atomic.Int64
	errs := make([]error, g)
	var wg sync.WaitGroup
	for w := range g {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
