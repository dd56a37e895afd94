package provider_test

import (
	"flag"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

var updateProfiles = flag.Bool("update-profiles", false, "rewrite the requests in testdata/profiles")

// The request of each provider, to the letter.
func TestRequest(t *testing.T) {
	t.Parallel()
	eachProvider(t, func(t *testing.T, p api) {
		inBubble(t, p, nil, func(t *testing.T, b *bubble) {
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

// A message without expiry has no ttl, rather than a made-up one.
func TestNoExpiry(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "oxtro-style"), nil, func(t *testing.T, b *bubble) {
		m := golden()
		m.Expires = time.Time{}
		if _, err := b.channel.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if sent := strings.Join(b.take(), ""); strings.Contains(sent, "ttl") {
			t.Errorf("sent %s", sent)
		}
	})
}

// The profile of an API that is like sms-gate.app's talks to that one, and knows
// that 409 is a message which it has already.
func TestLikeSMSGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gatewaytest.NewPipeServer(gatewaytest.Config{Username: "K2V6TX", Password: "pa55-w0rd-7f3a"})
		defer s.Close()
		pixel := s.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
		s.AddPhone(gatewaytest.PhoneConfig{ID: "nokia", Manual: true})
		var h hearing
		c := newChannel(t, provider.Config{
			Profile: readProfile(t, "oxtro-style"), Client: s.Client(), Receipt: h.receipt,
			Values: map[string]string{
				"url": s.URL, "user": "K2V6TX", "password": "pa55-w0rd-7f3a", "device": "pixel", "active_within": "1",
			},
		})
		defer c.Close()
		for range 2 {
			m := golden()
			m.To.Phone = "+19162255887" // of a mobile network, as the server wants it
			if got, err := c.Send(t.Context(), m); err != nil || got.State != channel.Sent {
				t.Errorf("%+v, %v", got, err)
			}
		}
		all := s.Messages()
		if len(all) != 1 || all[0].DeviceID != "pixel" || all[0].TTL.Round(time.Minute) != 5*time.Minute ||
			!all[0].DeliveryReport {
			t.Fatalf("messages %+v", all)
		}
		pixel.Report("golden.1", gatewaytest.Delivered, "")
		<-time.After(time.Minute)
		if d := cmp.Diff([]string{"delivered unknown Delivered"}, h.receipts()); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}

// A message that is a GET is no less a message: net/http must not repeat it.
func TestGetOnce(t *testing.T) {
	t.Parallel()
	profile, err := provider.ParseProfile([]byte(`{"name": "get", "values": {"url": null},
		"send": {"url": "{{url}}/send", "method": "GET", "query": {"to": "{{to}}", "text": "{{text}}"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int32
	s := newTLSProvider(t, http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
		if sent.Add(1) == 2 {
			panic(http.ErrAbortHandler) // sent, but not answered
		}
	}))
	ch := newChannel(t, provider.Config{Profile: profile, Values: map[string]string{"url": s.URL}, Client: s.Client()})
	if _, err := ch.Send(t.Context(), golden()); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Send(t.Context(), golden()); err == nil || channel.ClassOf(err) != channel.Unknown ||
		sent.Load() != 2 {
		t.Errorf("%d SMS for two messages, error %v", sent.Load(), err)
	}
}

// A transport of one's own signs requests: that is how AWS is reached.
func TestSigningTransport(t *testing.T) {
	t.Parallel()
	f := &fakeProvider{api: providerNamed(t, "sns-style")}
	c := f.config(t, "https://sns.example", &http.Client{Transport: signing{inMemory{f}}})
	if _, err := newChannel(t, c).Send(t.Context(), golden()); err != nil {
		t.Fatal(err)
	}
	if sent := strings.Join(f.take(), ""); !strings.Contains(sent, "Authorization: AWS4-HMAC-SHA256 Credential=test") {
		t.Errorf("sent %s", sent)
	}
}

type signing struct{ next http.RoundTripper }

func (s signing) RoundTrip(r *http.Request) (*http.Response, error) {
	signed := r.Clone(r.Context())
	signed.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test")
	return s.next.RoundTrip(signed)
}

// A number where the API wants one, from a value that is none.
func TestNumber(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "traccar"), func(c *provider.Config) {
		c.Values = maps.Clone(c.Values)
		c.Values["slot"] = `1,"to":"+447700900999"`
	}, func(t *testing.T, b *bubble) {
		_, err := b.channel.Send(t.Context(), golden())
		if channel.ClassOf(err) != channel.Misconfigured || b.take() != nil {
			t.Errorf("error %v", err)
		}
	})
}

// A message's own words cannot add a header.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	profile, err := provider.ParseProfile([]byte(`{"name": "headers", "send": {
		"url": "https://provider.example/", "headers": {"X-Sender": "{{sender}}"}, "form": {"text": "{{text}}"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProvider{api: api{send: "/"}}
	ch := newChannel(t, provider.Config{Profile: profile, Client: &http.Client{Transport: inMemory{f}}})
	for sender, want := range map[string]int{"Example": 1, "": 1, "a\r\nX-Admin: 1": 0, "a\nb": 0, "a\x00": 0} {
		m := golden()
		m.Sender = sender
		_, err := ch.Send(t.Context(), m)
		if n := len(f.take()); n != want || want == 0 && channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("sender %q: %d requests, %v", sender, n, err)
		}
	}
}
