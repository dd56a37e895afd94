package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A figure is what calls showed.
type figure struct {
	rate float64       // calls a second
	p99  time.Duration // of a call
	cpu  usage         // for a call
}

// measure makes up to most calls, numbered from 0, in g goroutines, until each is over.
func measure(g, most int, each time.Duration, do func(i int) error) (figure, error) {
	var next atomic.Int64
	errs, took := make([]error, g), make([][]time.Duration, g)
	cpu, began := cpuTime(), time.Now()
	var wg sync.WaitGroup
	for w := range g {
		wg.Go(func() {
			for at := time.Now(); at.Sub(began) < each; {
				i := int(next.Add(1)) - 1
				if i >= most {
					return
				}
				if errs[w] = do(i); errs[w] != nil {
					return
				}
				now := time.Now()
				took[w] = append(took[w], now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	cpu = cpuTime().since(cpu)
	all := slices.Concat(took...)
	if err := errors.Join(errs...); err != nil || len(all) == 0 {
		return figure{}, errors.Join(err, fmt.Errorf("%d calls", len(all)))
	}
	return figure{float64(len(all)) / elapsed.Seconds(), p99(all), cpu.each(len(all))}, nil
}

func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*99/100]
}

// inAll makes n calls in g goroutines.
func inAll(g, n int, do func(i int) error) error {
	_, err := measure(g, n, time.Hour, do)
	return err
}

// speed returns how many million SHA-256 digests of 64 octets all processors make in a second.
func speed() string {
	const digests = 100
	var text [64]byte
	f, err := measure(runtime.GOMAXPROCS(0), math.MaxInt, 50*time.Millisecond, func(int) error {
		for range digests {
			sum := sha256.Sum256(text[:])
			runtime.KeepAlive(sum)
		}
		return nil
	})
	if err != nil {
		return "?"
	}
	return fmt.Sprintf("%.1f", f.rate*digests/1e6)
}

// heap frees unused memory and returns the octets in use.
func heap() uint64 {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// usage is time on processors: of this process, and of the servers that it started.
type usage struct{ client, server time.Duration }

func (u usage) since(before usage) usage {
	return usage{u.client - before.client, u.server - before.server}
}

func (u usage) each(n int) usage {
	return usage{u.client / time.Duration(n), u.server / time.Duration(n)}
}

func (u usage) all() time.Duration { return u.client + u.server }

// clockTick is the unit of /proc/*/stat.
const clockTick = 10 * time.Millisecond

// cpuTime returns the times until now of this process, and of all below it and those that they have
// outlived.
func cpuTime() (u usage) {
	var own syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	u.client = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents, times := map[int]int{}, map[int]time.Duration{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // after pid and name
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		parents[pid], _ = strconv.Atoi(fields[1])
		for _, field := range fields[11:15] { // utime, stime, cutime, cstime
			ticks, _ := strconv.Atoi(field)
			times[pid] += time.Duration(ticks) * clockTick
		}
	}
	for pid := range parents {
		up := parents[pid]
		for up > 1 && up != os.Getpid() {
			up = parents[up]
		}
		if up == os.Getpid() {
			u.server += times[pid]
		}
	}
	return u
}

func micros(d time.Duration) string { return thousands(float64(d.Nanoseconds()) / 1e3) }
func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1e3) }
