package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// attempt returns one for the n-th of many numbers, from one of many networks.
func attempt(n int, at time.Time) otp.Attempt {
	return otp.Attempt{Phone: phone.Number{E164: fmt.Sprintf("+4479%08d", n*7919%100_000_000), Region: "GB",
		Type: phone.Mobile}, IP: netip.AddrFrom4([4]byte{byte(10 + n>>16), byte(n >> 8), byte(n), 1}), At: at}
}

func newGuard(b backend) (*guard.Guard, error) {
	return guard.New(guard.Config{Limiter: b.limiter, Index: index, Countries: map[string]guard.Country{"GB": {}},
		Budget: 1 << 40, Price: guard.Cents, StepUp: true})
}

// measure prints what decisions cost: in memory and on Redis, or on Redis only.
func measure(ctx context.Context, calls int, memory bool) error {
	if memory {
		if err := measureMemory(ctx, calls); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "bench-guard")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, stop, err := startRedis(dir, false)
	if err != nil {
		return err
	}
	defer stop()
	return measureRedis(ctx, b, calls)
}

// measureMemory measures memstore: time, and bytes with 10⁶ numbers.
func measureMemory(ctx context.Context, calls int) error {
	b := backend{name: "memstore", limiter: memstore.New(memstore.Config{})}
	g, err := newGuard(b)
	if err != nil {
		return err
	}
	took, err := decide(ctx, g, calls)
	if err != nil {
		return err
	}
	fmt.Printf("memstore: %.1f µs a decision, %.1f µs with the end of the session\n", took[0], took[1])
	for _, numbers := range []int{100_000, 1_000_000} {
		b.limiter = memstore.New(memstore.Config{MaxLimits: 8_000_000})
		if g, err = newGuard(b); err != nil {
			return err
		}
		before := heap()
		begin := time.Now()
		for n := range numbers {
			a := attempt(n, begin.Add(time.Duration(n)*20*time.Millisecond))
			a.Known = true // so that each is counted
			if _, err := g.Check(ctx, a); err != nil {
				return err
			}
		}
		after := heap()
		runtime.KeepAlive(g)
		fmt.Printf("BYTES guard message backend=memstore numbers=%d %.0f\n", numbers,
			float64(after-before)/float64(numbers))
	}
	return nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// decide returns the medians of a Check, and of a Check with its Settle, in µs.
func decide(ctx context.Context, g *guard.Guard, calls int) (took [2]float64, err error) {
	var check, both []time.Duration
	for n := range calls {
		a := attempt(n, time.Now())
		began := time.Now()
		if _, err := g.Check(ctx, a); err != nil {
			return took, err
		}
		check = append(check, time.Since(began))
		g.Settle(ctx, a, 1, true)
		both = append(both, time.Since(began))
	}
	return [2]float64{median(check), median(both)}, nil
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2]) / float64(time.Microsecond)
}

// usualDay makes decisions of the last day, so that the counts are as full as usual.
func usualDay(ctx context.Context, g *guard.Guard) error {
	const decisions = 600
	for n := range decisions {
		at := time.Now().Add(-time.Duration(decisions-n) * 24 * time.Hour / decisions)
		if _, err := g.Check(ctx, attempt(1<<20+n, at)); err != nil {
			return err
		}
	}
	return nil
}

// bare reads four keys and writes them, as a decision does, and computes nothing.
const bare = `for k = 1, 4 do redis.call('GETRANGE', KEYS[k], '0', '319') end
redis.call('SET', KEYS[1], ARGV[1], 'PX', '86400000')
redis.call('SET', KEYS[2], ARGV[1], 'PX', '86400000')
redis.call('SETRANGE', KEYS[3], '5', ARGV[1])
redis.call('SETRANGE', KEYS[4], '5', ARGV[1])
return ''`

