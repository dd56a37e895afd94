package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// small is a profile with something of everything.
const small = `{
	"name": "small",
	"values": {"url": null, "user": null, "secret": "", "sim": "1"},
	"headers": {"X-Key": "{{secret}}"},
	"auth": {"basic": {"user": "{{user}}", "password": "{{secret}}"}},
	"send": {"url": "{{url}}/send", "json": {"to": "{{to}}", "sims": [{"n": "{{number sim}}"}], "x": 1}},
	"answer": {"id": "data.id", "ok": "code", "is": ["0"], "code": "code"},
	"classes": {"7": "invalid recipient"},
	"poll": {"url": "{{url}}/state/{{provider_id}}", "status": "state"},
	"states": {"S": "sent", "D": "delivered"},
	"webhook": {"id": "id", "status": "state", "verify": {"hmac": {"header": "X-Sig", "secrets": ["{{secret}}"]}}}
}`

// mistakes replace a part of small, each with the error that follows.
var mistakes = []struct{ old, new, want string }{
	{`"name": "small",`, ``, `profile "": name: is required`},
	{`"name"`, `"title"`, `profile: unknown field "title"`},
	{`"name": "small"`, `"name": 7`, `profile: name: is of the wrong type, number`},
	{`"url": null`, `"Url": null`, `values: "Url" is not of the form [a-z][a-z0-9_]*`},
	{`"url": null`, `"text": null`, `values: "text" is a field of messages`},
	{`"url": null`, `"url": null, "spare": ""`, `values.spare: is not used anywhere`},
	{`{"X-Key"`, `{"X Key"`, `headers: "X Key" cannot be the name of a header`},
	{`{"X-Key"`, `{"Host"`, `headers: "Host" cannot be the name of a header`},
	{
		`"X-Key": "{{secret}}"`, `"X-Key": "a\r\nX-Admin: 1"`,
		`headers.X-Key: has a control character, or white space at an end`,
	},
	{`"X-Key": "{{secret}}"`, `"X-Key": "{{text}}"`, `headers.X-Key: unknown field {{text}}`},
	{`{"basic": {`, `{"bearer": "{{secret}}", "basic": {`, `auth: is not one of basic, bearer, oauth2, login`},
	{`"password": "{{secret}}"`, `"password": ""`, `auth.basic.password: is required`},
	{`{"user": "{{user}}", "password"`, `{"usr": "{{user}}", "password"`, `profile: unknown field "usr"`},
	{`"{{url}}/send"`, `""`, `send.url: is required`},
	{`"{{url}}/send"`, `"{{url}}send"`, `send.url: the value that it begins with is not followed by "/"`},
	{`"{{url}}/send"`, `"{{sender|url}}/send"`, `send.url: begins with what a message holds, not a value`},
	{
		`"{{url}}/state/{{provider_id}}"`, `"{{provider_id}}"`,
		`poll.url: begins with what a message holds, not a value`,
	},
	{`"{{url}}/send"`, `"ftp://{{url}}/send"`, `send.url: does not begin with "https://host/" or with a value`},
	{
		`"{{url}}/send"`, `"https://api.{{url}}/send"`,
		`send.url: does not begin with "https://host/" or with a value`,
	},
	{`"{{url}}/send"`, `"https://{{url}}/send"`, `send.url: does not begin with "https://host/" or with a value`},
	{
		`"{{url}}/send"`, `"{{url}}/send?to={{to}}"`,
		`send.url: has a "?" (use query), a "#" or another character that no path has`,
	},
	{`"json": {"to"`, `"method": "TRACE", "json": {"to"`, `send.method: is not one of GET, POST, PUT, PATCH, DELETE`},
	{
		`"json": {"to"`, `"method": "GET", "json": {"to"`,
		`send.method: there is more than one of GET, json and form`,
	},
	{`"json": {"to"`, `"form": {}, "json": {"to"`, `send.method: there is more than one of GET, json and form`},
	{`"{{to}}"`, `"{{too}}"`, `send.json.to: unknown field {{too}}`},
	{`"{{to}}"`, `"{{to"`, `send.json.to: "{{" without "}}"`},
	{`"{{to}}"`, `"{{html to}}"`, `send.json.to: unknown filter "html"`},
	{`"{{number sim}}"`, `"{{number sim}} "`, `send.json.sims[0].n: a number has text around it`},
	{`"data.id"`, `"data..id"`, `answer.id: is no path such as "data.id"`},
	{`"is": ["0"], `, ``, `answer: there is only one of ok and is`},
	{`"is": ["0"]`, `"is": ["0"], "statuses": [404]`, `answer.statuses: 404 is neither one of 200 to 299 nor 409`},
	{
		`"id": "data.id", "ok": "code", "is": ["0"]`, `"id": "data.id", "id_optional": true`,
		`answer.id_optional: needs id, and an ok that tells a success without it`,
	},
	{`"id": "data.id", "ok"`, `"id": "data.id", "own_id": true, "ok"`, `answer: there is both id and own_id`},
	{`"ok": "code"`, `"pattern": "(", "ok": "code"`, `answer.pattern: is no regular expression of Go's package regexp`},
	{`"name": "small"`, `"name": "small", "address": "fax"`, `address: is not one of phone, email, push, chat`},
	{`"poll": {`, `"cancel": {"url": "{{url}}/{{text}}"}, "poll": {`, `cancel.url: unknown field {{text}}`},
	{`"poll": {`, `"alphabets": {"gsm7": "0"}, "poll": {`, `alphabets: "gsm7" is not one of gsm, ucs2`},
	{
		`"header": "X-Sig"`, `"header": "X-Sig", "content": "{{text}}"`,
		`webhook.verify.hmac.content: unknown field {{text}}`,
	},
	{`"hmac": {`, `"ed25519": {"hash": "sha1", `, `webhook.verify.ed25519: has a key or a hash, which only hmac has`},
	{
		`"invalid recipient"`, `"invalid_recipient"`,
		`classes.7: channel: "invalid_recipient" is not a class: ` +
			`unknown, temporary, throttled, unreachable, invalid recipient, misconfigured, expired`,
	},
	{`{{provider_id}}`, `{{id}}`, `poll.url: unknown field {{id}}`},
	{`"status": "state"},`, `"status": ""},`, `poll.status: is required`},
	{`"url": "{{url}}/state/{{provider_id}}"`, `"url": 7`, `profile: poll.url: is of the wrong type, number`},
	{`"id": "data.id", "ok"`, `"ok"`, `answer.id: is required for poll`},
	{`{"S": "sent", "D": "delivered"}`, `{}`, `states: is required`},
	{`"S": "sent"`, `"S": "send"`, `states.S: is not one of waiting, sent, delivered, failed, ended`},
	{
		`"webhook": {"id": "id"`, `"webhook": {"format": "xml", "id": "id"`,
		`webhook.format: is not one of json, form, query`,
	},
	{`"webhook": {"id": "id", `, `"webhook": {`, `webhook.id: is required`},
	{
		`{"hmac": {"header": "X-Sig", "secrets": ["{{secret}}"]}}`, `{}`,
		`webhook.verify: is not one of hmac, ed25519, ecdsa, jwt, twilio, sns, token, dangerously_none`,
	},
	{
		`{"hmac": {`, `{"dangerously_none": true, "hmac": {`,
		`webhook.verify: is not one of hmac, ed25519, ecdsa, jwt, twilio, sns, token, dangerously_none`,
	},
	{`"header": "X-Sig", `, ``, `webhook.verify.hmac.header: is not the name of a header`},
	{
		`"header": "X-Sig"`, `"header": "X-Sig", "hash": "md5"`,
		`webhook.verify.hmac.hash: is not one of sha256, sha1, sha512`,
	},
	{
		`"header": "X-Sig"`, `"header": "X-Sig", "encoding": "hax"`,
		`webhook.verify.hmac.encoding: is not one of hex, base64`,
	},
	{
		`"secrets": ["{{secret}}"]`, `"secrets": ""`,
		`profile: webhook.verify.hmac.secrets: is of the wrong type, string`,
	},
	{`"secrets": ["{{secret}}"]`, `"secrets": []`, `webhook.verify.hmac.secrets: is required`},
	{
		`"secrets": ["{{secret}}"]`, `"secrets": ["hunter2"]`,
		`webhook.verify.hmac.secrets: is no value: a profile holds no secret`,
	},
	{`{"hmac": {"header": "X-Sig", `, `{"jwt": {`, `webhook.verify.jwt: has neither audience nor body_hash`},
	{`{"hmac": {"header": "X-Sig", `, `{"twilio": {`, `webhook.verify.twilio.url: is required`},
	{`{"hmac": {"header": "X-Sig", `, `{"token": {`, `webhook.verify.token: has not one of query, header, basic`},
	{
		`"verify": {`, `"challenge": {"query": "q", "secrets": ["{{secret}}"]}, "verify": {`,
		`webhook.challenge: has not both of query and answer`,
	},
	{`"states": {`, `"languages": {"en": ""}, "states": {`, `languages.en: is required`},
}

