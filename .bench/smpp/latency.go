package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// A loaded run is what one child shows.
type loaded struct {
	Full    float64 // messages per second that are sustained
	Half    delays  // at half of that
	Light   delays  // at a twentieth of it
	Nothing delays  // of the same arrivals as Half when nothing is sent: the machine's own
}

// The delays of one run, in µs.
type delays struct {
	Rate      float64   // messages per second that arrived
	LeftOut   float64   // percent of them that met slow cores, and count for Any and Costs only
	Any       quantiles // as Send, of these, too
	Send      quantiles // from when the source has written the arrival
	Due       quantiles // from when it was due
	Source    quantiles // of the source alone
	All, Slow breakdown // of all messages, and of the slowest 2 in 100
	Costs     costs
}

type quantiles struct{ P50, P90, P99, Max float64 }

// A breakdown is the mean time of each leg, in µs.
type breakdown [stations]float64

// costs are those of the client's process.
type costs struct {
	CPU            float64 // µs of a message
	Allocs, Octets float64 // of a message, on the heap
	GCs            float64 // collections per second
}

const latencyWindow = 100

// latency prints the delays of Send through failover at half load, or at a rate.
func latency(addr string, rounds int, scale, rate float64) error {
	var all []loaded
	for range rounds {
		l, err := runChild[loaded](roleLatency, job{
			Addr: addr, Client: order[0], Window: latencyWindow, N: max(int(300_000*scale), 1000), Rate: rate,
		})
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	fmt.Println()
	if rate == 0 {
		fmt.Printf("%.0f messages/s at full load\n", median(all, func(l loaded) float64 { return l.Full }))
	}
	fmt.Printf("Send through failover, at half of full load unless it says more, in µs, medians of %d rounds\n", rounds)
	printDelays(all)
	printLegs(all)
	fmt.Printf("P99 smpp failover half-load %.0f\n", median(all, func(l loaded) float64 { return l.Half.Send.P99 }))
	return nil
}

func printDelays(all []loaded) {
	half := func(l loaded) delays { return l.Half }
	send := func(d delays) quantiles { return d.Send }
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tarrivals /s\tleft out, %\tp50\tp90\tp99\tmax\tCPU µs\tallocs\toctets\tGC /s\t")
	for _, row := range []struct {
		name string
		of   func(loaded) delays
		part func(delays) quantiles
	}{
		{"Send", half, send},
		{"with those left out", half, func(d delays) quantiles { return d.Any }},
		{"from when it was due", half, func(d delays) quantiles { return d.Due }},
		{"source's lateness", half, func(d delays) quantiles { return d.Source }},
		{"Send, a twentieth of full load", func(l loaded) delays { return l.Light }, send},
		{"nothing, for comparison", func(l loaded) delays { return l.Nothing }, send},
	} {
		of := func(value func(delays, quantiles) float64) float64 {
			return median(all, func(l loaded) float64 { return value(row.of(l), row.part(row.of(l))) })
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t%.0f\t\n", row.name,
			of(func(d delays, _ quantiles) float64 { return d.Rate }),
			of(func(d delays, _ quantiles) float64 { return d.LeftOut }),
			of(func(_ delays, q quantiles) float64 { return q.P50 }),
			of(func(_ delays, q quantiles) float64 { return q.P90 }),
			of(func(_ delays, q quantiles) float64 { return q.P99 }),
			of(func(_ delays, q quantiles) float64 { return q.Max }),
			of(func(d delays, _ quantiles) float64 { return d.Costs.CPU }),
			of(func(d delays, _ quantiles) float64 { return d.Costs.Allocs }),
			of(func(d delays, _ quantiles) float64 { return d.Costs.Octets }),
			of(func(d delays, _ quantiles) float64 { return d.Costs.GCs }))
	}
	_ = w.Flush()
}

// printLegs prints where the time goes at half load.
func printLegs(all []loaded) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nwhere it goes at half load, mean µs\tall messages\tslowest 2 in 100\t")
	for at := written + 1; at < stations; at++ {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t\n", legs[at],
			median(all, func(l loaded) float64 { return l.Half.All[at] }),
			median(all, func(l loaded) float64 { return l.Half.Slow[at] }))
	}
	_ = w.Flush()
}
