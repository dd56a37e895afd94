package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// Delays of one run, or the medians of several, in µs.
type delays struct {
	Full, Rate         float64 // messages per second that are sustained, and that arrived
	P50, P90, P99, Max float64
}

const latencyWindow = 100

// latency prints the delays of Send through failover at half load.
func latency(addr string, rounds int, scale float64) error {
	var all []delays
	for range rounds {
		d, err := runChild[delays](roleLatency, job{
			Addr: addr, Client: order[0], Window: latencyWindow, N: max(int(300_000*scale), 1000),
		})
		if err != nil {
			return err
		}
		all = append(all, d)
	}
	of := func(value func(delays) float64) float64 { return median(all, value) }
	fmt.Printf("Send through failover at half load, medians of %d rounds, µs\n", rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "full load /s\tarrivals /s\tp50\tp90\tp99\tmax\t")
	p99 := of(func(d delays) float64 { return d.P99 })
	fmt.Fprintf(w, "%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n",
		of(func(d delays) float64 { return d.Full }), of(func(d delays) float64 { return d.Rate }),
		of(func(d delays) float64 { return d.P50 }), of(func(d delays) float64 { return d.P90 }),
		p99, of(func(d delays) float64 { return d.Max }))
	_ = w.Flush()
	fmt.Printf("P99 smpp failover half-load %.0f\n", p99)
	return nil
}

// runLatency finds the rate that is sustained, and then the delays at half of it.
func runLatency(j job) (delays, error) {
	c, err := openClient(j.Addr, j.Window)
	if err != nil {
		return delays{}, err
	}
	route := channel.Route{Name: "smsc", Channel: c, Address: channel.Phone}
	through, err := failover.New(failover.Config{Router: failover.List(route)})
	if err != nil {
		return delays{}, err
	}
	send := func(int) error {
		_, err := through.Send(context.Background(), newMessage(time.Now()))
		return err
	}
	if err := inParallel(j.Window, j.N/10, send); err != nil {
		return delays{}, err
	}
	began := time.Now()
	if err := inParallel(j.Window, j.N, send); err != nil {
		return delays{}, err
	}
	full := float64(j.N) / time.Since(began).Seconds()
	d, err := arrivals(j.N, full/2, j.Window, send)
	d.Full = full
	return d, errors.Join(err, c.Shutdown(context.Background()))
}

// arrivals sends n messages at a steady rate and returns their delays, each
// counted from when it was due, whatever held it up.
func arrivals(n int, rate float64, workers int, send func(int) error) (delays, error) {
	took := make([]time.Duration, n)
	due := make(chan int, n)
	began := time.Now()
	at := func(i int) time.Duration { return time.Duration(float64(i) / rate * float64(time.Second)) }
	go func() {
		defer close(due)
		for i := 0; i < n; {
			for now := time.Since(began); i < n && at(i) <= now; i++ {
				due <- i
			}
			// The runtime's timers are too coarse for this.
			_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(50 * time.Microsecond)}, nil)
		}
	}()
	err := inParallel(workers, workers, func(w int) error {
		for i := range due {
			if err := send(w); err != nil {
				return err
			}
			took[i] = time.Since(began) - at(i)
		}
		return nil
	})
	elapsed := time.Since(began)
	slices.Sort(took)
	percentile := func(p float64) float64 {
		return float64(took[min(int(p*float64(n)), n-1)].Nanoseconds()) / 1e3
	}
	return delays{
		Rate: float64(n) / elapsed.Seconds(),
		P50:  percentile(0.5), P90: percentile(0.9), P99: percentile(0.99), Max: percentile(1),
	}, err
}
