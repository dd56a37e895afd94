package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

func TestSMSGateConformance(t *testing.T) {
	for name, kind := range map[string]gatewaytest.Kind{"private": gatewaytest.Private, "phone": gatewaytest.OnPhone} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Harness{
				Address: channel.Phone, ProviderIDs: true, Idempotent: true,
				// The suite's own number is of no mobile phone network.
				Message: func(id string) *channel.Message {
					m := channeltest.Message(channel.Phone, id)
					m.To.Phone = ann
					return m
				},
				New: func(t testing.TB) channeltest.Subject { return newSubject(t, kind) },
			})
		})
	}
}

func newSubject(t testing.TB, kind gatewaytest.Kind) channeltest.Subject {
	s, _ := newGateServer(t, gatewaytest.Config{Kind: kind})
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages"}
	return channeltest.Subject{
		Channel:  newGate(t, s, gateway.SMSGateConfig{Receipt: newLedger().receipt}),
		Accepted: func() int { return len(s.Messages()) },
		Refuse: func(class channel.Class) bool {
			rule := submission
			switch class {
			case channel.Unknown:
				rule.Action, rule.Served = gatewaytest.Disconnect, true
			case channel.Temporary:
				rule.Status, rule.Body = 408, "Request Timeout"
			case channel.Throttled:
				rule.Status, rule.Body = 503, `{"message":"queue limits exceeded: too many pending messages"}`
			case channel.Unreachable:
				rule.Status, rule.Body = 400, `{"message":"failed to use phone in row 1: not mobile phone number"}`
			case channel.InvalidRecipient:
				rule.Status, rule.Body = 400, `{"message":"failed to use phone in row 1: invalid phone number"}`
			case channel.Misconfigured:
				rule.Status, rule.Body = 403, `{"message":"scope required: messages:send"}`
			default:
				return false
			}
			s.Script(rule)
			return true
		},
		Stall: func() func() {
			rule := submission
			rule.Action, rule.Served = gatewaytest.Stall, true
			s.Script(rule)
			return s.ClearScript
		},
	}
}

