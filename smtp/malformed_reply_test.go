package smtp_test

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/otpcourier/otpcourier/channel"
)

// What is not SMTP is refused where it stands, with its words kept out of the
// error.
func TestMalformedReplies(t *testing.T) {
	t.Parallel()
	bothWays(t, testMalformedReplies)
}

func testMalformedReplies(t *testing.T, newFake newFakeFunc) {
	for name, reply := range map[string]string{
		"endless":      endless,
		"no code":      "ann.recipient@example.com is no user here\r\n",
		"short":        "25\r\n",
		"one more":     "250 ok\r\n250 ok\r\n",
		"two codes":    "250-ok\r\n550 ann.recipient@example.com\r\n",
		"long line":    "250 " + strings.Repeat("x", 4000) + "\r\n",
		"binary":       "\x16\x03\x01\x00\x00\r\n",
		"out of range": "099 ann.recipient@example.com\r\n",
	} {
		for _, step := range []string{"greeting", "EHLO", "EHLO+", "MAIL", "RCPT", "DATA", "."} {
			t.Run(step+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{step: reply})
					_, err := sendTo(t.Context(), t, f, c)
					if strings.HasPrefix(step, "EHLO") && name == "long line" {
						return // allowed where lines are short enough in all
					}
					want := channel.Temporary
					if step == "." {
						want = channel.Unknown
					}
					if name == "one more" && step == "." {
						if err != nil { // one too many, but accepted
							t.Error(err)
						}
						return
					}
					if err == nil || err.Class != want {
						t.Errorf("error %v, want class %v", err, want)
					}
				})
			})
		}
	}
}

func TestEndlessReplyTakesLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(map[string]string{"EHLO+": endless})
		_, err := sendTo(t.Context(), t, f, c)
		if err == nil || err.Class != channel.Temporary || !strings.Contains(err.Error(), "64 KiB") {
			t.Errorf("error %v, want class Temporary and the limit", err)
		}
	})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d MiB allocated", grown>>20)
	}
}
