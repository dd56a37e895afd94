package otp_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/otpcourier/otpcourier/store"
)

// setting reads a number from the environment.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// TestEveryHistory plays random histories of several Services on one store, in virtual
// time: people who ask, ask again, guess and cancel; providers that take, refuse, hang and
// panic, and whose receipts come early, late, twice or not; calls that fail, whose answers
// are lost, or after which a process is dead; clocks that differ. Every rule of
// history_rules_test.go holds in each.
//
//	OTPCOURIER_HISTORIES=20000 go test -run TestEveryHistory -timeout 1h ./otp
//	OTPCOURIER_SEED=4711 OTPCOURIER_HISTORIES=1 go test -run TestEveryHistory -v ./otp
//
// The second plays the history of one seed, and prints its events if it breaks a rule. Events
// at the same instant may have another order in another run.
func TestEveryHistory(t *testing.T) {
	t.Parallel()
	n := 250
	if testing.Short() {
		n = 100
	}
	inMemory := func() newBackend { return historyMemory }
	playHistories(t, setting("OTPCOURIER_SEED", 1), setting("OTPCOURIER_HISTORIES", n), inMemory)
}

// A newBackend makes a backend in the bubble that it is for.
type newBackend func() historyBackend

// playHistories plays the histories of n seeds, until three have broken a rule. prepare is called
// before each, outside of its bubble.
func playHistories(t *testing.T, from, n int, prepare func() newBackend) {
	t.Helper()
	broken, dead, calls, writes, verified, ended := 0, 0, 0, 0, 0, map[string]int{}
	for seed := from; seed < from+n && broken < 3; seed++ {
		var h *history
		backend := prepare()
		synctest.Test(t, func(*testing.T) { h = playHistory(uint64(seed), backend()) })
		calls += len(h.w.calls)
		for _, r := range h.w.records {
			writes += len(r.writes)
			state := r.delivery.Phase.String()
			if r.outcome != store.Open {
				state = r.outcome.String()
			}
			ended[state]++
		}
		for _, p := range h.procs {
			if p.dead.Load() {
				dead++
			}
		}
		for _, s := range h.people {
			verified += len(s.verified)
		}
		if len(h.broken) > 0 {
			slices.Sort(h.broken)
			t.Errorf("seed %d breaks rules:\n%s\nplan: %v", seed, strings.Join(h.broken, "\n"), h.pl)
			if broken++; broken == 1 {
				t.Log("what happened:\n" + h.w.trace())
			}
		}
	}
	t.Logf("%d histories: %d messages, %d changes of records, %d processes died, %d codes verified; "+
		"challenges ended %v", n, calls, writes, dead, verified, ended)
}
