package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/lifecycle"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errClosed = errors.New("carrier: channel closed")

func newLifecycle(c lifecycle.Config) *lifecycle.Lifecycle {
	c.Package, c.Closed, c.Timeout = "carrier", errClosed, 15*time.Second
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return lifecycle.New(c)
}

func accept(context.Context, channel.Receipt) error { return nil }

func TestCallEndsAtTheTimeoutOrTheCodesEnd(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		expires time.Duration // 0: never
		after   time.Duration
		cause   error
	}{
		"no end":   {0, 15 * time.Second, context.DeadlineExceeded},
		"long":     {time.Minute, 15 * time.Second, context.DeadlineExceeded},
		"expiring": {7 * time.Second, 7 * time.Second, message.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, start, expires := newLifecycle(lifecycle.Config{}), time.Now(), time.Time{}
				if row.expires > 0 {
					expires = start.Add(row.expires)
				}
				ctx, end, err := l.Begin(t.Context(), "carrier: send", expires)
				if err != nil {
					t.Fatal(err)
				}
				<-ctx.Done()
				if cause := context.Cause(ctx); time.Since(start) != row.after || !errors.Is(cause, row.cause) {
					t.Errorf("%v after %v", cause, time.Since(start))
				}
				end()
				_ = l.Close()
			})
		})
	}
}

// Shutdown waits for a call, and Close cuts it off; both refuse the next call.
func TestCallsAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		stop func(*lifecycle.Lifecycle) error
		took time.Duration
		err  error
	}{
		"Close": {(*lifecycle.Lifecycle).Close, 0, nil},
		"Shutdown": {
			func(l *lifecycle.Lifecycle) error { return l.Shutdown(context.Background()) }, 3 * time.Second, nil,
		},
		"Shutdown, too long": {func(l *lifecycle.Lifecycle) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return l.Shutdown(ctx)
		}, time.Second, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, start := newLifecycle(lifecycle.Config{Receipt: accept}), time.Now()
				ctx, end, err := l.Begin(t.Context(), "carrier: send", time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					defer end()
					select {
					case <-time.After(3 * time.Second):
					case <-ctx.Done():
						if cause := context.Cause(ctx); !errors.Is(cause, errClosed) {
							t.Errorf("the call was cut off by %v", cause)
						}
					}
				}()
				if err := row.stop(l); !errors.Is(err, row.err) || time.Since(start) != row.took {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				_, _, err = l.Begin(t.Context(), "carrier: send", time.Time{})
				e, ok := errors.AsType[*channel.Error](err)
				if !ok || e.Class != channel.Temporary || e.Op != "carrier: send" || !errors.Is(err, errClosed) {
					t.Errorf("a call after the end: %v", err)
				}
				sent := follow.Update{ProviderID: "1", State: channel.Sent}
				if err := l.Follower.Report(t.Context(), sent); !errors.Is(err, errClosed) {
					t.Errorf("a report after the end: %v", err)
				}
				if err := l.Close(); err != nil {
					t.Errorf("Close again: %v", err)
				}
			})
		})
	}
}

func TestNegativePollIntervalPollsNever(t *testing.T) {
	t.Parallel()
	for interval, want := range map[time.Duration]int{time.Minute: 1, -1: 0} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			l := newLifecycle(lifecycle.Config{
				Receipt: accept, PollInterval: interval,
				Poll: func(context.Context, string) (follow.Update, error) {
					asked++
					return follow.Update{ProviderID: "1", State: channel.Delivered}, nil
				},
			})
			l.Follower.Follow(follow.Message{ProviderID: "1", Expires: time.Now().Add(5 * time.Minute)})
			time.Sleep(10 * time.Minute)
			_ = l.Close()
			if asked != want {
				t.Errorf("interval %v: polled %d times, want %d", interval, asked, want)
			}
		})
	}
}

func TestMisconfigurationIsLoggedAsAnError(t *testing.T) {
	t.Parallel()
	for class, want := range map[channel.Class]string{channel.Misconfigured: "ERROR", channel.Temporary: "DEBUG"} {
		var log bytes.Buffer
		l := newLifecycle(lifecycle.Config{
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		l.NotSent(t.Context(), &channel.Error{Class: class, Op: "carrier: send"})
		_ = l.Close()
		if got := log.String(); !strings.Contains(got, "level="+want+` msg="carrier: message not sent"`) {
			t.Errorf("%v: %s", class, got)
		}
	}
}
