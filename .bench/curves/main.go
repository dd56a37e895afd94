// Command curves measures what one process and one server do as the number of pending
// challenges, binds, tenants and workers grows, and prints the tables of otp/CAPACITY.md. It is a
// module of its own, so run it from the repository as
//
//	go -C .bench run ./curves
//
// or with -most 1000000, -each 2s, -only pending,binds,tenants,workers,processes,needs. With -write
// ../otp/CAPACITY.md it replaces the tables of that page. In full it takes some eight minutes and
// 6 GB, and needs redis-server and PostgreSQL.
//
// Client and server share the processors. CPU is that of both. Each row has the speed of the
// machine just before it, in SHA-256 digests a second of all processors: rows of a busy machine show
// less of both.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A bench is what the tables share.
type bench struct {
	ctx  context.Context
	most int           // pending challenges in memory
	each time.Duration // of a figure, about

	// found is what the last table is computed from.
	found struct {
		stores map[string]storeFigure // with the most pending challenges
		bind   float64                // messages a second over one
	}
}

// A storeFigure is what a code costs in a store.
type storeFigure struct {
	code   figure
	wrong  float64 // wrong codes a second
	octets int64   // of a pending challenge
	left   int64   // octets that a code leaves
}

// most in Redis and PostgreSQL.
const mostShared = 1_000_000

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var tables = []struct {
	name    string
	measure func(b *bench) ([]table, error)
}{
	{"pending", measurePending}, {"binds", measureBinds}, {"tenants", measureTenants}, {"workers", measureWorkers},
	{"processes", measureProcesses}, {"needs", computeNeeds},
}

func run() error {
	most := flag.Int("most", 10_000_000, "pending challenges in memory; in Redis and PostgreSQL 1000000 at most")
	each := flag.Duration("each", time.Second, "of each figure, about")
	only := flag.String("only", "pending,binds,tenants,workers,processes,needs", "tables to measure")
	write := flag.String("write", "", "page whose tables are replaced")
	number := flag.String("child", "", "number of a process of the table of processes; the argument is its server")
	flag.Parse()
	if *number != "" {
		return child(context.Background(), *number, flag.Arg(0), *each)
	}
	if flag.NArg() > 0 || *most < 1000 || *each <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	b := &bench{ctx: context.Background(), most: *most, each: *each}
	b.found.stores = map[string]storeFigure{}
	began := time.Now()
	page := &strings.Builder{}
	fmt.Fprintf(page, "Measured by `go -C .bench run ./curves` on %s, in one run from %s to ", machine(b.ctx),
		began.UTC().Format("2006-01-02 15:04"))
	measured := &strings.Builder{}
	for _, t := range tables {
		if !slices.Contains(strings.Split(*only, ","), t.name) {
			continue
		}
		all, err := t.measure(b)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		for _, t := range all {
			t.print(measured)
		}
	}
	fmt.Fprintf(page, "%s UTC. The load average was %s at its end.\n%s", time.Now().UTC().Format("15:04"), load(),
		measured)
	fmt.Print(page)
	fmt.Fprintf(os.Stderr, "in %v\n", time.Since(began).Round(time.Second))
	if *write != "" {
		return replaceTables(*write, page.String())
	}
	return nil
}

// machine describes the machine and the servers.
func machine(ctx context.Context) string {
	cpu := "an unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer func() { _ = f.Close() }()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	redis, _ := exec.CommandContext(ctx, "redis-server", "--version").Output()
	version := "unknown"
	for _, word := range strings.Fields(string(redis)) {
		if v, ok := strings.CutPrefix(word, "v="); ok {
			version = v
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, Redis %s", runtime.NumCPU(), cpu, runtime.Version(), version)
}

// load returns the load averages of 1, 5 and 15 minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
