package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel/transport"
)

func TestValidatorKeepsTheFirstError(t *testing.T) {
	t.Parallel()
	cause := errors.New("bad host")
	v := transport.Validate("x: Config.")
	v.Check(true, "A", "is required")
	if v.Failed() || v.Err() != nil {
		t.Fatalf("got %v, want no error", v.Err())
	}
	v.Error("Addr", nil)
	v.Error("Addr", cause)
	v.Check(false, "B", "is required")
	if err := v.Err(); !errors.Is(err, cause) || err.Error() != "x: Config.Addr: bad host" {
		t.Fatalf("got %v", err)
	}
}

func TestValidatorDefaultsAndRanges(t *testing.T) {
	t.Parallel()
	var (
		logger *slog.Logger
		wait   time.Duration
		window int
	)
	v := transport.Validate("x: Config.")
	v.Duration("Wait", &wait, time.Second)
	v.Int("Window", &window, 1, 10, 20)
	v.Logger(&logger)
	if wait != time.Second || window != 10 || logger == nil || v.Failed() {
		t.Fatalf("got %v %v %v %v", wait, window, logger, v.Err())
	}
	for _, row := range []struct {
		set  func(*transport.Validator)
		want string
	}{
		{func(v *transport.Validator) { d := -time.Second; v.Duration("Wait", &d, 1) }, "Wait: -1s is negative"},
		{func(v *transport.Validator) { n := -1; v.Int("Window", &n, 1, 10, 20) }, "Window: -1 is not within 1..20"},
		{func(v *transport.Validator) { n := 21; v.Int("Window", &n, 1, 10, 20) }, "Window: 21 is not within 1..20"},
		{func(v *transport.Validator) { n := 20; v.Int("Window", &n, 1, 10, 20) }, ""},
	} {
		v := transport.Validate("")
		row.set(v)
		if got := v.Err(); (got == nil) != (row.want == "") || got != nil && got.Error() != row.want {
			t.Errorf("got %v, want %q", got, row.want)
		}
	}
}

func TestStepsStopAtTheFirstError(t *testing.T) {
	t.Parallel()
	var ran []int
	err := transport.Validate("").Steps(
		func(*transport.Validator) { ran = append(ran, 1) },
		func(v *transport.Validator) { ran = append(ran, 2); v.Check(false, "F", "is wrong") },
		func(*transport.Validator) { ran = append(ran, 3) },
	)
	if len(ran) != 2 || err == nil || err.Error() != "F: is wrong" {
		t.Fatalf("ran %v, %v", ran, err)
	}
}

func TestTLSIsAtLeast12(t *testing.T) {
	t.Parallel()
	v := transport.Validate("x: Config.")
	given := &tls.Config{MinVersion: tls.VersionTLS10} //nolint:gosec // it is raised
	if c := v.ClientTLS("TLS", given, "smsc.example"); c.MinVersion != tls.VersionTLS12 ||
		c.ServerName != "smsc.example" {
		t.Errorf("got %x for %q", c.MinVersion, c.ServerName)
	}
	if given.MinVersion != tls.VersionTLS10 || given.ServerName != "" {
		t.Error("the caller's configuration was changed")
	}
	if c := v.ClientTLS("TLS", &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "a"},
		"b"); c.MinVersion != tls.VersionTLS13 || c.ServerName != "a" {
		t.Errorf("got %x for %q", c.MinVersion, c.ServerName)
	}
	if c := v.ClientTLS("TLS", nil, "h"); c.MinVersion != tls.VersionTLS12 || c.ServerName != "h" {
		t.Errorf("got %x for %q", c.MinVersion, c.ServerName)
	}
	if c := v.ServerTLS("TLS", &tls.Config{Certificates: make([]tls.Certificate,
		1)}); c.MinVersion != tls.VersionTLS12 {
		t.Errorf("got %x", c.MinVersion)
	}
	if v.Failed() {
		t.Fatal(v.Err())
	}
	for want, set := range map[string]func(*transport.Validator){
		"MaxVersion is below": func(v *transport.Validator) {
			v.ClientTLS("TLS",
				&tls.Config{MaxVersion: tls.VersionTLS11}, "")
		},
		"is required":        func(v *transport.Validator) { v.ServerTLS("TLS", nil) },
		"has no certificate": func(v *transport.Validator) { v.ServerTLS("TLS", &tls.Config{}) },
	} {
		v := transport.Validate("x: Config.")
		if set(v); v.Err() == nil || !strings.Contains(v.Err().Error(), want) {
			t.Errorf("got %v, want %q", v.Err(), want)
		}
	}
}

