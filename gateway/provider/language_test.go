package provider_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// A server answers all requests alike, and keeps them.
type server struct {
	status int
	body   string
	header http.Header

	requests []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
	for name, values := range s.header {
		w.Header()[name] = values
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	_, _ = io.WriteString(w, s.body)
}

// newLanguage makes a channel of a profile's members, beside its name.
func newLanguage(t *testing.T, s *server, members string, values map[string]string) *provider.Channel {
	t.Helper()
	return newChannel(t, provider.Config{
		Profile: parse(t, `{"name": "language", `+members+`}`), Values: values,
		Client: &http.Client{Transport: inMemory{s}},
	})
}

const plainSend = `"send": {"url": "https://h/send", "form": {"to": "{{to}}"}}`

// What an answer says of a message: nothing is a success that is not certain.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		list = `"answer": {"ok": "m.*.s", "is": ["0", "100-102"], "id": "m.*.id", "code": "m.*.s|e"},
			"classes": {"3": "invalid recipient", "50-59": "temporary", "FLOOD_*": "throttled", "*": "unreachable"}`
		byNumber = `"answer": {"ok": "sms.{digits}.s", "is": ["ok"], "id": "sms.{digits}.id", "code": "sms.{digits}.s"},
			"classes": {"bad": "invalid recipient"}`
		id   = `"answer": {"id": "id|header:X-Id"}, "classes": {"http 402": "misconfigured"}`
		text = `"answer": {"pattern": "^(?P<c>[0-9]+): ?(?P<id>.*)", "ok": "c", "is": ["0"], "code": "c", "id": "id"},
			"classes": {"3": "throttled"}`
		own = `"answer": {"own_id": true}`
	)
	for _, row := range []struct {
		answer string
		server server
		want   string
	}{
		{list, server{body: `{"m":[{"s":"0","id":"a"}]}`}, "[a]"},
		{list, server{body: `{"m":[{"s":0,"id":"a"},{"s":101,"id":"b"}]}`}, "[a b]"},
		{list, server{body: `{"m":{"x":{"s":0,"id":"a"}}}`}, "[a]"},
		{list, server{body: `{"m":[{"s":"0","id":"a"},{"s":"3"}]}`}, "unknown 3"},
		{list, server{body: `{"m":[{"s":"3"}]}`}, "invalid recipient 3"},
		{list, server{body: `{"m":[{"s":"55"}]}`}, "temporary 55"},
		{list, server{body: `{"m":[{"s":"FLOOD_WAIT_5"}]}`}, "throttled FLOOD_WAIT_5"},
		{list, server{body: `{"m":[{"s":"99"}]}`}, "unreachable 99"},
		{list, server{body: `{"m":[],"e":"none"}`}, "unreachable none"},
		{list, server{body: `{"m":[]}`}, "unknown 200"},
		{list, server{body: `<html>`}, "unknown 200"},
		{list, server{body: ``}, "unknown 200"},
		{list, server{body: `{"m":[{"s":"0"}]}`}, "unknown 200"},
		{list, server{body: `{"m":[{"s":"0","id":"a b"}]}`}, "unknown 200"},
		{list, server{status: 401, body: `{"m":[{"s":"99"}]}`}, "misconfigured 99"},
		{list, server{status: 500, body: `{"m":[{"s":"0","id":"a"}]}`}, "unknown 500"},
		{byNumber, server{body: `{"sms":{"447700900123":{"s":"ok","id":"a"},"447700900124":{"s":"bad"}}}`}, "[a]"},
		{
			byNumber, server{body: `{"sms":{"447700900123":{"s":"bad"},"447700900124":{"s":"ok"}}}`},
			"invalid recipient bad",
		},
		{id, server{body: "\ufeff{\"id\": 12345678901234567890}"}, "[12345678901234567890]"},
		{id, server{status: 202, header: http.Header{"X-Id": {"<a@b>"}}}, "[a@b]"},
		{id, server{status: 202}, "unknown 202"},
		{id, server{status: 402}, "misconfigured 402"},
		{text, server{body: "0: m-1"}, "[m-1]"},
		{text, server{status: 202, body: "3: Queue full"}, "throttled 3"},
		{text, server{body: "Denied"}, "unknown 200"},
		{own, server{}, "[golden.1]"},
		{`"answer": {"id": "r.id"}`, server{body: `<?xml version="1.0"?><r><id>x1</id></r>`}, "[x1]"},
		{`"answer": {}`, server{body: `whatever`}, "[]"},
	} {
		ch := newLanguage(t, &row.server, plainSend+", "+row.answer, nil)
		s, err := ch.Send(t.Context(), golden())
		got := fmt.Sprint(s.ProviderIDs)
		if e, ok := errors.AsType[*channel.Error](err); ok {
			got = e.Class.String() + " " + e.Code
		}
		if got != row.want {
			t.Errorf("%d %s: %s, want %s", row.server.status, row.server.body, got, row.want)
		}
	}
}

// The kind of address is the profile's.
func TestAddressKind(t *testing.T) {
	t.Parallel()
	s := &server{}
	ch := newLanguage(t, s, `"address": "email", "send": {"url": "https://h/send", "json": {
		"to": "{{email}}", "subject": "{{subject}}", "text": "{{body}}", "html": "{{html}}"}}`, nil)
	m := &channel.Message{
		ID: "a.1", To: channel.Recipient{Email: "ann@example.com"}, Subject: "Code", Body: "582037",
		HTML: "<b>\"5\"</b>",
	}
	if _, err := ch.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := `POST /send {"html":"\u003cb\u003e\"5\"\u003c/b\u003e","subject":"Code","text":"582037",` +
		`"to":"ann@example.com"}`
	if got := strings.Join(s.requests, "\n"); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	m.To = channel.Recipient{Phone: "+447700900123"}
	if _, err := ch.Send(t.Context(), m); err == nil || channel.ClassOf(err) != channel.InvalidRecipient {
		t.Errorf("a message to a phone: %v", err)
	}
}

// An object is left out with the field that its member "?" names, and a URL with a
// query if there is no URL.
func TestOptionalObjects(t *testing.T) {
	t.Parallel()
	const members = `"values": {"hook_url": "", "token": ""}, "send": {"url": "https://h/send", "json": {
		"content": [{"type": "text", "value": "{{text}}"}, {"?": "{{html}}", "type": "html", "value": "{{html}}"}],
		"hook": {"?": "{{hook_url}}", "on": true, "url": "{{hook_url}}?token={{token}}"},
		"url": "{{hook_url}}?token={{token}}"}}`
	for hookURL, want := range map[string]string{
		"": `POST /send {"content":[{"type":"text","value":"582037"}]}`,
		"https://o/h": `POST /send {"content":[{"type":"text","value":"582037"}],` +
			`"hook":{"on":true,"url":"https://o/h?token=a+b"},"url":"https://o/h?token=a+b"}`,
	} {
		s := &server{}
		ch := newLanguage(t, s, members, map[string]string{"hook_url": hookURL, "token": "a b"})
		m := &channel.Message{ID: "a.1", To: channel.Recipient{Phone: "+447700900123"}, Text: "582037"}
		if _, err := ch.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
		if got := strings.Join(s.requests, "\n"); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
}

// A value may differ by purpose and language, and a message that none is for is
// not sent.
func TestValueVariants(t *testing.T) {
	t.Parallel()
	const members = `"values": {"template": null, "footer": ""},
		"send": {"url": "https://h/send", "form": {"t": "{{template}}", "f": "{{footer}}"}}`
	s := &server{}
	all := map[string]string{
		"template:login": "l", "template:login/pt": "lp", "template:login/pt-BR": "lpb", "template:/de": "d",
		"footer":     "f",
		"footer:pay": "fp",
	}
	ch := newLanguage(t, s, members, all)
	for of, want := range map[[2]string]string{
		{"login", "pt-BR"}: "f=f&t=lpb", {"login", "pt-PT"}: "f=f&t=lp", {"login", "en"}: "f=f&t=l",
		{"pay", "de"}: "f=fp&t=d",
		{"pay", "en"}: "", {"", ""}: "", {"", "de-AT"}: "f=f&t=d",
	} {
		s.requests = nil
		m := golden()
		m.Purpose, m.Language = of[0], of[1]
		_, err := ch.Send(t.Context(), m)
		if want != "" {
			want = "POST /send " + want
		}
		if got := strings.Join(s.requests, ""); got != want || (err == nil) != (want != "") ||
			err != nil && channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("%s: %s, %v, want %s", of, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"tmplate:login": "is none of profile", "template:": "names no purpose and no language",
		"template:/": "names no purpose and no language", "footer:x": "",
	} {
		values := map[string]string{"template": "t", name: "v"}
		_, err := provider.New(provider.Config{Profile: parse(t, `{"name": "language", `+members+`}`), Values: values})
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) || want == "" && err != nil {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	_, err := provider.New(provider.Config{
		Profile: parse(t, `{"name": "v", "values": {"url": null}, "send": {"url": "{{url}}/"}}`),
		Values:  map[string]string{"url": "https://h", "url:login": "http://evil.example"},
	})
	if err == nil || !strings.Contains(err.Error(), "has a variant, but is used for more than the message") {
		t.Errorf("a URL by purpose: %v", err)
	}
}

// A profile that can cancel makes a Canceler, and only such.
func TestCancel(t *testing.T) {
	t.Parallel()
	const members = plainSend + `, "answer": {"id": "id"}, "cancel": {
		"method": "POST", "url": "https://h/cancel/{{provider_id}}", "json": {"ref": "{{id}}"},
		"ok": "done", "is": ["true"]}`
	if _, ok := channel.As[channel.Canceler](newLanguage(t, &server{}, plainSend, nil)); ok {
		t.Error("a profile without cancel makes a Canceler")
	}
	submitted := channel.Submission{ProviderIDs: []string{"a/1"}, State: channel.Sent}
	for _, row := range []struct {
		server server
		of     channel.Submission
		want   string
	}{
		{server{body: `{"done":true}`}, submitted, "<nil>"},
		{server{body: `{"done":false}`}, submitted, "unknown"},
		{server{body: ``}, submitted, "unknown"},
		{server{status: 409, body: `{}`}, submitted, "unknown"},
		{server{status: 404}, submitted, "unknown"},
		{server{status: 401}, submitted, "misconfigured"},
		{server{status: 503}, submitted, "temporary"},
		{server{body: `{"done":true}`}, channel.Submission{}, "misconfigured unsupported"},
	} {
		c, ok := channel.As[channel.Canceler](newLanguage(t, &row.server, members, nil))
		if !ok {
			t.Fatal("no Canceler")
		}
		err := c.Cancel(t.Context(), golden(), row.of)
		got := "<nil>"
		if err != nil {
			got = channel.ClassOf(err).String()
		}
		if errors.Is(err, errors.ErrUnsupported) {
			got += " unsupported"
		}
		if got != row.want {
			t.Errorf("%d %s: %s, want %s", row.server.status, row.server.body, got, row.want)
		}
		sent := strings.Join(row.server.requests, "; ")
		if len(row.of.ProviderIDs) > 0 && sent != `POST /cancel/a%2F1 {"ref":"golden.1"}` {
			t.Errorf("sent %s", sent)
		}
	}
}

// A token comes by a login with a form or JSON, too, and is kept.
func TestLogin(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]string{
		`"auth": {"login": {"url": "https://h/token", "form": {"grant_type": "password", "username": "{{user}}"}}}`://
		"POST /token grant_type=password&username=ann\nPOST /send to=%2B447700900123\nPOST /send to=%2B447700900123",
		`"auth": {"login": {"url": "https://h/login", "json": {"u": "{{user}}"},
			"token": "data.jwt", "life": "data.s"}}`: //
		"POST /login {\"u\":\"ann\"}\nPOST /send to=%2B447700900123\nPOST /send to=%2B447700900123",
	} {
		s := &server{body: `{"access_token":"t1","data":{"jwt":"t1","s":"60"}}`}
		ch := newLanguage(t, s, `"values": {"user": null}, `+plainSend+", "+members, map[string]string{"user": "ann"})
		for range 2 {
			if _, err := ch.Send(t.Context(), golden()); err != nil {
				t.Error(err)
			}
		}
		if got := strings.Join(s.requests, "\n"); got != want {
			t.Errorf("%s: sent\n%s\nwant\n%s", members, got, want)
		}
	}
	s := &server{body: `{"token":"t1"}`}
	ch := newLanguage(t, s, plainSend+`, "auth": {"login": {"url": "https://h/token"}}`, nil)
	if _, err := ch.Send(t.Context(), golden()); channel.ClassOf(err) != channel.Misconfigured {
		t.Errorf("an answer without a token: %v", err)
	}
}
