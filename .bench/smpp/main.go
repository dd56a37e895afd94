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
// p99: messages arrive at random, at half the rate that the client is found to
// sustain on average, whether or not earlier ones are answered, and go through
// failover.Channel to an SMSC that answers at once. A process of its own is the
// source of the arrivals. A delay counts from when the source has written the
// arrival into a pipe; the table shows apart how late the source was. The line
//
//	P99 smpp failover half-load 345
//
// is in µs. The second table says where the time goes, for all messages and for
// the slowest 2 in 100. For comparison there are the delays of the same arrivals
// when nothing is sent. To compare two builds, let -rate set the arrivals per
// second. Figures from a machine with other work on it are of the machine.
//
// Some virtual machines run at a tenth of their speed now and then, for a
// twentieth of a second, which shows in any program that counts. The source
// looks at the speed every 3 ms. Messages that met slow cores are left out; the
// table has their share, and a row with them.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
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
		err = beat()
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
	rate := flag.Float64("rate", 0, "p99: messages per second, and nothing else is measured; 0: half of the full load")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *scale <= 0 || (*mode != "all" && *mode != "speed" && *mode != "p99") {
		flag.Usage()
		os.Exit(2)
	}
	if *mode != "p99" {
		if err := withServer(self, func(addr string) error { return speed(addr, *rounds, *scale) }); err != nil {
			return err
		}
	}
	if *mode == "speed" {
		return nil
	}
	return withServer(single, func(addr string) error { return latency(addr, *rounds, *scale, *rate) })
}

func withServer(process func(role string, args ...string) (*exec.Cmd, error), run func(addr string) error) error {
	smsc, err := startServer(process)
	if err != nil {
		return err
	}
	defer smsc.stop()
	return run(smsc.addr)
}

// A job is what a child process is to do.
type job struct {
	Addr   string
	Client string
	Window int
	N      int
	Rate   float64 // messages per second; 0: half of the full load, and others
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