// The request, to the letter, in every mode.
func TestSMSGateRequest(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		server gatewaytest.Config
		config gateway.SMSGateConfig
		query  string
		body   string
	}{
		"defaults": {
			body: `{"id":"c4n7.1","deviceId":"pixel","textMessage":{"text":"<#> 582037 is your code. & \"FA+9qCX9VSu\""},"phoneNumbers":["+19162255887"],"ttl":299,"priority":100,"withDeliveryReport":true}`,
		},
		"cloud": {
			server: gatewaytest.Config{Kind: gatewaytest.Cloud},
			config: gateway.SMSGateConfig{
				Devices: []gateway.SMSGateDevice{{ID: "pixel", SIM: 2}}, ActiveWithin: 90 * time.Minute, Priority: -5,
				SkipPhoneValidation: true, NoDeliveryReport: true, JWT: true,
			},
			query: "deviceActiveWithin=2&skipPhoneValidation=true",
			body:  `{"id":"c4n7.1","deviceId":"pixel","textMessage":{"text":"<#> 582037 is your code. & \"FA+9qCX9VSu\""},"phoneNumbers":["+19162255887"],"simNumber":2,"ttl":299,"priority":-5,"withDeliveryReport":false}`,
		},
		"on the phone": {
			server: gatewaytest.Config{Kind: gatewaytest.OnPhone},
			config: gateway.SMSGateConfig{SIM: 3, ActiveWithin: time.Hour},
			body:   `{"id":"c4n7.1","textMessage":{"text":"<#> 582037 is your code. & \"FA+9qCX9VSu\""},"phoneNumbers":["+19162255887"],"simNumber":3,"ttl":299,"priority":100,"withDeliveryReport":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newGateServer(t, row.server)
			m := codeTo("c4n7.1", ann)
			m.Text = "<#> " + m.Text + ` & "FA+9qCX9VSu"`
			mustSend(t, newGate(t, s, row.config), m)
			requests := s.Requests()
			last := requests[len(requests)-1]
			var got, want any
			if json.Unmarshal(last.Body, &got) != nil || json.Unmarshal([]byte(row.body), &want) != nil {
				t.Fatalf("no JSON: %s", last.Body)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			if last.Path != "/messages" || last.Query.Encode() != row.query || last.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s?%s %v", last.Path, last.Query.Encode(), last.Header)
			}
		})
	}
}

func TestSMSGateRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		body   string
		class  channel.Class
	}{
		{400, `{"message":"failed to use phone in row 1: invalid phone number"}`, channel.InvalidRecipient},
		{400, `{"message":"failed to use phone in row 1: failed to parse phone number: x"}`, channel.InvalidRecipient},
		{400, `{"message":"failed to use phone in row 1: not mobile phone number"}`, channel.Unreachable},
		{400, `{"message":"Key: 'Message.PhoneNumbers[0]' Error:Field validation for 'PhoneNumbers[0]' failed on the 'max' tag"}`, channel.InvalidRecipient},
		{400, `{"message":"record not found"}`, channel.Temporary},
		{400, `{"message":"no active devices"}`, channel.Temporary},
		{400, `{"message":"Key: 'Message.Priority' Error"}`, channel.Misconfigured},
		{400, "Bad Request", channel.Misconfigured},
		{401, `{"message":"Unauthorized"}`, channel.Misconfigured},
		{403, `{"message":"scope required: messages:send"}`, channel.Misconfigured},
		{404, "Cannot POST /messages", channel.Misconfigured},
		{301, "", channel.Misconfigured},
		{408, "", channel.Temporary},
		{429, "", channel.Throttled},
		{500, `{"message":"failed to handle request"}`, channel.Unknown},
		{502, "Bad Gateway", channel.Unknown},
		{503, "queue limits exceeded: too many failed messages", channel.Throttled},
		{503, `{"message":"queue limits exceeded"}`, channel.Throttled},
		{503, "<html>Service Unavailable</html>", channel.Unknown},
		{504, "", channel.Unknown},
	} {
		s, _ := newGateServer(t, gatewaytest.Config{})
		s.Script(gatewaytest.Rule{
			Method: http.MethodPost, Path: "/messages", Status: row.status, Body: row.body,
			Header: http.Header{"Retry-After": {"7"}},
		})
		g := newGate(t, s, gateway.SMSGateConfig{})
		_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
		e, ok := errors.AsType[*channel.Error](err)
		if !ok || e.Class != row.class || e.RetryAfter != 7*time.Second || e.Code == "" {
			t.Errorf("%d %s: %v, want class %v", row.status, row.body, err, row.class)
		}
		want := 1
		if row.class == channel.Unknown {
			want = 3
		}
		if n := posts(s); n != want {
			t.Errorf("%d %s: %d submissions, want %d", row.status, row.body, n, want)
		}
	}
}

// What must not go near the server.
func TestSMSGateUnsendable(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{})
	g := newGate(t, s, gateway.SMSGateConfig{})
	for name, row := range map[string]struct {
		change func(*channel.Message)
		class  channel.Class
	}{
		"no id":       {func(m *channel.Message) { m.ID = "" }, channel.Misconfigured},
		"long id":     {func(m *channel.Message) { m.ID = strings.Repeat("x", 37) }, channel.Misconfigured},
		"id":          {func(m *channel.Message) { m.ID = "a/b" }, channel.Misconfigured},
		"id ..":       {func(m *channel.Message) { m.ID = ".." }, channel.Misconfigured},
		"no text":     {func(m *channel.Message) { m.Text = "" }, channel.Misconfigured},
		"no number":   {func(m *channel.Message) { m.To = channel.Recipient{Email: "ann@example.com"} }, channel.InvalidRecipient},
		"no E.164":    {func(m *channel.Message) { m.To.Phone = "9162255887" }, channel.InvalidRecipient},
		"almost over": {func(m *channel.Message) { m.Expires = time.Now().Add(4900 * time.Millisecond) }, channel.Expired},
	} {
		m := codeTo("c4n7.1", ann)
		row.change(m)
		if _, err := g.Send(t.Context(), m); channel.ClassOf(err) != row.class {
			t.Errorf("%s: %v, want class %v", name, err, row.class)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("the server has read %d requests", n)
	}
}

// An answer that is lost costs nothing: the same id goes to the same phone, and
// 409 says that it was accepted.
func TestSMSGateLostAnswer(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]gatewaytest.Rule{
		"hung up":     {Action: gatewaytest.Disconnect},
		"bad gateway": {Status: 502},
		"proxy":       {Status: 503, Body: "upstream connect error or disconnect/reset before headers"},
	} {
		s, _ := newGateServer(t, gatewaytest.Config{})
		rule.Method, rule.Path, rule.Served, rule.Times = http.MethodPost, "/messages", true, 1
		s.Script(rule, gatewaytest.Rule{Method: http.MethodGet, Path: "/messages", Status: 500})
		mustSend(t, newGate(t, s, gateway.SMSGateConfig{}), codeTo("c4n7.1", ann))
		if n := posts(s); n != 2 {
			t.Errorf("%s: %d submissions, want 2", name, n)
		}
		if n := len(s.Messages()); n != 1 {
			t.Errorf("%s: %d messages", name, n)
		}
	}
}

// A refusal after a try whose fate is unknown says nothing of that try: the
// server is asked, and who cannot be sure is not.
func TestSMSGateRefusedAfterUnknown(t *testing.T) {
	t.Parallel()
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages"}
	full, lost := submission, submission
	full.Status, full.Body = 503, "queue limits exceeded"
	lost.Action, lost.Times = gatewaytest.Disconnect, 1

	for name, kind := range map[string]gatewaytest.Kind{"server": gatewaytest.Private, "phone": gatewaytest.OnPhone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newGateServer(t, gatewaytest.Config{Kind: kind})
			g := newGate(t, s, gateway.SMSGateConfig{})
			s.Script(full, lost)
			_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
			wantRefused(t, err, channel.Unknown, "")
			_, err = g.Send(t.Context(), codeTo("c4n7.1", ann)) // by now it would be there
			wantRefused(t, err, channel.Throttled, "503")
			s.Script(gatewaytest.Rule{Method: http.MethodGet, Path: "/messages", Status: 500})
			_, err = g.Send(t.Context(), codeTo("c4n7.1", ann))
			wantRefused(t, err, channel.Unknown, "")

			s.ClearScript()
			lost := lost
			lost.Served = true
			s.Script(full, lost)
			mustSend(t, g, codeTo("c4n7.2", ann))
			if n := len(s.Messages()); n != 1 {
				t.Errorf("%d messages", n)
			}

			// The first call has not found out, the next one does.
			s.ClearScript()
			lost.Times = 3
			s.Script(full, lost)
			_, err = g.Send(t.Context(), codeTo("c4n7.3", ann))
			wantRefused(t, err, channel.Unknown, "")
			mustSend(t, g, codeTo("c4n7.3", ann))
			before := posts(s)
			mustSend(t, g, codeTo("c4n7.3", ann)) // it is known to be there
			if n := posts(s); n != before {
				t.Errorf("%d submissions of what the server has", n-before)
			}
		})
	}
}

// Of two calls of one message at once none says that it is certainly not sent
// while the other has sent it, or may have.
func TestSMSGateRefusedWhileShared(t *testing.T) {
	t.Parallel()
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages"}
	full, stall, served := submission, submission, submission
	full.Status, full.Body = 503, "queue limits exceeded"
	stall.Action, stall.Times = gatewaytest.Stall, 1
	served.Action, served.Times, served.Served = gatewaytest.Stall, 1, true
	for name, row := range map[string]struct {
		rules         []gatewaytest.Rule
		first, second channel.Class // 255: accepted
	}{
		"the first is stored, the second refused":         {[]gatewaytest.Rule{full, served}, 255, 255},
		"the first is on its way, the second refused":     {[]gatewaytest.Rule{full, stall}, 255, channel.Unknown},
		"the first is refused once the second was stored": {[]gatewaytest.Rule{stall}, 255, 255},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := phones(t, gatewaytest.Config{QueueLimit: 1}, gatewaytest.PhoneConfig{ID: "pixel"})
				g := newGate(t, s, gateway.SMSGateConfig{Devices: oneDevice})
				s.Script(row.rules...)
				send := func() channel.Class {
					if _, err := g.Send(t.Context(), codeTo("c4n7.1", ann)); err != nil {
						return channel.ClassOf(err)
					}
					return 255
				}
				first := make(chan channel.Class)
				go func() { first <- send() }()
				synctest.Wait()
				if got := send(); got != row.second {
					t.Errorf("the second: class %v, want %v", got, row.second)
				}
				s.ClearScript()
				if got := <-first; got != row.first {
					t.Errorf("the first: class %v, want %v", got, row.first)
				}
				if n := len(s.Messages()); n != 1 {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}

func TestSMSGateClosed(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{})
	g := newGate(t, s, gateway.SMSGateConfig{Receipt: newLedger().receipt})
	s.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall})
	sent := make(chan error)
	go func() {
		_, err := g.Send(t.Context(), codeTo("c4n7.1", ann))
		sent <- err
	}()
	if _, err := s.WaitRequests(t.Context(), 2); err != nil { // the list of phones, and the message
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-sent; !errors.Is(err, gateway.ErrClosed) || channel.ClassOf(err) != channel.Unknown {
		t.Errorf("Send under way: %v", err)
	}
	for range 2 {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	for what, err := range map[string]error{
		"Send":             func() error { _, err := g.Send(t.Context(), codeTo("c4n7.2", ann)); return err }(),
		"Cancel":           g.Cancel(t.Context(), codeTo("c4n7.1", ann), channel.Submission{}),
		"Devices":          func() error { _, err := g.Devices(t.Context()); return err }(),
		"RegisterWebhooks": g.RegisterWebhooks(t.Context(), "https://example.com"),
	} {
		if !errors.Is(err, gateway.ErrClosed) || channel.ClassOf(err) != channel.Temporary {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSMSGateConfig(t *testing.T) {
	t.Parallel()
	good := gateway.SMSGateConfig{Username: "u", Password: "p"}
	if g, err := gateway.NewSMSGate(good); err != nil || g.String() != "sms-gate https://api.sms-gate.app/3rdparty/v1" {
		t.Errorf("%v, %v", g, err)
	} else {
		_ = g.Close()
	}
	for field, change := range map[string]func(*gateway.SMSGateConfig){
		"Username":       func(c *gateway.SMSGateConfig) { c.Username = "" },
		"Username ":      func(c *gateway.SMSGateConfig) { c.Username = "a:b" },
		"Password":       func(c *gateway.SMSGateConfig) { c.Password = "" },
		"URL":            func(c *gateway.SMSGateConfig) { c.URL = "http://192.168.1.20:8080" },
		"URL ":           func(c *gateway.SMSGateConfig) { c.URL = "https://u:p@sms.example.com/api/3rdparty/v1" },
		"SIM":            func(c *gateway.SMSGateConfig) { c.SIM = 4 },
		"Priority":       func(c *gateway.SMSGateConfig) { c.Priority = 128 },
		"ActiveWithin":   func(c *gateway.SMSGateConfig) { c.ActiveWithin = -1 },
		"WebhookWindow":  func(c *gateway.SMSGateConfig) { c.WebhookWindow = -1 },
		"Timeout":        func(c *gateway.SMSGateConfig) { c.Timeout = -1 },
		"SigningKeys":    func(c *gateway.SMSGateConfig) { c.SigningKeys = []string{""} },
		"Devices[0].ID":  func(c *gateway.SMSGateConfig) { c.Devices = []gateway.SMSGateDevice{{}} },
		"Devices[0].SIM": func(c *gateway.SMSGateConfig) { c.Devices = []gateway.SMSGateDevice{{ID: "a", SIM: 4}} },
		"Devices[0].Countries": func(c *gateway.SMSGateConfig) {
			c.Devices = []gateway.SMSGateDevice{{ID: "a", Countries: []string{"gb"}}}
		},
		"Devices[0].SigningKeys": func(c *gateway.SMSGateConfig) {
			c.Devices = []gateway.SMSGateDevice{{ID: "a", SigningKeys: []string{""}}}
		},
		"Devices": func(c *gateway.SMSGateConfig) {
			c.URL, c.Devices = "https://phone.example", []gateway.SMSGateDevice{{ID: "a"}, {ID: "b"}}
		},
	} {
		c := good
		change(&c)
		if _, err := gateway.NewSMSGate(c); err == nil || !strings.Contains(err.Error(), "SMSGateConfig."+strings.TrimSpace(field)) {
			t.Errorf("%s: error %v does not name it", field, err)
		}
	}
}
