package main

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// The assumptions of the table of needs; otp/CAPACITY.md names each.
const (
	peak      = 10  // the busiest second has so many times the average
	guessed   = 0.3 // wrong codes for each code
	busy      = 0.5 // of a core, so that there is room
	codeLife  = 5 * time.Minute
	dayLength = 24 * time.Hour
)

// computeNeeds derives from the other tables what codes a day need.
func computeNeeds(b *bench) ([]table, error) {
	if len(b.found.stores) == 0 || b.found.bind == 0 {
		return nil, errors.New("the tables of pending challenges and binds are needed")
	}
	t := table{
		title: "**Needs**, computed by the steps above, from the rows with the most pending challenges and with one " +
			"bind.",
		heads: []string{"codes a day", "store", "a second at the peak", "pending at the peak", "cores of processes",
			"cores of servers", "the store's octets", "workers", "binds"},
	}
	for _, codes := range []float64{1e6, 1e8} {
		rate := peak * codes / dayLength.Seconds()
		pending := rate * codeLife.Seconds()
		for _, name := range []string{"Redis", "Redis Cluster", "PostgreSQL"} {
			f, ok := b.found.stores[name]
			if !ok {
				continue
			}
			work := rate * (1 + guessed*f.code.rate/f.wrong) / busy // codes, as if wrong codes were some
			octets := pending*float64(f.octets) + codes*float64(f.left)
			t.add(thousands(codes), name, thousands(rate), thousands(pending), cores(work, f.code.cpu.client),
				cores(work, f.code.cpu.server), fmt.Sprintf("%.1f GB", octets/1e9),
				thousands(math.Ceil(rate*takes.Seconds()/busy)), thousands(math.Ceil(rate/b.found.bind/busy)))
		}
	}
	return []table{t}, nil
}

// cores returns how many take calls of rate.
func cores(rate float64, each time.Duration) string { return fmt.Sprintf("%.1f", rate*each.Seconds()) }