var errClosed, errExpired = errors.New("closed"), errors.New("expired")

func TestDrainWaitsForCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := transport.NewLifecycle(errClosed, errExpired)
		if !l.Begin() {
			t.Fatal("the first call was refused")
		}
		drained := make(chan error)
		go func() { drained <- l.Drain(t.Context()) }()
		synctest.Wait()
		if l.Begin() {
			t.Fatal("a call began after Drain")
		}
		select {
		case <-drained:
			t.Fatal("Drain did not wait")
		default:
		}
		l.End()
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		l.Refuse() // again
		<-l.Idle()
	})
}

func TestDrainCutsOffWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := transport.NewLifecycle(errClosed, errExpired)
		l.Begin()
		ctx, cancel := l.Bound(t.Context(), time.Now().Add(time.Hour), time.Time{})
		defer cancel()
		go func() {
			defer l.End()
			<-ctx.Done()
		}()
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := l.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if got := context.Cause(ctx); !errors.Is(got, errClosed) {
			t.Fatalf("the call was ended by %v", got)
		}
	})
}

func TestBoundEndsWithTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := transport.NewLifecycle(errClosed, errExpired)
		for _, row := range []struct {
			deadline, expires, lasts time.Duration
			want                     error
		}{
			{time.Minute, 0, time.Minute, context.DeadlineExceeded},
			{time.Minute, time.Hour, time.Minute, context.DeadlineExceeded},
			{time.Hour, time.Minute, time.Minute, errExpired},
		} {
			now, expires := time.Now(), time.Time{}
			if row.expires > 0 {
				expires = now.Add(row.expires)
			}
			ctx, cancel := l.Bound(t.Context(), now.Add(row.deadline), expires)
			<-ctx.Done()
			if got := context.Cause(ctx); !errors.Is(got, row.want) || time.Since(now) != row.lasts {
				t.Errorf("ended by %v after %v, want %v after %v", got, time.Since(now), row.want, row.lasts)
			}
			cancel()
		}
	})
}

func TestManyCallsAndOneClose(t *testing.T) {
	t.Parallel()
	l := transport.NewLifecycle(errClosed, errExpired)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for l.Begin() {
				l.End()
			}
		})
	}
	l.CutOff()
	<-l.Idle()
	wg.Wait()
	if l.Begin() || !l.Closed() {
		t.Fatal("a call began after the end")
	}
}

func TestNoCallRunsWhenIdle(t *testing.T) {
	t.Parallel()
	for range 200 {
		l, running := transport.NewLifecycle(errClosed, errExpired), make(chan struct{}, 8)
		var wg sync.WaitGroup
		for range cap(running) {
			wg.Go(func() {
				for l.Begin() {
					running <- struct{}{}
					<-running
					l.End()
				}
			})
		}
		l.Refuse()
		<-l.Idle()
		if len(running) > 0 {
			t.Fatal("a call runs though Idle is closed")
		}
		wg.Wait()
	}
	empty := transport.NewLifecycle(errClosed, errExpired)
	empty.Refuse()
	<-empty.Idle()
}

func TestCloseDeadlineCountsFromTheFirstAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c transport.CloseDeadline
		never, start := make(chan struct{}), time.Now()
		for range 3 {
			if err := c.Await(never, time.Second); !errors.Is(err, transport.ErrCallbackRuns) {
				t.Fatalf("got %v", err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Fatalf("three took %v", took)
		}
		done := make(chan struct{})
		close(done)
		if err := c.Await(done, time.Second); err != nil {
			t.Fatalf("got %v though all had ended", err)
		}
	})
}
