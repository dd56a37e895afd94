package smtp_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// steps are all places where a relay can go wrong, in order.
var steps = []string{"greeting", "EHLO", "STARTTLS", "handshake", "EHLO+", "AUTH", "MAIL", "RCPT", "DATA", "body", "."}

// Wherever the relay stops, Send returns when its context ends, not later, and
// tells whether the mail may have gone out.
func TestStallAnywhere(t *testing.T) {
	t.Parallel()
	bothWays(t, testStallAnywhere)
}

func testStallAnywhere(t *testing.T, newFake newFakeFunc) {
	ends := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
		"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(time.Second, cancel)
			return ctx, func() { stop.Stop(); cancel() }
		},
	}
	for _, step := range steps {
		for _, fault := range []string{stall, deaf} {
			for end, with := range ends {
				t.Run(step+" "+fault[1:]+" "+end, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f, c := newFake(map[string]string{step: fault})
						ctx, cancel := with(t.Context())
						defer cancel()
						begun := time.Now()
						_, err := sendTo(ctx, t, f, c)
						if took := time.Since(begun); took > time.Second+100*time.Millisecond {
							t.Errorf("took %v, want 1s and at most 100ms more", took)
						}
						want := channel.Temporary
						// After "body" the fake reads on, and so gets the dot.
						if step == "." || step == "body" && fault == stall {
							want = channel.Unknown
						}
						if err == nil || err.Class != want || !errors.Is(err, ctx.Err()) {
							t.Errorf("error %v, want class %v and the context's error", err, want)
						}
					})
				})
			}
		}
	}
}

// A relay's own slowness ends at Config.Timeout, and the code's life ends all.
func TestStallEndsByItself(t *testing.T) {
	t.Parallel()
	t.Run("timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(map[string]string{"RCPT": stall})
			c.Timeout = 7 * time.Second
			begun := time.Now()
			_, err := sendTo(context.Background(), t, f, c)
			if took := time.Since(begun); took != c.Timeout || err.Class != channel.Temporary {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
	t.Run("expiry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(map[string]string{"body": deaf})
			c.Timeout = time.Hour
			begun := time.Now()
			_, err := sendTo(context.Background(), t, f, c)
			if took := time.Since(begun); took != 5*time.Minute || err.Class != channel.Expired {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
}

// Wherever the connection is lost, the mail may have gone out only if the final
// dot had.
func TestCloseAnywhere(t *testing.T) {
	t.Parallel()
	bothWays(t, testCloseAnywhere)
}

func testCloseAnywhere(t *testing.T, newFake newFakeFunc) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{step: hangUp})
				_, err := sendTo(t.Context(), t, f, c)
				want := channel.Temporary
				if step == "." {
					want = channel.Unknown
				}
				if err == nil || err.Class != want {
					t.Errorf("error %v, want class %v", err, want)
				}
			})
		})
	}
}

// Half a line is no reply, whatever it would say: a refusal is not taken for one,
// nor an acceptance, and nothing is told of the queue.
func TestHalfAReply(t *testing.T) {
	t.Parallel()
	bothWays(t, testHalfAReply)
}

func testHalfAReply(t *testing.T, newFake newFakeFunc) {
	for _, tt := range []struct{ step, half string }{
		{"greeting", "554"},
		{"EHLO", "250-fake\r\n250 START"},
		{"EHLO", "550 5."},
		{"STARTTLS", "220 go"},
		{"STARTTLS", "502 5."},
		{"EHLO+", "250-fake\r\n250 AUT"},
		{"AUTH", "235"},
		{"AUTH", "535 5."},
		{"MAIL", "250"},
		{"MAIL", "550 5."},
		{"RCPT", "550"},
		{"RCPT", "550 5.1.1"},
		{"RCPT", "550-5.1.1 unknown\r\n550 5."},
		{"DATA", "354 go"},
		{"DATA", "550 5.1.1"},
		{".", "250 2.0.0 Ok: queued as 4X"},
		{".", "550 5.1.1"},
		{".", "451"},
	} {
		for _, end := range []string{hangUp, stall} {
			t.Run(tt.step+" "+tt.half+" "+end[1:], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{tt.step: tt.half + end})
					begun := time.Now()
					s, err := sendTo(t.Context(), t, f, c)
					want := channel.Temporary
					if tt.step == "." {
						want = channel.Unknown
					}
					if err == nil || err.Class != want || err.Code != "" || s.ProviderIDs != nil {
						t.Errorf("%v, error %v, want class %v", s, err, want)
					}
					if tt.step == "DATA" && slices.Contains(f.commands(), ".+") {
						t.Error("the mail was sent")
					}
					if took := time.Since(begun); end == hangUp && took != 0 {
						t.Errorf("took %v", took)
					}
				})
			})
		}
	}
}
