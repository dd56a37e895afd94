package provider_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// builtIns are the names of the profiles that come with the package.
func builtIns(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("profiles/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	slices.Sort(names)
	return names
}

// Every profile that comes with the package is held to the tests of this folder.
func TestProfilesAreTested(t *testing.T) {
	t.Parallel()
	for _, name := range builtIns(t) {
		if !slices.ContainsFunc(providers, func(p api) bool { return p.name == name && p.file == "" }) {
			t.Errorf("profiles/%s.json has no api in a file api_*_test.go", name)
		}
	}
}

// credentials are the values of a configuration that nobody else may know.
func credentials(c provider.Config) (all []string) {
	for name, value := range c.Values {
		for _, word := range []string{"key", "token", "secret", "password"} {
			if strings.Contains(name, word) && !strings.HasPrefix(value, "https://") {
				all = append(all, value)
			}
		}
	}
	return all
}

func TestConformance(t *testing.T) {
	t.Parallel()
	eachProvider(t, func(t *testing.T, p api) {
		channeltest.Run(t, channeltest.Harness{
			Address: max(p.kind, channel.Phone), ProviderIDs: !p.noIDs,
			New: func(t testing.TB) channeltest.Subject {
				f := &fakeProvider{api: p}
				s := newTLSProvider(t, f)
				c := p.config(t, s.URL, s.Client())
				c.Receipt = (&hearing{}).receipt
				return channeltest.Subject{
					Channel: newChannel(t, c),
					Accepted: func() (n int) {
						f.set(func() { n = f.accepted })
						return n
					},
					Refuse: func(class channel.Class) bool {
						a, ok := p.refusals[class]
						f.set(func() { f.refuse = &a })
						return ok || class == channel.Unknown
					},
					RetryAfter: func(wait time.Duration) {
						header := http.Header{"Retry-After": {strconv.Itoa(int(wait.Seconds()))}}
						f.set(func() { f.refuse = &answer{status: http.StatusTooManyRequests, header: header} })
					},
					Secrets: credentials(c),
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
