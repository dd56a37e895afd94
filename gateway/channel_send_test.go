package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/gateway"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

// Every refusal has its class and the provider's code, and gives nothing away.
func TestProviderRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		provider string
		answer   answer
		class    channel.Class
		code     string
		after    time.Duration
	}{
		{"textbee", answer{400, `{"success":false,"error":"Failed to send SMS"}`, nil}, channel.Unknown, "Failed to send SMS", 0},
		{"textbee", answer{400, `{"error":"no such device: +447700900123"}`, nil}, channel.Unreachable, "400", 0},
		{"textbee", answer{401, `{"error":"Unauthorized"}`, nil}, channel.Misconfigured, "Unauthorized", 0},
		{"textbee", answer{500, `{"success":false,"error":"Failed to add SMS to queue"}`, nil}, channel.Unknown, "500", 0},
		{"textbee", answer{429, `{"hasReachedLimit":true}`, http.Header{"Retry-After": {"30"}}}, channel.Throttled, "429", 30 * time.Second},
		{"httpsms", answer{422, `{"status":"error","data":{"to":["+447700900123 is wrong"]}}`, nil}, channel.Unreachable, "422", 0},
		{"httpsms", answer{402, `{"status":"error","message":"upgrade"}`, nil}, channel.Misconfigured, "402", 0},
		{"httpsms", answer{404, ``, nil}, channel.Misconfigured, "404", 0},
		{"httpsms", answer{502, `<html>`, nil}, channel.Unknown, "502", 0},
		{"traccar", answer{500, `java.lang.SecurityException`, nil}, channel.Temporary, "500", 0},
		{"twilio", answer{400, `{"code":21408}`, nil}, channel.Unreachable, "21408", 0},
		{"twilio", answer{400, `{"code":21614}`, nil}, channel.InvalidRecipient, "21614", 0},
		{"twilio", answer{400, `{"code":99999}`, nil}, channel.Unreachable, "99999", 0},
		{"twilio", answer{400, `{"code":582037}`, nil}, channel.Unreachable, "400", 0},
		{"twilio", answer{302, ``, http.Header{"Location": {"https://elsewhere.example/"}}}, channel.Misconfigured, "302", 0},
		{"labsmobile", answer{200, `{"code":"30","message":"There was an error while sending the message"}`, nil}, channel.Unknown, "30", 0},
		{"labsmobile", answer{200, `{"code":30`, nil}, channel.Unknown, "200", 0},
		{"labsmobile", answer{200, ``, nil}, channel.Unknown, "200", 0},
		{"whatsapp", answer{400, `{"error":{"code":131026}}`, nil}, channel.Unreachable, "131026", 0},
		{"oxtro-style", answer{200, `{"id":"m-1"}`, nil}, channel.Unknown, "200", 0},
		{"oxtro-style", answer{503, `{"code":"` + strings.Repeat("x", 50) + `"}`, nil}, channel.Temporary, "503", 0},
	} {
		t.Run(fmt.Sprint(row.provider, " ", row.answer.status, " ", row.code), func(t *testing.T) {
			t.Parallel()
			inProfileBubble(t, providerNamed(t, row.provider), nil, func(t *testing.T, b *bubble) {
				b.set(func() { b.fakeProvider.refuse = &row.answer })
				s, err := b.channel.Send(t.Context(), golden())
				e, ok := errors.AsType[*channel.Error](err)
				if !ok || e.Class != row.class || e.Code != row.code || e.RetryAfter != row.after || s.State != channel.Failed {
					t.Errorf("%+v, error %#v", s, err)
				}
				shown := fmt.Sprintf("%v %+v", err, s) + b.log.String()
				for _, secret := range append(b.secrets(), "447700900123", "582037") {
					if strings.Contains(shown, secret) {
						t.Errorf("%q is shown: %s", secret, shown)
					}
				}
			})
		})
	}
}

