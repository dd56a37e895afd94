package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// A loaded run is what one child shows.
type loaded struct {
	Full    float64 // messages per second that are sustained
	Send    delays  // at half of that
	Light   delays  // at a twentieth of it
	Nothing delays  // of the same arrivals when nothing is sent: the machine's own
}

// The delays of one run, in µs.
type delays struct {
	Rate               float64 // messages per second that arrived
	P50, P90, P99, Max float64
}

const latencyWindow = 100

// latency prints the delays of Send through failover at half load.
func latency(addr string, rounds int, scale float64) error {
	var all []loaded
	for range rounds {
		l, err := runChild[loaded](roleLatency, job{
			Addr: addr, Client: order[0], Window: latencyWindow, N: max(int(300_000*scale), 1000),
		})
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	full := median(all, func(l loaded) float64 { return l.Full })
	fmt.Printf(
		"\nSend through failover, %.0f messages/s at full load, delays at half of it in µs, medians of %d rounds\n",
		full, rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tarrivals /s\tp50\tp90\tp99\tmax\t")
	for _, row := range []struct {
		name string
		of   func(loaded) delays
	}{
		{"Send", func(l loaded) delays { return l.Send }},
		{"Send, a twentieth of full load", func(l loaded) delays { return l.Light }},
		{"nothing, for comparison", func(l loaded) delays { return l.Nothing }},
	} {
		of := func(value func(delays) float64) float64 {
			return median(all, func(l loaded) float64 { return value(row.of(l)) })
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", row.name,
			of(func(d delays) float64 { return d.Rate }), of(func(d delays) float64 { return d.P50 }),
			of(func(d delays) float64 { return d.P90 }), of(func(d delays) float64 { return d.P99 }),
			of(func(d delays) float64 { return d.Max }))
	}
	_ = w.Flush()
	fmt.Printf("P99 smpp failover half-load %.0f\n", median(all, func(l loaded) float64 { return l.Send.P99 }))
	return nil
}

// runLatency finds the rate that is sustained, and then the delays at half of it.
func runLatency(j job) (loaded, error) {
	c, err := openClient(j.Addr, j.Window)
	if err != nil {
		return loaded{}, err
	}
	route := channel.Route{Name: "smsc", Channel: c, Address: channel.Phone}
	through, err := failover.New(failover.Config{Router: failover.List(route)})
	if err != nil {
		return loaded{}, err
	}
	messages := make([]channel.Message, j.Window)
	send := func(w int) error {
		setMessage(&messages[w], time.Now())
		_, err := through.Send(context.Background(), &messages[w])
		return err
	}
	if err := inParallel(j.Window, j.N/10, send); err != nil {
		return loaded{}, err
	}
	began := time.Now()
	if err := inParallel(j.Window, j.N, send); err != nil {
		return loaded{}, err
	}
	l := loaded{Full: float64(j.N) / time.Since(began).Seconds()}
	if l.Send, err = arrivals(j.N, l.Full/2, j.Window, send); err != nil {
		return loaded{}, err
	}
	if l.Light, err = arrivals(j.N/10, l.Full/20, j.Window, send); err != nil {
		return loaded{}, err
	}
	if l.Nothing, err = arrivals(j.N, l.Full/2, j.Window, func(int) error { return nil }); err != nil {
		return loaded{}, err
	}
	return l, c.Shutdown(context.Background())
}

// arrivals sends n messages that arrive at a steady rate, whether or not earlier
// ones are answered, and returns their delays from their arrival on. A process
// of its own beats the time: in this one the beat would need a processor that
// Send needs too.
func arrivals(n int, rate float64, workers int, send func(int) error) (delays, error) {
	beat, err := self(roleBeat, strconv.Itoa(n), strconv.FormatFloat(rate, 'f', -1, 64))
	if err != nil {
		return delays{}, err
	}
	pipe, err := beat.StdoutPipe()
	if err != nil {
		return delays{}, err
	}
	if err := beat.Start(); err != nil {
		return delays{}, err
	}
	arrived := make(chan time.Time, n)
	began := time.Now()
	go func() {
		defer close(arrived)
		buf := make([]byte, 4096)
		for {
			k, err := pipe.Read(buf)
			now := time.Now()
			for range k {
				arrived <- now
			}
			if err != nil {
				return
			}
		}
	}()
	took := make([][]time.Duration, workers)
	err = inParallel(workers, workers, func(w int) error {
		for at := range arrived {
			if err := send(w); err != nil {
				return err
			}
			took[w] = append(took[w], time.Since(at))
		}
		return nil
	})
	elapsed := time.Since(began)
	if err := errors.Join(err, beat.Wait()); err != nil {
		return delays{}, err
	}
	return summary(slices.Concat(took...), elapsed), nil
}

func summary(took []time.Duration, elapsed time.Duration) delays {
	slices.Sort(took)
	percentile := func(p float64) float64 {
		return float64(took[min(int(p*float64(len(took))), len(took)-1)].Nanoseconds()) / 1e3
	}
	return delays{
		Rate: float64(len(took)) / elapsed.Seconds(),
		P50:  percentile(0.5), P90: percentile(0.9), P99: percentile(0.99), Max: percentile(1),
	}
}

// keepBeat writes an octet for each of n arrivals when it is due.
func keepBeat() error {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		return err
	}
	octets := make([]byte, n)
	began := time.Now()
	for written := 0; written < n; {
		if due := min(int(time.Since(began).Seconds()*rate), n); due > written {
			if _, err := os.Stdout.Write(octets[written:due]); err != nil {
				return err
			}
			written = due
		}
		// The runtime's timers are too coarse for this.
		_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(50 * time.Microsecond)}, nil)
	}
	return nil
}
