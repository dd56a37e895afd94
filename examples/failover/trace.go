package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// A trace keeps the events of one challenge.
type trace struct {
	mu     sync.Mutex
	events []otp.Event
	more   chan struct{} // closed and replaced when an event comes
}

func newTrace() *trace { return &trace{more: make(chan struct{})} }

// add is an otp.Config.Events.
func (t *trace) add(_ context.Context, e otp.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
	close(t.more)
	t.more = make(chan struct{})
}

// clear forgets the events.
func (t *trace) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = nil
}

// wait returns once an event of a route is in the trace.
func (t *trace) wait(ctx context.Context, kind otp.EventKind, route string, state channel.State) error {
	for {
		t.mu.Lock()
		more := t.more
		found := slices.ContainsFunc(t.events, func(e otp.Event) bool {
			return e.Kind == kind && e.Route == route && e.State == state
		})
		t.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("no %s of %s: %w", kind, route, ctx.Err())
		}
	}
}

// print writes every hop, and every receipt behind the message that it is about. A
// step is one message of the challenge.
func (t *trace) print(out io.Writer) {
	t.mu.Lock()
	all := slices.Clone(t.events)
	t.mu.Unlock()
	slices.SortStableFunc(all, func(a, b otp.Event) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), -cmp.Compare(a.Kind, b.Kind)) // "sent" before "receipt"
	})
	for _, e := range all {
		switch e.Kind {
		case otp.EventSent:
			for _, hop := range e.Hops {
				fmt.Fprintf(out, "   step %d  %-5s  %s\n", e.Step, hop.Route, outcome(hop))
			}
			if !told(all, e.Step) && e.Step < all[len(all)-1].Step {
				fmt.Fprintf(out, "   step %d  %-5s  no receipt in %v\n", e.Step, e.Route, await)
			}
		case otp.EventReceipt:
			fmt.Fprintf(out, "   step %d  %-5s  receipt: %s\n", e.Step, e.Route, words(e.State.String(), e.Code))
		}
	}
}

// told reports whether there is a receipt of a step.
func told(all []otp.Event, step int) bool {
	return slices.ContainsFunc(all, func(e otp.Event) bool { return e.Kind == otp.EventReceipt && e.Step == step })
}

func outcome(hop channel.Hop) string {
	took := hop.Took.Round(time.Millisecond)
	if hop.Err == nil {
		return fmt.Sprintf("accepted after %v", took)
	}
	return fmt.Sprintf("refused after %v: %s", took, words(hop.Class.String(), hop.Code))
}

func words(state, code string) string {
	if code == "" {
		return state
	}
	return state + ", " + code
}