// A number that the provider refuses costs nobody else the route.
func TestProviderRefusesOneNumber(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity} {
		inProfileBubble(t, providerNamed(t, "httpsms"), nil, func(t *testing.T, b *bubble) {
			route := channel.Route{Name: "phone", Channel: b.channel, Address: channel.Phone}
			routes, err := failover.New(failover.Config{Router: failover.List(route)})
			if err != nil {
				t.Fatal(err)
			}
			b.set(func() { b.fakeProvider.refuse = &answer{status, `{"status":"error"}`, nil} })
			if _, err := routes.Send(t.Context(), golden()); err == nil || channel.ClassOf(err) != channel.Unreachable {
				t.Errorf("%d: %v, want class %v", status, err, channel.Unreachable)
			}
			b.set(func() { b.fakeProvider.refuse = nil })
			next := golden()
			next.ID, next.To.Phone = "golden.2", bob
			if _, err := routes.Send(t.Context(), next); err != nil {
				t.Errorf("%d: the next number: %v", status, err)
			}
		})
	}
}

// What cannot be sent is refused before anything is written.
func TestProviderUnsendable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		provider string
		change   func(*channel.Message)
		class    channel.Class
	}{
		{"textbee", func(m *channel.Message) { m.Text = "" }, channel.Misconfigured},
		{"whatsapp", func(m *channel.Message) { m.Code = "" }, channel.Misconfigured},
		{"httpsms", func(m *channel.Message) { m.ID = "" }, channel.Misconfigured},
		{"twilio-voice", func(m *channel.Message) { m.Code = "12 34" }, channel.Misconfigured},
		{"twilio-voice", func(m *channel.Message) { m.Text = "no code" }, channel.Misconfigured},
		{"twilio", func(m *channel.Message) { m.Expires = time.Now().Add(999 * time.Millisecond) }, channel.Expired},
		{"twilio", func(m *channel.Message) { m.To = channel.Recipient{Email: "ann@example.com"} }, channel.InvalidRecipient},
		{"twilio", func(m *channel.Message) { m.To.Phone = "07700900123" }, channel.InvalidRecipient},
	} {
		inProfileBubble(t, providerNamed(t, row.provider), nil, func(t *testing.T, b *bubble) {
			m := golden()
			row.change(m)
			_, err := b.channel.Send(t.Context(), m)
			if err == nil || channel.ClassOf(err) != row.class || b.take() != nil {
				t.Errorf("%s: error %v, want class %v and no request", row.provider, err, row.class)
			}
		})
	}
}

// A message without expiry has no ttl, rather than a made-up one.
func TestProviderNoExpiry(t *testing.T) {
	t.Parallel()
	inProfileBubble(t, providerNamed(t, "oxtro-style"), nil, func(t *testing.T, b *bubble) {
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
func TestProviderLikeSMSGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "pixel"}, gatewaytest.PhoneConfig{ID: "nokia"})
		var h hearing
		c := newProfileChannel(t, gateway.Config{
			Profile: readProfile(t, "oxtro-style"), Client: s.Client(), Receipt: h.receipt,
			Values: map[string]string{"url": s.URL, "user": gateUser, "password": gatePassword, "device": "pixel", "active_within": "1"},
		})
		for range 2 {
			if got, err := c.Send(t.Context(), codeTo("c4n7.1", ann)); err != nil || got.State != channel.Sent {
				t.Errorf("%+v, %v", got, err)
			}
		}
		all := s.Messages()
		if len(all) != 1 || all[0].DeviceID != "pixel" || all[0].TTL.Round(time.Minute) != 5*time.Minute || !all[0].DeliveryReport {
			t.Fatalf("messages %+v", all)
		}
		byID["pixel"].Report("c4n7.1", gatewaytest.Delivered, "")
		<-time.After(time.Minute)
		if d := cmp.Diff([]string{"delivered unknown Delivered"}, h.receipts()); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}

// Whether anything was written decides the class.
func TestProviderWritten(t *testing.T) {
	t.Parallel()
	p := providerNamed(t, "twilio")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	silent := newTLSProvider(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else net/http does not notice that the client is gone
		<-r.Context().Done()
	}))
	for name, row := range map[string]struct {
		url    string
		client *http.Client
		class  channel.Class
	}{
		"nobody listens": {"https://" + closed.Addr().String(), nil, channel.Temporary},
		"nobody answers": {silent.URL, silent.Client(), channel.Unknown},
		"not trusted":    {silent.URL, nil, channel.Misconfigured},
	} {
		c := p.config(t, row.url, row.client)
		c.Timeout = 200 * time.Millisecond
		if name == "not trusted" {
			c.Timeout = 0
		}
		_, err := newProfileChannel(t, c).Send(t.Context(), golden())
		if err == nil || channel.ClassOf(err) != row.class {
			t.Errorf("%s: %v, want class %v", name, err, row.class)
		}
		if err != nil && (strings.Contains(err.Error(), "ACc0ffee") || strings.Contains(err.Error(), "447700900123")) {
			t.Errorf("%s: the error shows too much: %v", name, err)
		}
	}
}

