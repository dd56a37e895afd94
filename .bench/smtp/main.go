// Command smtp measures this library's SMTP channel against other clients and
// against plain sockets. It is a module of its own, so run it from the
// repository as
//
//	go -C .bench run ./smtp
//
// or with -rounds 9, -time 1s, -only otpcourier,raw.
//
// One sink process takes the mail of all: over loopback in the clear and under
// TLS, and under TLS with 10 ms before each reply. Every client keeps its
// connections and sends a mail of about 1.1 KB, one after the other on each.
// otpcourier, go-mail and nodemailer write each mail anew. go-smtp, net/smtp and
// raw send a mail that was written before. Each way is measured in rounds that
// alternate between clients, after which lines are printed like
//
//	RATIO smtp tls conns=8 vs=nodemailer 5.20
//
// and in the end a table of the medians, in messages a second.
//
// The line otpcourier+dkim is what signing each mail by RSA-2048 leaves of
// otpcourier's; it is compared with nobody else's.
//
// nodemailer 10 is used from NODE_PATH, or else installed by npm into a temporary
// directory. If node is not there, nodemailer is left out, which is said.
//
// Figures from a machine with other work on it are of the machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A column is one way to measure.
type column struct {
	name   string
	server string // of the sink's
	conns  int
}

var columns = []column{
	{"plain conns=1", plain, 1},
	{"plain conns=8", plain, 8},
	{"tls conns=1", secure, 1},
	{"tls conns=8", secure, 8},
	{"tls-10ms conns=32", slow, 32},
}

func main() {
	if os.Getenv(roleVariable) == roleSink {
		if err := sink(); err != nil {
			fmt.Fprintln(os.Stderr, "sink:", err)
			os.Exit(1)
		}
		return
	}
	if err := compare(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func compare() error {
	rounds := flag.Int("rounds", 5, "how often each is measured")
	during := flag.Duration("time", 500*time.Millisecond, "for how long")
	only := flag.String("only", "", "clients, separated by commas")
	column := flag.String("column", "", "one column")
	profile := flag.String("cpuprofile", "", "write a CPU profile of this process")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	chosen, cleanUp, err := clients(*only)
	if err != nil {
		return err
	}
	defer cleanUp()
	s, err := startSink()
	if err != nil {
		return err
	}
	defer s.stop()
	results := make(map[string][]float64) // by client and column
	for _, col := range columns {
		if *column != "" && *column != col.name {
			continue
		}
		for range *rounds {
			for _, c := range chosen {
				runtime.GC()
				rate, err := c.measure(s.target(col), col.conns, *during)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, col.name, err)
				}
				results[c.name+"/"+col.name] = append(results[c.name+"/"+col.name], rate)
			}
		}
		printRatios(col, chosen, results)
	}
	printTable(chosen, results)
	return nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// printRatios compares this library with the others in one column.
func printRatios(col column, chosen []client, results map[string][]float64) {
	kind, conns, _ := strings.Cut(col.name, " ")
	own := median(results[ours+"/"+col.name])
	for _, c := range chosen {
		other := median(results[c.name+"/"+col.name])
		if c.name != ours && c.name != signed && other > 0 && own > 0 {
			fmt.Printf("RATIO smtp %s %s vs=%s %.2f\n", kind, conns, c.name, own/other)
		}
	}
}

func printTable(chosen []client, results map[string][]float64) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "messages/s\t")
	for _, col := range columns {
		fmt.Fprint(w, col.name, "\t")
	}
	fmt.Fprintln(w)
	for _, c := range chosen {
		fmt.Fprint(w, c.name, "\t")
		for _, col := range columns {
			fmt.Fprintf(w, "%.0f\t", median(results[c.name+"/"+col.name]))
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
}
