// Command guard replays traffic and attacks against otp/guard, and measures what
// a decision costs. It is a module of its own, so run it from the repository as
//
//	go -C .bench run ./guard                        every scenario, three seeds, in memory
//	go -C .bench run ./guard -seeds 5,6,7           other seeds
//	go -C .bench run ./guard -redis -cluster        also on Redis and a Cluster: reports must be equal
//	go -C .bench run ./guard -solves 1              bots that pass each step-up
//	go -C .bench run ./guard -mode cost             what a decision costs
//
// A row of the simulator is what an attack got, of the messages that it asked
// for, the bound that the package promises, and the shares of people refused and
// stepped up meanwhile. The command fails if a bound is broken. With -solves over
// 0.2 the bounds do not hold, and are not checked.
//
// The costs are medians, and lines like
//
//	RATIO guard check backend=redis vs=get 2.1
//	RATIO guard script backend=redis vs=nothing 8
//	RATIO guard script backend=redis vs=bare 1.5
//	TRIPS guard check backend=redis 1.00
//	BYTES guard message backend=redis 700
//
// where script is the time within the server, of a decision, of a script that does
// nothing, and of a bare script, which reads and writes as many keys. A day of
// decisions comes before. Figures from a machine with other work on it are of the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A backend is a Limiter under test.
type backend struct {
	name    string
	limiter store.Limiter
	client  redis.UniversalClient // nil: in memory
}

func run() error {
	mode := flag.String("mode", "sim", "sim, cost, or redis: what it costs there only")
	seedList := flag.String("seeds", "0,1,2", "of the traces")
	only := flag.String("only", "", "scenarios by name, with commas; all if empty")
	solves := flag.Float64("solves", 0.2, "share of step-ups that bots pass")
	onRedis := flag.Bool("redis", false, "also on a redis-server of its own")
	onCluster := flag.Bool("cluster", false, "also on a Cluster of its own")
	calls := flag.Int("calls", 20_000, "decisions of a measurement of cost")
	flag.Parse()
	var seeds []uint64
	for _, s := range strings.Split(*seedList, ",") {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return fmt.Errorf("-seeds: %w", err)
		}
		seeds = append(seeds, n)
	}
	if *mode != "sim" {
		return measure(context.Background(), *calls, *mode == "cost")
	}
	backends := []backend{{name: "memstore", limiter: memstore.New(memstore.Config{})}}
	var failed error
	if *onRedis || *onCluster {
		dir, err := os.MkdirTemp("", "bench-guard")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		for _, cluster := range []bool{false, true} {
			if cluster && !*onCluster || !cluster && !*onRedis {
				continue
			}
			b, stop, err := startRedis(dir, cluster)
			if err != nil {
				return err
			}
			defer stop()
			backends = append(backends, b)
		}
	}
	for _, seed := range seeds {
		failed = errors.Join(failed, simulate(backends, seed, *solves, *only))
	}
	return failed
}

// startRedis starts a server, or a Cluster of one master. The master of a Cluster
// serves all slots.
func startRedis(dir string, cluster bool) (b backend, stop func(), err error) {
	var directives []string
	if b.name = "redis"; cluster {
		b.name, directives = "cluster", []string{"cluster-enabled yes"}
	}
	sub, err := os.MkdirTemp(dir, b.name)
	if err != nil {
		return b, nil, err
	}
	server, err := redistest.New(sub, directives...)
	if err != nil {
		return b, nil, err
	}
	ctx := context.Background()
	if cluster {
		one := redis.NewClient(&redis.Options{Addr: server.Addr})
		defer func() { _ = one.Close() }()
		if err := one.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
			return b, nil, err
		}
		b.client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr},
			ContextTimeoutEnabled: true})
	} else {
		b.client = redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true})
	}
	for range 100 { // until the slots are served
		if err = b.client.Set(ctx, "ready", 1, 0).Err(); err == nil {
			break
		}
	}
	if err != nil {
		return b, nil, err
	}
	b.limiter, err = redisstore.New(redisstore.Config{Client: b.client})
	return b, func() { _ = b.client.Close(); server.Kill() }, err
}
