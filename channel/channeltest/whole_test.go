package channeltest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
)

// A provider is an HTTP API that knows idempotency keys, under the control of the suite.
type provider struct {
	mu     sync.Mutex
	ids    map[string]string // by Idempotency-Key
	status int               // of refusals; 0: it accepts
	wait   time.Duration     // Retry-After
	stall  chan struct{}     // closed at the end of a stall; nil: it answers
}

// hangUp is the status of a provider that reads the message and closes the connection.
const hangUp = -1

func (p *provider) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var message struct{ To, Text string }
	err := json.NewDecoder(q.Body).Decode(&message)
	if err != nil || q.Header.Get("Authorization") != "Bearer secret-key" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	status, wait, stall := p.settings()
	switch status {
	case 0:
	case hangUp:
		p.accept(q)
		panic(http.ErrAbortHandler)
	default:
		if wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "cannot send %q to %s", message.Text, message.To)
		return
	}
	id := p.accept(q)
	if stall != nil {
		<-stall
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"id":%q}`, id)
}

func (p *provider) settings() (status int, wait time.Duration, stall <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.wait, p.stall
}

func (p *provider) accept(q *http.Request) (id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := q.Header.Get("Idempotency-Key")
	if p.ids[key] == "" {
		p.ids[key] = fmt.Sprint("m-", len(p.ids)+1)
	}
	return p.ids[key]
}

func (p *provider) accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ids)
}

// refuse makes the provider refuse as it does for a class.
func (p *provider) refuse(class channel.Class) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if class == channel.Unknown {
		p.status = hangUp
		return true
	}
	for status, c := range classes {
		if c == class {
			p.status = status
			return true
		}
	}
	return false
}

func (p *provider) retryAfter(wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.wait = http.StatusTooManyRequests, wait
}

func (p *provider) stop() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stall := make(chan struct{})
	p.stall = stall
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(stall)
		p.stall = nil
	}
}

// The code of the page is in the files that the page names.
func TestPage(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	files := read("example_whole_channel_test.go") + read("whole_test.go")
	blocks := strings.Split(read("../WRITING.md"), "```go\n")[1:]
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(files, code) {
			t.Errorf("no file has this code of WRITING.md:\n%s", code)
		}
	}
	if len(blocks) != 2 {
		t.Errorf("WRITING.md has %d blocks of code, want 2", len(blocks))
	}
}

func TestOwnChannel(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, channeltest.Harness{
		Address:     channel.Phone,
		ProviderIDs: true,
		Idempotent:  true,
		New: func(t testing.TB) channeltest.Subject {
			p := &provider{ids: map[string]string{}}
			server := httptest.NewServer(p)
			t.Cleanup(server.Close)
			c := newOwnChannel(server.URL, "secret-key")
			t.Cleanup(func() { _ = c.Close() })
			return channeltest.Subject{
				Channel:    c,
				Accepted:   p.accepted,
				Refuse:     p.refuse,
				Codes:      map[channel.Class]string{channel.Unreachable: "404", channel.Throttled: "429"},
				RetryAfter: p.retryAfter,
				Stall:      p.stop,
				Secrets:    []string{"secret-key"},
			}
		},
	})
}