// Nobody waits for an answer beyond the code's life.
func TestProviderEndsAtExpiry(t *testing.T) {
	t.Parallel()
	inProfileBubble(t, providerNamed(t, "twilio"), func(c *gateway.Config) {
		c.Client = &http.Client{Transport: mute{}}
	}, func(t *testing.T, b *bubble) {
		m := golden()
		m.Expires = time.Now().Add(7 * time.Second)
		_, err := b.channel.Send(t.Context(), m)
		if over := time.Since(m.Expires); err == nil || channel.ClassOf(err) != channel.Unknown || over != 0 {
			t.Errorf("%v, %v after the code's end", err, over)
		}
	})
}

// mute reads requests and does not answer.
type mute struct{}

func (mute) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// http is refused where the field is not set, and taken where it is.
func TestProviderPlaintext(t *testing.T) {
	t.Parallel()
	f := &fakeProvider{provider: providerNamed(t, "traccar")}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c := f.config(t, s.URL, nil)
	if _, err := gateway.New(c); err == nil || !strings.Contains(err.Error(), `Config.Values["url"] is http`) {
		t.Errorf("error %v", err)
	}
	c.DangerouslyPlaintext = true
	if _, err := newProfileChannel(t, c).Send(t.Context(), golden()); err != nil {
		t.Error(err)
	}
}

