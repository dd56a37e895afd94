// Command redis measures what redisstore costs beside the least that a call to
// the same Redis can cost. It is a module of its own, so run it from the
// repository as
//
//	go -C .bench run ./redis
//
// or with -mode store, -mode queue, -rounds 9, -time 1s.
//
// It starts a redis-server of its own, which shares the processors with it, and
// calls it with 1, 16, 64 and 256 goroutines through one go-redis client: GET, a
// script that does nothing, the barest script of a verification (EVALSHA), which
// counts a guess in six calls of Redis and does nothing else, the barest two scripts of a
// Send, the Store's own calls, and the whole Service with a channel that sends nothing. Rounds alternate
// between them. The medians are printed, in calls a second, and then lines like
//
//	RATIO redis verify-wrong goroutines=64 vs=evalsha 0.84
//	RATIO redis verify-wrong goroutines=64 vs=nothing 0.60
//	RATIO redis send goroutines=64 vs=two-scripts 0.70
//
// where verify is Service.Verify, and store-verify what the Store does for it: one
// call for a wrong code, two for a right one. Send has the default limits: send is to an
// e-mail address, send-phone to a number in E.164, each to a new person. The Store joins calls that come
// together into pipelines; the scripts beside it are called one by one.
//
// The queue is measured by jobs that one half of the goroutines enqueue while
// the other half handles them, and by the delay from Enqueue to the handler, with
// nothing else to do and at half of that rate, in µs:
//
//	RATE redis queue both-ways 41000
//	P99 redis queue idle 900
//
// Figures from a machine with other work on it are of the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	mode := flag.String("mode", "all", "store, queue or all")
	rounds := flag.Int("rounds", 7, "rounds, of which the median counts")
	each := flag.Duration("time", 300*time.Millisecond, "of each run, about")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *each <= 0 || (*mode != "all" && *mode != "store" && *mode != "queue") {
		flag.Usage()
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "bench-redis")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := redistest.New(dir)
	if err != nil {
		return err
	}
	defer server.Kill()
	client := redis.NewClient(&redis.Options{Addr: server.Addr, PoolSize: 300, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	ctx := context.Background()
	if err := client.Ping(ctx).Err(); err != nil {
		return err
	}
	if *mode != "queue" {
		if err := measureStore(ctx, client, *rounds, *each); err != nil {
			return err
		}
	}
	if *mode != "store" {
		return measureQueue(ctx, client, *rounds, *each)
	}
	return nil
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
