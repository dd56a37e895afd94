package main

import (
	"fmt"
	"io"
	"strings"
)

// table prints a row for each attack.
func table(out io.Writer, rows []row) {
	fmt.Fprintf(out, "%-10s  %-48s  %9s  %21s  %21s\n", "", "", "", "without a guard", "with a guard")
	fmt.Fprintf(out, "%-10s  %-48s  %9s  %8s  %11s  %8s  %11s\n", "attack", "", "asked for", "sent", "people lost",
		"sent", "people lost")
	for _, r := range rows {
		fmt.Fprintf(out, "%-10s  %-48s  %9d  %8d  %10.1f%%  %8d  %10.1f%%\n", r.attack, r.what, r.without.bots,
			r.without.botsSent, r.without.lost(), r.with.botsSent, r.with.lost())
	}
}

// lost returns the share of people without a code, in percent.
func (t tally) lost() float64 { return 100 * float64(t.refused) / float64(t.people) }

// chart draws what each attack cost.
func chart(out io.Writer, rows []row) {
	const width = 50
	most := 0.0
	for _, r := range rows {
		most = max(most, r.without.cents, r.with.cents)
	}
	bar := func(cents float64) string {
		eighths := int(8*width*cents/most + 0.5)
		b := strings.Repeat("█", eighths/8)
		if rest := eighths % 8; rest > 0 {
			b += string([]rune(" ▏▎▍▌▋▊▉")[rest])
		}
		return b
	}
	fmt.Fprintln(out, "\nUS dollars that each attack cost, without and with a guard:")
	for _, r := range rows {
		fmt.Fprintf(out, "%-10s  %8.2f  %s\n%-10s  %8.2f  %s\n", r.attack, r.without.cents/100, bar(r.without.cents),
			"", r.with.cents/100, bar(r.with.cents))
	}
}