// What the provider calls the end is no state, and nothing is asked after it;
// and an answer without an id is a success of which nothing is heard.
func TestProviderEnds(t *testing.T) {
	t.Parallel()
	inProfileBubble(t, providerNamed(t, "oxtro-style"), nil, func(t *testing.T, b *bubble) {
		b.set(func() { b.state = "Cancelled" })
		if _, err := b.channel.Send(t.Context(), golden()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := len(b.take()); n != 2 {
			t.Errorf("%d requests, want the message and one poll", n)
		}
	})
	p := providerNamed(t, "oxtro-style")
	p.accept = `{"id":"` + strings.Repeat("x", 257) + `"}`
	inProfileBubble(t, p, nil, func(t *testing.T, b *bubble) {
		s, err := b.channel.Send(t.Context(), golden())
		if err != nil || s.ProviderIDs != nil || s.State != channel.Sent {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(time.Hour)
		if n := len(b.take()); n != 1 {
			t.Errorf("%d requests, want only the message", n)
		}
	})
}

// Nobody says anything until the code expires: the last that is known is told.
func TestProviderSilent(t *testing.T) {
	t.Parallel()
	inProfileBubble(t, providerNamed(t, "httpsms"), nil, func(t *testing.T, b *bubble) {
		b.set(func() { b.state = "scheduled" })
		if _, err := b.channel.Send(t.Context(), golden()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if d := cmp.Diff([]string{"sent unknown scheduled RESULT_ERROR"}, b.receipts()); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}

// A token is kept, fetched again before its end, and once more where it is
// refused; never by two at once.
func TestProviderOAuth(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, b *bubble) error {
		t.Helper()
		m := golden()
		_, err := b.channel.Send(t.Context(), m)
		return err
	}
	tokens := func(b *bubble) (n int) {
		b.set(func() { n = b.tokens })
		return n
	}
	inProfileBubble(t, providerNamed(t, "routee"), func(c *gateway.Config) { c.Receipt = nil }, func(t *testing.T, b *bubble) {
		b.slow = time.Second
		all := make(chan error)
		for range 20 {
			go func() { all <- send(t, b) }()
		}
		for range 20 {
			if err := <-all; err != nil {
				t.Error(err)
			}
		}
		if n := tokens(b); n != 1 {
			t.Errorf("%d tokens for 20 messages at once", n)
		}
		b.slow = 0
		time.Sleep(time.Hour - 59*time.Second)
		if err := send(t, b); err != nil || tokens(b) != 2 {
			t.Errorf("before the token's end: %v, %d tokens", err, tokens(b))
		}
		b.set(func() { b.fakeProvider.refuse = &answer{status: 401} })
		b.take()
		err := send(t, b)
		if channel.ClassOf(err) != channel.Misconfigured || tokens(b) != 3 || len(b.take()) != 3 {
			t.Errorf("refused for good: %v, %d tokens", err, tokens(b))
		}
	})
}

// Without a token nothing is sent, whatever went wrong.
func TestProviderOAuthFails(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer answer
		class  channel.Class
	}{
		"credentials": {answer{401, `{"error":"invalid_client"}`, nil}, channel.Misconfigured},
		"down":        {answer{500, ``, nil}, channel.Temporary},
		"no token":    {answer{200, `{"token_type":"bearer"}`, nil}, channel.Misconfigured},
		"no header":   {answer{200, `{"access_token":"a\r\nb"}`, nil}, channel.Misconfigured},
		"cut":         {answer{}, channel.Temporary},
		"broken off":  {answer{200, `{"access_token":"acc`, http.Header{"Content-Length": {"60"}}}, channel.Temporary},
	} {
		sent := false
		s := newTLSProvider(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = sent || r.URL.Path != "/oauth/token"
			if row.answer.status == 0 {
				panic(http.ErrAbortHandler)
			}
			maps.Copy(w.Header(), row.answer.header)
			w.WriteHeader(row.answer.status)
			_, _ = w.Write([]byte(row.answer.body))
		}))
		ch := newProfileChannel(t, providerNamed(t, "routee").config(t, s.URL, s.Client()))
		_, err := ch.Send(t.Context(), golden())
		_ = ch.Close()
		s.Close()
		if err == nil || channel.ClassOf(err) != row.class || sent {
			t.Errorf("%s: %v, want class %v, and nothing sent", name, err, row.class)
		}
	}
}

// A message that is a GET is no less a message: net/http must not repeat it.
func TestProviderGetOnce(t *testing.T) {
	t.Parallel()
	profile, err := gateway.ParseProfile([]byte(`{"name": "get", "values": {"url": null},
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
	ch := newProfileChannel(t, gateway.Config{Profile: profile, Values: map[string]string{"url": s.URL}, Client: s.Client()})
	if _, err := ch.Send(t.Context(), golden()); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Send(t.Context(), golden()); err == nil || channel.ClassOf(err) != channel.Unknown || sent.Load() != 2 {
		t.Errorf("%d SMS for two messages, error %v", sent.Load(), err)
	}
}

// A transport of one's own signs requests: that is how AWS is reached.
func TestProviderSigningTransport(t *testing.T) {
	t.Parallel()
	f := &fakeProvider{provider: providerNamed(t, "sns-style")}
	c := f.config(t, "https://sns.example", &http.Client{Transport: signing{inMemory{f}}})
	if _, err := newProfileChannel(t, c).Send(t.Context(), golden()); err != nil {
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

// Shutdown lets a message end, Close does not.
func TestProfileChannelCloses(t *testing.T) {
	t.Parallel()
	p := providerNamed(t, "twilio")
	for name, end := range map[string]func(*bubble) error{
		"Close": func(b *bubble) error { return b.channel.Close() },
		"Shutdown": func(b *bubble) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return b.channel.Shutdown(ctx)
		},
		"Shutdown in time": func(b *bubble) error { return b.channel.Shutdown(context.Background()) },
	} {
		stall := make(chan struct{})
		client := &http.Client{Transport: stalling{stall}}
		inProfileBubble(t, p, func(c *gateway.Config) { c.Client = client }, func(t *testing.T, b *bubble) {
			sent := make(chan error, 1)
			go func() {
				_, err := b.channel.Send(context.Background(), golden())
				sent <- err
			}()
			synctest.Wait()
			began := time.Now()
			err := end(b)
			took := time.Since(began)
			class := channel.ClassOf(<-sent)
			want := map[string]string{"Close": "<nil> 0s", "Shutdown": "context deadline exceeded 1s", "Shutdown in time": "<nil> 15s"}[name]
			if got := fmt.Sprint(err, " ", took); got != want || class != channel.Temporary {
				t.Errorf("%s: %s, class %v, want %s", name, got, class, want)
			}
			if _, err := b.channel.Send(t.Context(), golden()); channel.ClassOf(err) != channel.Temporary || !errors.Is(err, gateway.ErrClosed) {
				t.Errorf("%s: Send after it: %v", name, err)
			}
			if err := b.channel.Close(); err != nil {
				t.Errorf("%s: Close after it: %v", name, err)
			}
		})
	}
}

// stalling never gets as far as writing a request.
type stalling struct{ until chan struct{} }

func (s stalling) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestProfileConfig(t *testing.T) {
	t.Parallel()
	good := func() gateway.Config {
		return gateway.Config{Provider: "textbee", Values: map[string]string{"device": "d", "key": "secret-key"}}
	}
	for want, change := range map[string]func(*gateway.Config){
		"": func(*gateway.Config) {},
		"gateway: Config.Provider or Config.Profile is required": func(c *gateway.Config) { c.Provider = "" },
		"gateway: Config.Provider and Config.Profile are both set": func(c *gateway.Config) {
			c.Profile = readProfile(t, "sns-style")
		},
		"gateway: Config.Profile was not made by ParseProfile": func(c *gateway.Config) {
			c.Provider, c.Profile = "", &gateway.Profile{}
		},
		`gateway: Config.Provider "textbe" is none of httpsms, labsmobile, routee, textbee, traccar, twilio, twilio-voice, whatsapp`: func(c *gateway.Config) {
			c.Provider = "textbe"
		},
		`gateway: Config.Provider "../channel" is none of httpsms, labsmobile, routee, textbee, traccar, twilio, twilio-voice, whatsapp`: func(c *gateway.Config) {
			c.Provider = "../channel"
		},
		"gateway: Config.Timeout is negative":                               func(c *gateway.Config) { c.Timeout = -1 },
		`gateway: Config.Values["key"] is required by profile "textbee"`:    func(c *gateway.Config) { delete(c.Values, "key") },
		`gateway: Config.Values["device"] is required by profile "textbee"`: func(c *gateway.Config) { c.Values["device"] = "" },
		`gateway: Config.Values has "devcie", but profile "textbee" has only device, key, sim, url, webhook_secret`: func(c *gateway.Config) {
			c.Values["devcie"] = "x"
		},
		`gateway: Config.Values["key"] has a control character, or white space at an end`: func(c *gateway.Config) {
			c.Values["key"] = "secret-key\r\nX-Admin: 1"
		},
		`gateway: profile "textbee": Config.Values["url"] is http, which shows codes and credentials to anyone on the way`: func(c *gateway.Config) {
			c.Values["url"] = "http://textbee.example"
		},
		`gateway: profile "textbee": Config.Values["url"] is not an absolute URL`: func(c *gateway.Config) { c.Values["url"] = "textbee.example" },
		`gateway: profile "textbee": Config.Values["url"] holds credentials`: func(c *gateway.Config) {
			c.Values["url"] = "https://user:secret-key@textbee.example"
		},
	} {
		c := good()
		change(&c)
		ch, err := gateway.New(c)
		if err == nil {
			if shown := fmt.Sprintf("%v %+v %#v %v", ch, ch, ch, ch.LogValue()); shown != "textbee textbee gateway.Channel{textbee} textbee" {
				t.Errorf("the Channel prints as %s", shown)
			}
			_ = ch.Close()
		}
		if fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("error %v, want %q", err, want)
		}
		if shown := fmt.Sprintf("%v %+v %#v %v", c, c, c, c.LogValue()); strings.Contains(shown, "secret-key") {
			t.Errorf("the Config prints as %s", shown)
		}
	}
}

// A number where the API wants one, from a value that is none.
func TestProfileNumber(t *testing.T) {
	t.Parallel()
	inProfileBubble(t, providerNamed(t, "traccar"), func(c *gateway.Config) {
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
func TestProfileHeaderInjection(t *testing.T) {
	t.Parallel()
	profile, err := gateway.ParseProfile([]byte(`{"name": "headers", "send": {
		"url": "https://provider.example/", "headers": {"X-Sender": "{{sender}}"}, "form": {"text": "{{text}}"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProvider{provider: provider{send: "/"}}
	ch := newProfileChannel(t, gateway.Config{Profile: profile, Client: &http.Client{Transport: inMemory{f}}})
	for sender, want := range map[string]int{"Example": 1, "": 1, "a\r\nX-Admin: 1": 0, "a\nb": 0, "a\x00": 0} {
		m := golden()
		m.Sender = sender
		_, err := ch.Send(t.Context(), m)
		if n := len(f.take()); n != want || want == 0 && channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("sender %q: %d requests, %v", sender, n, err)
		}
	}
}
