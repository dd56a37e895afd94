package main

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// writtenWithin is how long an answer waits for the outbox, which may be down.
const writtenWithin = time.Second

// A written is what a request waits for: its events on their way to the outbox.
type written struct {
	mu     sync.Mutex
	events []<-chan struct{} // each is closed once the event is in the outbox, or dropped
}

type writtenKey struct{}

// await has the request of ctx wait for an event, if there is a request.
func await(ctx context.Context, done <-chan struct{}) {
	if w, ok := ctx.Value(writtenKey{}).(*written); ok {
		w.mu.Lock()
		w.events = append(w.events, done)
		w.mu.Unlock()
	}
}

// wait waits until the events are in the outbox, for some time at most.
func (w *written) wait() {
	w.mu.Lock()
	events := w.events
	w.mu.Unlock()
	if len(events) == 0 {
		return
	}
	end := time.NewTimer(writtenWithin)
	defer end.Stop()
	for _, done := range events {
		select {
		case <-done:
		case <-end.C:
			return
		}
	}
}

// written has the answers of h wait until the events of their requests are in the outbox:
// what a client has the answer of, the webhooks tell, even if the process is killed then.
// net/http keeps an answer that small until its handler has returned.
func (s *sender) written(h http.Handler) http.Handler {
	if len(s.queues) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		events := &written{}
		q := r.WithContext(context.WithValue(r.Context(), writtenKey{}, events))
		h.ServeHTTP(w, q)
		r.Pattern = q.Pattern // for metrics and spans
		events.wait()
	})
}
