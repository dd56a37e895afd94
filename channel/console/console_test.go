package console_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/console"
)

func TestPrints(t *testing.T) {
	t.Parallel()
	for _, kind := range []channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat} {
		var out bytes.Buffer
		m := channeltest.Message(kind, "m1")
		m.Text = "482910 is your code.\n== not a frame"
		m.Code = "482910"
		sub, err := console.New(&out).Send(t.Context(), m)
		if err != nil || sub.State != channel.Sent {
			t.Fatalf("got %+v, %v", sub, err)
		}
		for _, want := range []string{"DEVELOPMENT ONLY", kind.String(), m.To.Of(kind), "code     482910\n",
			"    482910 is your code.\n", "    == not a frame\n"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v: %q is missing in\n%s", kind, want, out.String())
			}
		}
	}
}

// Many messages at once come out one after another.
func TestOneAfterAnother(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := console.New(&out)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.Send(t.Context(), channeltest.Message(channel.Phone, "m")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(out.String(), "== DEVELOPMENT ONLY"); n != 50 {
		t.Errorf("%d messages, want 50", n)
	}
}

type broken struct{ io.Writer }

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A message that was not printed is not sent.
func TestNotPrinted(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	for what, send := range map[string]func() (channel.Submission, error){
		"broken": func() (channel.Submission, error) {
			return console.New(broken{}).Send(t.Context(), channeltest.Message(channel.Phone, "m"))
		},
		"ended": func() (channel.Submission, error) {
			return console.New(&out).Send(ended, channeltest.Message(channel.Phone, "m"))
		},
	} {
		if _, err := send(); channel.ClassOf(err) != channel.Temporary {
			t.Errorf("%s: got %v, want Temporary", what, err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("printed after the end: %s", out.String())
	}
}

// lines counts the messages that were printed.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), "== DEVELOPMENT ONLY")
}

func TestConformance(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Harness{
		Address: channel.Phone | channel.Email | channel.Push | channel.Chat,
		New: func(testing.TB) channeltest.Subject {
			var out lines
			return channeltest.Subject{Channel: console.New(&out), Accepted: out.count}
		},
	})
}
