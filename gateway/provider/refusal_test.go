package provider_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
)

// Every refusal has its class and the provider's code, and gives nothing away.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		api    string
		answer answer
		class  channel.Class
		code   string
		after  time.Duration
	}{
		{
			"textbee", answer{400, `{"success":false,"error":"Failed to send SMS"}`, nil}, channel.Unknown,
			"Failed to send SMS", 0,
		},
		{"textbee", answer{400, `{"error":"no such device: +447700900123"}`, nil}, channel.Unreachable, "400", 0},
		{"textbee", answer{401, `{"error":"Unauthorized"}`, nil}, channel.Misconfigured, "Unauthorized", 0},
		{
			"textbee", answer{500, `{"success":false,"error":"Failed to add SMS to queue"}`, nil}, channel.Unknown,
			"500", 0,
		},
		{
			"textbee", answer{429, `{"hasReachedLimit":true}`, http.Header{"Retry-After": {"30"}}}, channel.Throttled,
			"429", 30 * time.Second,
		},
		{
			"httpsms", answer{422, `{"status":"error","data":{"to":["+447700900123 is wrong"]}}`, nil},
			channel.Unreachable, "422", 0,
		},
		{"httpsms", answer{402, `{"status":"error","message":"upgrade"}`, nil}, channel.Misconfigured, "402", 0},
		{"httpsms", answer{404, ``, nil}, channel.Misconfigured, "404", 0},
		{"httpsms", answer{502, `<html>`, nil}, channel.Unknown, "502", 0},
		{"traccar", answer{500, `java.lang.SecurityException`, nil}, channel.Temporary, "500", 0},
		{"twilio", answer{400, `{"code":21408}`, nil}, channel.Unreachable, "21408", 0},
		{"twilio", answer{400, `{"code":21614}`, nil}, channel.InvalidRecipient, "21614", 0},
		{"twilio", answer{400, `{"code":99999}`, nil}, channel.Unreachable, "99999", 0},
		{"twilio", answer{400, `{"code":582037}`, nil}, channel.Unreachable, "400", 0},
		{
			"twilio", answer{302, ``, http.Header{"Location": {"https://elsewhere.example/"}}}, channel.Misconfigured,
			"302", 0,
		},
		{
			"labsmobile", answer{200, `{"code":"30","message":"There was an error while sending the message"}`, nil},
			channel.Unknown, "30", 0,
		},
		{"labsmobile", answer{200, `{"code":30`, nil}, channel.Unknown, "200", 0},
		{"labsmobile", answer{200, ``, nil}, channel.Unknown, "200", 0},
		{"whatsapp", answer{400, `{"error":{"code":131026}}`, nil}, channel.Unreachable, "131026", 0},
		{"oxtro-style", answer{200, `{"id":"m-1"}`, nil}, channel.Unknown, "200", 0},
		{"oxtro-style", answer{503, `{"code":"` + strings.Repeat("x", 50) + `"}`, nil}, channel.Temporary, "503", 0},
	} {
		t.Run(fmt.Sprint(row.api, " ", row.answer.status, " ", row.code), func(t *testing.T) {
			t.Parallel()
			inBubble(t, providerNamed(t, row.api), nil, func(t *testing.T, b *bubble) {
				b.set(func() { b.fakeProvider.refuse = &row.answer })
				s, err := b.channel.Send(t.Context(), golden())
				e, ok := errors.AsType[*channel.Error](err)
				if !ok || e.Class != row.class || e.Code != row.code || e.RetryAfter != row.after ||
					s.State != channel.Failed {
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
func TestRefusesOneNumber(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity} {
		inBubble(t, providerNamed(t, "httpsms"), nil, func(t *testing.T, b *bubble) {
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
			next.ID, next.To.Phone = "golden.2", "+447400123456"
			if _, err := routes.Send(t.Context(), next); err != nil {
				t.Errorf("%d: the next number: %v", status, err)
			}
		})
	}
}

// What cannot be sent is refused before anything is written.
func TestUnsendable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		api    string
		change func(*channel.Message)
		class  channel.Class
	}{
		{"textbee", func(m *channel.Message) { m.Text = "" }, channel.Misconfigured},
		{"whatsapp", func(m *channel.Message) { m.Code = "" }, channel.Misconfigured},
		{"httpsms", func(m *channel.Message) { m.ID = "" }, channel.Misconfigured},
		{"twilio-voice", func(m *channel.Message) { m.Code = "12 34" }, channel.Misconfigured},
		{"twilio-voice", func(m *channel.Message) { m.Text = "no code" }, channel.Misconfigured},
		{"twilio", func(m *channel.Message) { m.Expires = time.Now().Add(999 * time.Millisecond) }, channel.Expired},
		{
			"twilio", func(m *channel.Message) { m.To = channel.Recipient{Email: "ann@example.com"} },
			channel.InvalidRecipient,
		},
		{"twilio", func(m *channel.Message) { m.To.Phone = "07700900123" }, channel.InvalidRecipient},
	} {
		inBubble(t, providerNamed(t, row.api), nil, func(t *testing.T, b *bubble) {
			m := golden()
			row.change(m)
			_, err := b.channel.Send(t.Context(), m)
			if err == nil || channel.ClassOf(err) != row.class || b.take() != nil {
				t.Errorf("%s: error %v, want class %v and no request", row.api, err, row.class)
			}
		})
	}
}

// A redirect takes neither the message nor the credentials elsewhere.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := newTLSProvider(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	s := newTLSProvider(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	eachProvider(t, func(t *testing.T, p api) {
		ch := newChannel(t, p.config(t, s.URL, s.Client()))
		_, err := ch.Send(t.Context(), golden())
		if err == nil || channel.ClassOf(err) != channel.Misconfigured || elsewhere.Load() != 0 {
			t.Errorf("error %v, and %d requests elsewhere", err, elsewhere.Load())
		}
		if err != nil && strings.Contains(err.Error(), other.URL) {
			t.Errorf("the error shows the other URL: %v", err)
		}
	})
}

// Whether anything was written decides the class.
func TestWritten(t *testing.T) {
	t.Parallel()
	p := providerNamed(t, "twilio")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	unanswered, cancel := context.WithCancel(t.Context())
	defer cancel()
	silent := newTLSProvider(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else net/http does not notice that the client is gone
		cancel()
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
		ctx := t.Context()
		if row.class == channel.Unknown {
			ctx = unanswered
		}
		_, err := newChannel(t, p.config(t, row.url, row.client)).Send(ctx, golden())
		if err == nil || channel.ClassOf(err) != row.class {
			t.Errorf("%s: %v, want class %v", name, err, row.class)
		}
		if err != nil && (strings.Contains(err.Error(), "ACc0ffee") || strings.Contains(err.Error(), "447700900123")) {
			t.Errorf("%s: the error shows too much: %v", name, err)
		}
	}
}
