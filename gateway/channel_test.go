package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway"
)

var updateProfiles = flag.Bool("update-profiles", false, "rewrite the requests in testdata/profiles")

// golden is a message that is hard to carry: each of its characters means
// something to JSON, to a form or to XML.
func golden() *channel.Message {
	return &channel.Message{
		ID: "golden.1", To: channel.Recipient{Phone: "+447700900123"}, Code: "582037",
		Text:   "582037 is your \"code\", <b>&\\ +%7B{{to}}\nÄ",
		Sender: "Example & Co", Language: "pt-BR", Purpose: "login",
		Created: time.Now(), Expires: time.Now().Add(5*time.Minute + 900*time.Millisecond),
	}
}

// hearing keeps receipts.
type hearing struct {
	mu    sync.Mutex
	heard []string
	ids   [][2]string
	deaf  bool
}

func (h *hearing) receipt(_ context.Context, r channel.Receipt) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deaf {
		return errors.New("the store is down")
	}
	h.heard = append(h.heard, fmt.Sprintf("%v %v %s", r.State, r.Class, r.Code))
	h.ids = append(h.ids, [2]string{r.ProviderID, r.MessageID})
	return nil
}

func (h *hearing) receipts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	heard := h.heard
	h.heard = nil
	return heard
}

// A bubble is a channel to a fake provider in virtual time.
type bubble struct {
	*fakeProvider
	*hearing
	channel *gateway.Channel
	log     *bytes.Buffer
}

func inProfileBubble(t *testing.T, p provider, change func(*gateway.Config), f func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{fakeProvider: &fakeProvider{provider: p}, hearing: &hearing{}, log: &bytes.Buffer{}}
		c := p.config(t, "https://provider.example", &http.Client{Transport: inMemory{b.fakeProvider}})
		c.Receipt = b.receipt
		c.Logger = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if change != nil {
			change(&c)
		}
		b.channel = newProfileChannel(t, c)
		f(t, b)
		_ = b.channel.Close()
	})
}

func eachProvider(t *testing.T, f func(*testing.T, provider)) {
	t.Helper()
	eachProviderThat(t, func(provider) bool { return true }, f)
}

// eachProviderThat runs f for those of the providers that can do something.
func eachProviderThat(t *testing.T, can func(provider) bool, f func(*testing.T, provider)) {
	t.Helper()
	for _, p := range providers {
		if !can(p) {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			f(t, p)
		})
	}
}

func TestProviderConformance(t *testing.T) {
	t.Parallel()
	eachProvider(t, func(t *testing.T, p provider) {
		channeltest.Run(t, channeltest.Harness{
			Address: channel.Phone, ProviderIDs: !p.noIDs,
			New: func(t testing.TB) channeltest.Subject {
				f := &fakeProvider{provider: p}
				s := newTLSProvider(t, f)
				c := p.config(t, s.URL, s.Client())
				c.Receipt = (&hearing{}).receipt
				return channeltest.Subject{
					Channel: newProfileChannel(t, c),
					Accepted: func() (n int) {
						f.set(func() { n = f.accepted })
						return n
					},
					Refuse: func(class channel.Class) bool {
						a, ok := p.refusals[class]
						f.set(func() { f.refuse = &a })
						return ok || class == channel.Unknown
					},
					Stall: func() func() {
						until := make(chan struct{})
						f.set(func() { f.stalled = until })
						return func() {
							f.set(func() { f.stalled = nil })
							close(until)
						}
					},
				}
			},
		})
	})
}

// newTLSProvider serves a provider on a real socket.
func newTLSProvider(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are cut on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// The request of each provider, to the letter.
func TestProviderRequest(t *testing.T) {
	t.Parallel()
	eachProvider(t, func(t *testing.T, p provider) {
		inProfileBubble(t, p, nil, func(t *testing.T, b *bubble) {
			s, err := b.channel.Send(t.Context(), golden())
			if err != nil || s.State != channel.Sent {
				t.Fatalf("Send: %+v, %v", s, err)
			}
			if p.id != "" && !cmp.Equal(s.ProviderIDs, []string{p.id}) || p.noIDs && s.ProviderIDs != nil {
				t.Errorf("provider ids %q, want %q", s.ProviderIDs, p.id)
			}
			file := "testdata/profiles/" + p.name + ".http"
			got := strings.Join(b.take(), "\n")
			if *updateProfiles {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("request (-want +got):\n%s", d)
			}
		})
	})
}

// What polling tells.
func TestProviderPolls(t *testing.T) {
	t.Parallel()
	canBeAsked := func(p provider) bool { return p.pollPath != "" }
	eachProviderThat(t, canBeAsked, func(t *testing.T, p provider) {
		inProfileBubble(t, p, nil, func(t *testing.T, b *bubble) {
			if _, err := b.channel.Send(t.Context(), golden()); err != nil {
				t.Fatal(err)
			}
			for _, row := range p.polls {
				b.set(func() { b.state = row.status })
				time.Sleep(31 * time.Second)
				if got := strings.Join(b.receipts(), "; "); got != row.receipt {
					t.Errorf("status %q: heard %q, want %q", row.status, got, row.receipt)
				}
			}
			for _, ids := range b.ids {
				if ids != [2]string{p.id, "golden.1"} {
					t.Errorf("a receipt has ids %q", ids)
				}
			}
		})
	})
}
