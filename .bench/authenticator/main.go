// Command authenticator measures what a Verify of an authenticator's code costs. It is a
// module of its own, so run it from the repository as
//
//	go -C .bench run ./authenticator
//
// or with -rounds 9, -calls 2000, or -redis=false.
//
// It verifies right and wrong codes of apps, one goroutine, on memory and on a redis-server
// that it starts, and beside them the least that such a call can cost: HMACs in memory, a
// GET and an EVALSHA on Redis. Rounds alternate between them. It prints the medians of the
// time of a call, and of this process's CPU time, in µs, and then lines like
//
//	COST authenticator verify-right memory cpu-µs=11.3
//	RATIO authenticator verify-right redis vs=get+evalsha 0.71
//	RATIO authenticator verify-right memory vs=hmac 25.0
//
// The first ratio is of calls a second, the last how many HMACs of 64 octets a Verify takes.
// Figures from a machine with other work on it are of the machine.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A test prepares calls, and returns the call number i of them.
type test struct {
	name    string
	prepare func(calls int) (func(i int) error, error)
}

func main() {
	rounds := flag.Int("rounds", 7, "rounds, of which the median counts")
	calls := flag.Int("calls", 1000, "of each run")
	withRedis := flag.Bool("redis", true, "measure on Redis, too")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *calls < 10 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*rounds, *calls, *withRedis); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds, calls int, withRedis bool) error {
	tests := []test{hmacs()}
	memory := memstore.New(memstore.Config{})
	for _, kind := range []string{"right", "wrong", "locked"} {
		tests = append(tests, verify("memory", kind, memory))
	}
	if withRedis {
		dir, err := os.MkdirTemp("", "bench-authenticator")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		server, err := redistest.New(dir)
		if err != nil {
			return err
		}
		defer server.Kill()
		client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true})
		defer client.Close()
		shared, err := redisstore.New(redisstore.Config{Client: client})
		if err != nil {
			return err
		}
		tests = append(tests, bareRedis(client))
		for _, kind := range []string{"right", "wrong", "locked"} {
			tests = append(tests, verify("redis", kind, shared))
		}
	}
	return measure(tests, rounds, calls)
}

func measure(tests []test, rounds, calls int) error {
	wall, cpu := map[string][]float64{}, map[string][]float64{}
	for range rounds {
		for _, t := range tests {
			do, err := t.prepare(calls)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			runtime.GC() // what the preparation has left
			began, used := time.Now(), cpuTime()
			for i := range calls {
				if err := do(i); err != nil {
					return fmt.Errorf("%s: call %d: %w", t.name, i, err)
				}
			}
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(calls) }
			cpu[t.name] = append(cpu[t.name], per(cpuTime()-used))
			wall[t.name] = append(wall[t.name], per(time.Since(began)))
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tµs\tCPU µs\t")
	for _, t := range tests {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t\n", t.name, median(wall[t.name]), median(cpu[t.name]))
	}
	_ = w.Flush()
	for _, kind := range []string{"right", "wrong"} {
		memory, shared := "verify-"+kind+" memory", "verify-"+kind+" redis"
		fmt.Printf("COST authenticator %s cpu-µs=%.1f\n", memory, median(cpu[memory]))
		fmt.Printf("RATIO authenticator %s vs=hmac %.1f\n", memory, median(cpu[memory])/median(cpu["hmac"]))
		if least := wall["get+evalsha"]; least != nil {
			fmt.Printf("RATIO authenticator %s vs=get+evalsha %.2f\n", shared, median(least)/median(wall[shared]))
		}
	}
	return nil
}

// hmacs is one HMAC-SHA256 of 64 octets a call, as a key is derived.
func hmacs() test {
	return test{"hmac", func(int) (func(int) error, error) {
		key, message := make([]byte, 32), make([]byte, 64)
		return func(int) error {
			h := hmac.New(sha256.New, key)
			h.Write(message)
			h.Sum(nil)
			return nil
		}, nil
	}}
}

const bareSwap = `#!lua
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`

// bareRedis reads a value of the same length and swaps it.
func bareRedis(client *redis.Client) test {
	return test{"get+evalsha", func(int) (func(int) error, error) {
		ctx, script, value := context.Background(), redis.NewScript(bareSwap), make([]byte, 160)
		if err := client.Set(ctx, "bare", value, 0).Err(); err != nil {
			return nil, err
		}
		return func(int) error {
			now, err := client.Get(ctx, "bare").Result()
			if err != nil {
				return err
			}
			return script.Run(ctx, client, []string{"bare"}, now, value).Err()
		}, nil
	}}
}

// verify calls Verify once for each subject. Every subject has an app.
func verify(where, kind string, s store.Credentials) test {
	return test{"verify-" + kind + " " + where, func(calls int) (func(int) error, error) {
		ctx := context.Background()
		svc, err := authenticator.New(authenticator.Config{Issuer: "Bench", Keys: otp.NewKeyring(), Store: s})
		if err != nil {
			return nil, err
		}
		subjects, codes := make([]string, calls), make([]string, calls)
		want := otp.Reason("")
		for i := range subjects {
			subjects[i] = rand.Text()
			k := authenticator.Key{Secret: make([]byte, 20), App: true, Digits: 6, Period: 30 * time.Second}
			_, _ = rand.Read(k.Secret)
			_, err := svc.Enroll(ctx, authenticator.Request{Subject: subjects[i], Key: &k, Confirmed: true})
			if err != nil {
				return nil, err
			}
			if codes[i], err = (oath.TOTP{}).Generate(otp.Seed{Key: k.Secret, Time: time.Now()}); err != nil {
				return nil, err
			}
			switch kind {
			case "wrong":
				want, codes[i] = otp.ReasonWrong, other("000000", k.Secret)
			case "locked":
				want = otp.ReasonLocked
				for range 10 {
					_, _ = svc.Verify(ctx, subjects[i], other("000000", k.Secret))
				}
			}
		}
		return func(i int) error {
			if _, err := svc.Verify(ctx, subjects[i], codes[i]); otp.ReasonOf(err) != want {
				return fmt.Errorf("the outcome is %w, not %q", err, want)
			}
			return nil
		}, nil
	}}
}

// other returns code, or another one if a code of the secret is near it.
func other(code string, secret []byte) string {
	for d := -5; d <= 5; d++ {
		near, _ := (oath.TOTP{}).Generate(otp.Seed{Key: secret, Time: time.Now().Add(time.Duration(d) * 30 * time.Second)})
		if near == code {
			return "111111"
		}
	}
	return code
}

// cpuTime is this process's.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
