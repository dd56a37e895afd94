package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

var windows = []int{1, 10, 100}

// messages is how many each run sends, by window: a second or two for the
// slowest client.
var messages = map[int]int{1: 20_000, 10: 60_000, 100: 150_000}

// A figure is what one run, or the median of several, shows.
type figure struct {
	PerSecond float64
	CPU       float64 // µs per message
	Allocs    float64 // per message
}

// runClient warms up and measures one client.
func runClient(j job) (figure, error) {
	open := clients[j.Client]
	if open == nil {
		return figure{}, fmt.Errorf("no such client")
	}
	c, err := open(j.Addr, j.Window)
	if err != nil {
		return figure{}, err
	}
	if err := c.send(j.N/10 + j.Window); err != nil {
		return figure{}, err
	}
	before, err := usageNow()
	if err != nil {
		return figure{}, err
	}
	if err := c.send(j.N); err != nil {
		return figure{}, err
	}
	after, err := usageNow()
	if err != nil {
		return figure{}, err
	}
	n := float64(j.N)
	return figure{
		PerSecond: n / after.at.Sub(before.at).Seconds(),
		CPU:       float64((after.cpu - before.cpu).Microseconds()) / n,
		Allocs:    float64(after.allocs-before.allocs) / n,
	}, c.close()
}

// speed compares the clients and prints the table and the ratios.
func speed(addr string, rounds int, scale float64) error {
	medians := map[string]map[int]figure{}
	for _, name := range order {
		medians[name] = map[int]figure{}
	}
	for _, window := range windows {
		n := max(int(float64(messages[window])*scale), 10*window)
		runs := map[string][]figure{}
		for round := range rounds {
			for i := range order { // nobody always follows the same client
				name := order[(i+round)%len(order)]
				f, err := runChild[figure](roleClient, job{Addr: addr, Client: name, Window: window, N: n})
				if err != nil {
					return err
				}
				runs[name] = append(runs[name], f)
			}
		}
		for name, all := range runs {
			medians[name][window] = medianFigure(all)
		}
	}
	printTable(medians, rounds)
	for _, window := range windows {
		for _, name := range order[1:] {
			fmt.Printf("RATIO smpp window=%d vs=%s %.2f\n", window, name,
				medians[order[0]][window].PerSecond/medians[name][window].PerSecond)
		}
	}
	return nil
}

func printTable(medians map[string]map[int]figure, rounds int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Printf("submit_sm of %d octets, medians of %d rounds\n", submitLen, rounds)
	fmt.Fprint(w, "client\t")
	for _, window := range windows {
		fmt.Fprintf(w, "window %d: /s\tCPU µs\tallocs\t", window)
	}
	fmt.Fprintln(w)
	for _, name := range order {
		fmt.Fprintf(w, "%s\t", name)
		for _, window := range windows {
			f := medians[name][window]
			fmt.Fprintf(w, "%.0f\t%.2f\t%.1f\t", f.PerSecond, f.CPU, f.Allocs)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
}

func medianFigure(all []figure) figure {
	return figure{
		PerSecond: median(all, func(f figure) float64 { return f.PerSecond }),
		CPU:       median(all, func(f figure) float64 { return f.CPU }),
		Allocs:    median(all, func(f figure) float64 { return f.Allocs }),
	}
}

// median is the middle one of the values, the mean of the two in the middle
// where they are even in number.
func median[T any](all []T, of func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = of(v)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
