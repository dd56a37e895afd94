package smtp_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/smtp"
)

// An idle connection is closed, politely, when its time is over.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		defer f.stop()
		c.IdleTimeout = 10 * time.Second
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		for i, pause := range []time.Duration{9 * time.Second, 11 * time.Second, 0} {
			if _, err := ch.Send(t.Context(), message("idle.1")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			synctest.Wait()
			if want := min(i, 1); countOf(f.commands(), "QUIT+") != want {
				t.Errorf("after message %d: %d QUITs, want %d", i, countOf(f.commands(), "QUIT+"), want)
			}
		}
		if f.dials != 2 {
			t.Errorf("%d connections, want 2", f.dials)
		}
	})
}

// A connection is replaced, politely, when it has carried its share.
func TestConnectionEndsWithUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		defer f.stop()
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		for i := 1; i <= 1001; i++ {
			if _, err := ch.Send(t.Context(), message("share.1")); err != nil {
				t.Fatal(err)
			}
			want := map[int][2]int{999: {1, 0}, 1000: {1, 1}, 1001: {2, 1}} // connections, and those ended
			if i < 999 {
				continue
			}
			synctest.Wait()
			if got := [2]int{f.dials, countOf(f.commands(), "QUIT+")}; got != want[i] {
				t.Errorf("after %d messages: %d connections, %d ended, want %v", i, got[0], got[1], want[i])
			}
		}
	})
}

// And when it is five minutes old, whether it is idle then or not.
func TestConnectionEndsWithAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		idleTimeout time.Duration
		pause       time.Duration // between messages
		messages    int           // the last of which is taken before that age
		slow        time.Duration // it takes
		ended       time.Duration
	}{
		{"idle", time.Hour, 299 * time.Second, 2, 0, 300 * time.Second},
		{"busy", 15 * time.Second, 13 * time.Second, 24, 0, 300 * time.Second},
		{"in use", time.Hour, 299 * time.Second, 2, 3 * time.Second, 302 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(nil)
				defer f.stop()
				c.IdleTimeout = tt.idleTimeout
				last := once(".", "x", tt.messages-1)
				var ended time.Time
				f.reject = func(line string) string {
					switch {
					case strings.HasPrefix(line, "QUIT"):
						ended = time.Now()
					case last(line) != "":
						time.Sleep(tt.slow)
					}
					return ""
				}
				ch, err := smtp.New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ch.Close() }()
				begun := time.Now()
				for i := range tt.messages {
					if i > 0 {
						time.Sleep(tt.pause)
					}
					if _, err := ch.Send(t.Context(), message("age.1")); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if took := ended.Sub(begun); took != tt.ended || f.dials != 1 {
					t.Errorf("%d connections, ended after %v, want %v", f.dials, took, tt.ended)
				}
			})
		})
	}
}

func countOf(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