// measureBare measures decisions in turn with a bare script on as many keys.
func measureBare(ctx context.Context, b backend, g *guard.Guard, calls int) error {
	if err := b.client.Do(ctx, "CONFIG", "RESETSTAT").Err(); err != nil {
		return err
	}
	value := strings.Repeat("x", 100)
	for n := range calls {
		if _, err := g.Check(ctx, attempt(1<<21+n, time.Now())); err != nil {
			return err
		}
		keys := []string{fmt.Sprint("network", n), fmt.Sprint("block", n), "country", "all"}
		if err := b.client.Eval(ctx, bare, keys, value).Err(); err != nil {
			return err
		}
	}
	server, err := info(ctx, b, "commandstats", `cmdstat_evalsha:.*?usec_per_call=([\d.]+)`)
	if err != nil {
		return err
	}
	least, err := info(ctx, b, "commandstats", `cmdstat_eval:.*?usec_per_call=([\d.]+)`)
	fmt.Printf("redis: %.1f µs of a decision in the server, %.1f µs of a bare script\n", server, least)
	fmt.Printf("RATIO guard script backend=redis vs=bare %.2f\n", server/least)
	return err
}

// measureRedis measures Redis beside a GET and a script that does nothing.
func measureRedis(ctx context.Context, b backend, calls int) error {
	g, err := newGuard(b)
	if err != nil {
		return err
	}
	if err := usualDay(ctx, g); err != nil {
		return err
	}
	if err := b.client.Do(ctx, "CONFIG", "RESETSTAT").Err(); err != nil {
		return err
	}
	memory, err := info(ctx, b, "memory", `used_memory:(\d+)`)
	if err != nil {
		return err
	}
	var gets, nothings, checks []time.Duration
	for n := range calls { // in turn: the machine is as busy for each
		began := time.Now()
		if err := b.client.Get(ctx, "ready").Err(); err != nil {
			return err
		}
		gets = append(gets, time.Since(began))
		began = time.Now()
		if err := b.client.Eval(ctx, "return 1", nil).Err(); err != nil {
			return err
		}
		nothings = append(nothings, time.Since(began))
		a := attempt(1+n, time.Now())
		began = time.Now()
		if _, err := g.Check(ctx, a); err != nil {
			return err
		}
		checks = append(checks, time.Since(began))
	}
	trips, err := info(ctx, b, "commandstats", `cmdstat_evalsha:calls=(\d+)`)
	if err != nil {
		return err
	}
	server, err := info(ctx, b, "commandstats", `cmdstat_evalsha:.*?usec_per_call=([\d.]+)`)
	if err != nil {
		return err
	}
	least, err := info(ctx, b, "commandstats", `cmdstat_eval:.*?usec_per_call=([\d.]+)`)
	if err != nil {
		return err
	}
	after, err := info(ctx, b, "memory", `used_memory:(\d+)`)
	if err != nil {
		return err
	}
	get, nothing, check := median(gets), median(nothings), median(checks)
	fmt.Printf("redis: %.1f µs a decision, %.1f µs of them in the server's script; GET %.1f µs, empty script %.1f µs, "+
		"%.1f µs of them in the server\n", check, server, get, nothing, least)
	fmt.Printf("TRIPS guard check backend=redis %.2f\n", trips/float64(calls))
	fmt.Printf("RATIO guard check backend=redis vs=get %.2f\n", check/get)
	fmt.Printf("RATIO guard check backend=redis vs=nothing %.2f\n", check/nothing)
	fmt.Printf("RATIO guard script backend=redis vs=nothing %.2f\n", server/least)
	fmt.Printf("BYTES guard message backend=redis numbers=%d %.0f\n", calls, (after-memory)/float64(calls))
	return measureBare(ctx, b, g, calls)
}

// info reads a number of INFO.
func info(ctx context.Context, b backend, section, pattern string) (float64, error) {
	text, err := b.client.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("INFO %s has no %s", section, pattern)
	}
	return strconv.ParseFloat(m[1], 64)
}
