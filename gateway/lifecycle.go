package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// ErrClosed is the cause of errors after Close or Shutdown.
var ErrClosed = follow.ErrClosed

// A lifecycle is that of a channel which makes requests, from its calls under way
// to its end.
type lifecycle struct {
	web      *web.Client
	follower *follow.Follower
	timeout  time.Duration // of one call
	logger   *slog.Logger

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup

	// ended is cancelled when calls under way must return.
	ended context.Context
	end   context.CancelFunc
}

func (l *lifecycle) start(client *web.Client, timeout time.Duration, logger *slog.Logger, f follow.Config) {
	l.web, l.timeout, l.logger = client, timeout, logger
	l.ended, l.end = context.WithCancel(context.Background())
	l.follower = follow.New(f)
}

// begin admits a call, unless the channel is closed.
func (l *lifecycle) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.sends.Add(1)
	return true
}

// bound ends ctx with the timeout, the code's life, or the channel.
func (l *lifecycle) bound(ctx context.Context, now, expires time.Time) (context.Context, context.CancelFunc) {
	deadline, cause := now.Add(l.timeout), context.DeadlineExceeded
	if !expires.IsZero() && expires.Before(deadline) {
		deadline, cause = expires, errExpired
	}
	ctx, cancelDeadline := context.WithDeadlineCause(ctx, deadline, cause)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ended, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		cancelDeadline()
	}
}

func (l *lifecycle) log(ctx context.Context, err error) {
	level := slog.LevelDebug
	if channel.ClassOf(err) == channel.Misconfigured {
		level = slog.LevelError
	}
	l.logger.LogAttrs(ctx, level, "gateway: message not sent", slog.Any("error", err))
}

// Shutdown refuses further messages and webhooks, ends polling, and waits for
// what is under way. When ctx ends first, that is cut off, as by Close, and
// Shutdown returns the context's error. What was submitted stays submitted: a
// process that starts later hears of it by webhook.
func (l *lifecycle) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		l.sends.Wait()
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = context.Cause(ctx)
		l.end()
		<-idle
	}
	if stopped := l.follower.Shutdown(ctx); err == nil {
		err = stopped
	}
	l.end()
	l.web.Close()
	return err
}

// Close refuses further messages and webhooks and cuts off what is under way,
// which returns at once. It may be called again.
func (l *lifecycle) Close() error {
	l.end()
	_ = l.follower.Close() // cuts off, where Shutdown waits
	return l.Shutdown(context.Background())
}
