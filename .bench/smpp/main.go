// Command smpp measures this library's SMPP client against others and against
// plain sockets. It is a module of its own, so run it from the repository as
//
//	go -C .bench run ./smpp
//
// or with -mode speed, -mode p99, -rounds 11, -scale 0.1.
//
// Speed: every client sends the same bounded number of submit_sm of 113 octets
// to one server process over plaintext loopback, with window 1, 10 and 100. For
// those with an API the window is as many goroutines that send one message
// after the other, each waiting for its message id. Each run is a process of
// its own; rounds alternate between clients, and the medians are printed, with
// the CPU time (user and system) and the heap allocations of the client's
// process per message, and then lines like
//
//	RATIO smpp window=100 vs=gosmpp 4.31
//
// p99: messages arrive at half the rate that the client is found to sustain,
// whether or not earlier ones are answered, and go through failover.Channel to
// the same server; a delay counts from when the message arrived. The line
//
//	P99 smpp failover half-load 345
//
// is in µs. For comparison the table has the delays of the same arrivals when
// nothing is sent. Figures from a machine with other work on it are of the machine.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// A process finds its part in the environment and its arguments.
const (
	roleVariable = "OTPCOURIER_BENCH_ROLE"
	roleServer   = "server"
	roleClient   = "client"
	roleLatency  = "latency"
	roleBeat     = "beat"
)

func main() {
	var err error
	switch os.Getenv(roleVariable) {
	case roleServer:
		err = serve()
	case roleClient:
		err = asChild(runClient)
	case roleLatency:
		err = asChild(runLatency)
	case roleBeat:
		err = keepBeat()
	default:
		err = compare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func compare() error {
	mode := flag.String("mode", "all", "speed, p99 or all")
	rounds := flag.Int("rounds", 9, "rounds, of which the median counts")
	scale := flag.Float64("scale", 1, "factor on the number of messages")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *scale <= 0 || (*mode != "all" && *mode != "speed" && *mode != "p99") {
		flag.Usage()
		os.Exit(2)
	}
	smsc, err := startServer()
	if err != nil {
		return err
	}
	defer smsc.stop()
	if *mode != "p99" {
		if err := speed(smsc.addr, *rounds, *scale); err != nil {
			return err
		}
	}
	if *mode != "speed" {
		return latency(smsc.addr, *rounds, *scale)
	}
	return nil
}

// A job is what a child process is to do.
type job struct {
	Addr   string
	Client string
	Window int
	N      int
}

// asChild runs the job of os.Args and prints its result.
func asChild[R any](run func(job) (R, error)) error {
	var j job
	if err := json.Unmarshal([]byte(os.Args[1]), &j); err != nil {
		return err
	}
	overdue := time.AfterFunc(2*time.Minute, func() {
		fmt.Fprintln(os.Stderr, "bench:", j.Client, "does not come to an end")
		os.Exit(1)
	})
	defer overdue.Stop()
	r, err := run(j)
	if err != nil {
		return fmt.Errorf("%s, window %d: %w", j.Client, j.Window, err)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