// Each mistake is an error that names where it is.
func TestParseProfileErrors(t *testing.T) {
	t.Parallel()
	for _, row := range mistakes {
		broken := strings.Replace(small, row.old, row.new, 1)
		if broken == small {
			t.Errorf("%q is not in the profile", row.old)
		}
		_, err := ParseProfile([]byte(broken))
		if err == nil || !strings.HasPrefix(err.Error(), "provider: profile") ||
			!strings.HasSuffix(err.Error(), row.want) {
			t.Errorf("%s: error %v, want %q", row.new, err, row.want)
		}
	}
	for text, want := range map[string]string{
		small + small:                           "provider: profile: something follows the closing brace",
		"":                                      "provider: profile: EOF",
		"[]":                                    "provider: profile: array where an object belongs",
		strings.Repeat(" ", maxProfile) + small: "provider: profile: over 256 KiB",
	} {
		if _, err := ParseProfile([]byte(text)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%.20q: error %v, want %q", text, err, want)
		}
	}
	if _, err := ParseProfile([]byte(small)); err != nil {
		t.Error(err)
	}
}

// The profiles that come with the package are whole, and hold no secret.
func TestBuiltIns(t *testing.T) {
	t.Parallel()
	for _, name := range builtIns() {
		p, err := builtIn(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.Name() != name {
			t.Errorf("profile %s calls itself %s", name, p.Name())
		}
		for value, dflt := range p.spec.Values {
			if dflt != nil && *dflt != "" && !strings.HasPrefix(*dflt, "https://") {
				t.Errorf("%s: values.%s has default %q", name, value, *dflt)
			}
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	root, err := parseJSON([]byte(`{"a": {"b": [{"c": null}, {"c": 12345678901234567890}], "t": true, "e": ""},
		"s": "x", "0": "zero", "id": "Zm8+"}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"s": "x", "a.b.1.c": "12345678901234567890", "a.b.*.c": "12345678901234567890", "a.t": "true", "0": "zero",
		"a": "", "a.b": "", "a.b.0.c": "", "a.b.2.c": "", "a.b.-1.c": "", "s.x": "", "nothing": "",
		"nothing|s": "x", "a.e|a.t": "true", "s+a.t": "x+true", "s+nothing": "x", "nothing+s": "+x", "id": "Zm8+",
		"id+a.e": "Zm8+", "nothing+a.e|s": "x",
	} {
		p, err := parsePath(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := p.find(document{root: root}); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", ".", "a.", "|a", "a++b"} {
		if _, err := parsePath(text); err == nil {
			t.Errorf("%q passes", text)
		}
	}
}

// FuzzParseProfile looks for a profile that passes and breaks a request.
func FuzzParseProfile(f *testing.F) {
	f.Add(small)
	for _, pattern := range []string{"profiles/*.json", "testdata/profiles/*.json"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Add(`{"name":"a","send":{"url":"https://h/{{to}}","json":[[["{{number ttl}}"]],null,{}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProfile([]byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "provider: profile") {
				t.Errorf("error %v", err)
			}
			return
		}
		configured := map[string]string{}
		for name, dflt := range p.spec.Values {
			if dflt == nil {
				configured[name] = "https://host.example/a" // good as a URL and as anything else
			}
		}
		c, err := New(Config{Profile: p, Values: configured, DangerouslyPlaintext: true})
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		m := &channel.Message{
			ID: "a.1", To: channel.Recipient{Phone: "+447700900123", Email: "a@example.com"}, Code: "582037",
			Text: "582037 \r\n\"<", Subject: "5\r\n", Body: "{{}}", HTML: "<a>", Language: "pt-BR", Purpose: "login",
			Sender: "a\r\nb", Expires: time.Now().Add(time.Minute),
		}
		get := messageSource{m, time.Now(), c.spec, c.values}.lookup
		req, err := c.spec.Send.build(t.Context(), get, c.spec.headers)
		if err != nil {
			if strings.Contains(err.Error(), "447700900123") && !strings.Contains(text, "447700900123") {
				t.Errorf("the error holds the number: %v", err)
			}
			return
		}
		if req.URL.Scheme != "https" && req.URL.Scheme != "http" || req.URL.Host == "" || req.URL.Fragment != "" {
			t.Errorf("URL %v", req.URL)
		}
		for name, values := range req.Header {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("header %q: %q", name, values)
			}
		}
	})
}

func BenchmarkBuildRequest(b *testing.B) {
	for _, name := range []string{"textbee", "twilio"} {
		b.Run(name, func(b *testing.B) {
			values := map[string]map[string]string{
				"textbee": {"device": "65f1c0ffee", "key": "key"}, "twilio": {"account": "AC1", "password": "p"},
			}[name]
			c, err := New(Config{Provider: name, Values: values})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			m := &channel.Message{
				ID: "a.1", To: channel.Recipient{Phone: "+447700900123"}, Text: "582037 is your code.",
				Expires: time.Now().Add(time.Hour),
			}
			b.ReportAllocs()
			for b.Loop() {
				get := messageSource{m, time.Now(), c.spec, c.values}.lookup
				if _, err := c.spec.Send.build(b.Context(), get, c.spec.headers); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestShownCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"21211": "21211", "RESULT_ERROR": "RESULT_ERROR", "0x45": "0x45", "": "",
		"582037": "", "447700900123": "", "+447700900123": "", "no such number": "", "code-582037": "code-582037",
		"a5820377":              "",
		strings.Repeat("x", 41): "", "5-8-2-0-3-7": "5-8-2-0-3-7",
	} {
		if got := shownCode(code, false); got != want {
			t.Errorf("%q is shown as %q, want %q", code, got, want)
		}
	}
	if got := shownCode("Unknown Number", true); got != "Unknown Number" {
		t.Errorf("a listed code is shown as %q", got)
	}
}
