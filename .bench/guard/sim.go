package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
	"github.com/otpcourier/otpcourier/store"
)

// index is a key of this benchmark.
var index = []byte("0123456789abcdefghijklmnopqrstuv")

// prefixed is a Limiter whose keys begin with a prefix, so that scenarios on one
// server do not meet.
type prefixed struct {
	store.Limiter
	prefix string
}

func (p prefixed) rename(limits []store.Limit) []store.Limit {
	limits = slices.Clone(limits)
	for i := range limits {
		limits[i].Key = p.prefix + limits[i].Key
	}
	return limits
}

func (p prefixed) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	return p.Limiter.Take(ctx, now, p.rename(limits)...)
}

func (p prefixed) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	return p.Limiter.Give(ctx, taken, now, p.rename(limits)...)
}

// simulate replays every scenario with a seed against each backend.
func simulate(backends []backend, seed uint64, solves float64, only string) (failed error) {
	fmt.Printf("seed %d\n%-11s %-9s %8s %8s %8s %9s %9s\n", seed, "scenario", "backend", "asked", "sent", "bound",
		"refused", "stepped")
	for i, s := range slices.Concat(guardtest.UnderAttack(), guardtest.Peaceful()) {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.Name) {
			continue
		}
		trace := s.Make(seed)
		if s.Lost > 0 && solves != 0.2 {
			trace = again(guardtest.Attacks[i], s, seed, solves)
		}
		var first map[string]*guardtest.Tally
		var firstRules map[string]int
		for _, b := range backends {
			report, rules, err := replay(b, s, seed, trace)
			if err != nil {
				return err
			}
			err = print(b, s, report, solves <= 0.2)
			if first == nil {
				first, firstRules = report, rules
			} else if !reflect.DeepEqual(first, report) || !maps.Equal(firstRules, rules) {
				err = errors.Join(err, fmt.Errorf("%s: the report of %s is not that of memstore", s.Name, b.name))
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// again makes a scenario's trace with bots that pass other shares of step-ups.
func again(k guardtest.Attack, s guardtest.Scenario, seed uint64, solves float64) []guardtest.Attempt {
	trace := slices.DeleteFunc(s.Make(seed), func(a guardtest.Attempt) bool { return a.Label != guardtest.Legit })
	k.Solves = solves
	return guardtest.Merge(trace, k.Make(seed+1))
}

func replay(b backend, s guardtest.Scenario, seed uint64, trace []guardtest.Attempt) (map[string]*guardtest.Tally,
	map[string]int, error) {
	l := prefixed{b.limiter, fmt.Sprintf("%s/%d/", s.Name, seed)}
	g, err := guard.New(guard.Config{Limiter: l, Index: index, Countries: guard.Everywhere(), Budget: s.Budget(),
		Price: guardtest.Price, StepUp: true})
	if err != nil {
		return nil, nil, err
	}
	u := &guardtest.Under{Guard: g, Limiter: l, Rules: map[string]int{}}
	return guardtest.Replay(trace, u), u.Rules, u.Err
}

// print prints a row, and checks the bounds.
func print(b backend, s guardtest.Scenario, report map[string]*guardtest.Tally, bounded bool) error {
	people, sent, asked := report[guardtest.Legit], "", 0
	if s.Lost > 0 {
		people, asked = report["legit/attack"], report[s.Name].Attempts
		sent = fmt.Sprint(report[s.Name].Sent)
	}
	refused := float64(people.Refused) / float64(people.Attempts)
	stepped := float64(people.SteppedUp) / float64(people.Attempts)
	fmt.Printf("%-11s %-9s %8d %8s %8d %8.2f%% %8.2f%%\n", s.Name, b.name, asked, sent, s.Lost, 100*refused,
		100*stepped)
	switch {
	case !bounded:
	case s.Lost > 0 && report[s.Name].Sent > s.Lost:
		return fmt.Errorf("%s: %d messages lost, over %d", s.Name, report[s.Name].Sent, s.Lost)
	case s.Lost == 0 && (refused > s.Refused || stepped > s.SteppedUp):
		return fmt.Errorf("%s: %.3f %% refused, %.3f %% stepped up", s.Name, 100*refused, 100*stepped)
	}
	return nil
}
