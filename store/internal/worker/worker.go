// Package worker is the part of store.Queue's Run that the stores share: it calls handlers,
// decides what becomes of their jobs, and paces the tries to reach a server.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Attempts is how often a failing job is handed out by default. The pauses between, of 1,
// 2, 4, 8, 16 and 58 times 32 s, are 31 min 27 s. This is longer than otp lets a short code
// live, so the last try in a code's life can refund the code's charges.
const Attempts = 64

// Pause returns the pause after the failure of a job's attempt, from 1.
func Pause(attempt int) time.Duration { return time.Second << min(attempt-1, 5) }

var errExited = errors.New("the handler ended its goroutine")

// Call hands j to a handler, and calls ended however the handler ends: if it panics or
// ends its goroutine, it has failed. The context of the handler outlives ctx. A failure is
// logged; the store is the name of the caller's package.
func Call(ctx context.Context, logger *slog.Logger, store string, handle store.Handler, j store.Job, attempt int,
	ended func(again time.Time, failed bool)) {
	var again time.Time
	err := errExited
	defer func() {
		if v := recover(); v != nil { // its text may hold a secret
			err = fmt.Errorf("the handler panicked with a %T at:\n%s", v, debug.Stack())
		}
		ended(again, err != nil)
		if err != nil {
			logger.WarnContext(ctx, store+": job failed", "challenge", j.Challenge, "attempt", attempt, "err", err)
		}
	}()
	again, err = handle(context.WithoutCancel(ctx), j)
}
