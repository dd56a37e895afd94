package provider

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

func anyField(string) bool { return true }

func fieldsOf(values map[string]string) lookup {
	return func(name string) (string, error) { return values[name], nil }
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	get := fieldsOf(map[string]string{"a": "A", "b": "<B&>", "empty": ""})
	for text, want := range map[string]string{
		"": "", "plain {a} }}": "plain {a} }}", "{{a}}": "A", "{{ a }}{{b}}!": "A<B&>!", "{{empty|a}}": "A",
		"{{a|b}}":    "A",
		"x{{empty}}": "x", "{{xml b}}": "&lt;B&amp;&gt;", "{{xml empty | b}}": "&lt;B&amp;&gt;",
	} {
		tmpl, err := parseTemplate(text, anyField)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := tmpl.render(get); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	tmpl, _ := parseTemplate("{{empty}}{{empty|nothing}}", anyField)
	if _, err := tmpl.render(get); !errors.Is(err, errOmit) {
		t.Errorf("only empty fields: %v", err)
	}
}

// Whatever a field holds, it stays where it was put.
func TestTemplateInjection(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		`","to":"+1`, "\\", "\"", "\n", "</Say><Hangup/>", "{{secret}}", "a&to=1", "%22", "\u2028", "../../admin",
		"a/b?c#d", "\xff", "+",
	} {
		get := fieldsOf(map[string]string{"evil": evil, "secret": "hunter2"})
		var body any
		_ = json.Unmarshal([]byte(`{"text": "x{{evil}}", "list": ["{{evil}}"]}`), &body)
		parsed, _, err := parseJSONTemplate(body, anyField)
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := parsed.render(get)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(rendered)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Errorf("%q: %v", evil, err)
		}
		valid := strings.ToValidUTF8(evil, "\ufffd")
		if d := cmp.Diff(any(map[string]any{"text": "x" + valid, "list": []any{valid}}), got); d != "" {
			t.Errorf("%q as JSON (-want +got):\n%s", evil, d)
		}

		address, err := parseURLTemplate("https://host/a/{{evil}}/b", anyField)
		if err != nil {
			t.Fatal(err)
		}
		u, err := renderURL(address, get)
		if err != nil || strings.Count(u, "/") != 5 || strings.ContainsAny(u, "?#\n\"<") {
			t.Errorf("%q as a path: %s, %v", evil, u, err)
		}
	}
	for _, evil := range []string{"", ".", ".."} {
		address, _ := parseURLTemplate("https://host/a/{{evil}}/b", anyField)
		if u, err := renderURL(address, fieldsOf(map[string]string{"evil": evil})); err == nil {
			t.Errorf("%q as a path: %s", evil, u)
		}
	}
	for value, want := range map[string]bool{
		"a b": true, "ä": true, "": true, "a\tb": true, "a\r\nb": false, "a\nb": false, "a\x00b": false, " a": false,
		"a ": false, "a\x7f": false,
	} {
		if headerValue(value) != want {
			t.Errorf("%q in a header: %v", value, !want)
		}
	}
}

func TestTemplateNumber(t *testing.T) {
	t.Parallel()
	tmpl, err := parseTemplate("{{number n}}", anyField)
	if err != nil {
		t.Fatal(err)
	}
	for value, ok := range map[string]bool{
		"7": true, "-1.5e3": true, "007": false, "1,2": false, `"1"`: false, "true": false, "null": false, "{}": false,
		"[1]": false, " 1": false, "1\n": false,
	} {
		got, err := tmpl.renderJSON(fieldsOf(map[string]string{"n": value}))
		if (err == nil) != ok || ok && got != json.Number(value) {
			t.Errorf("%q: %v, %v", value, got, err)
		}
		if err != nil && value != "n" && strings.Contains(err.Error(), value) {
			t.Errorf("the error holds the value: %v", err)
		}
	}
}

func TestMessageFields(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	m := &channel.Message{
		ID: "c.1", Code: "58A", Text: "58A is it", Subject: "Your code", Body: "58A, long", HTML: "<b>58A</b>",
		To: channel.Recipient{
			Phone: "+4915112345678", Email: "ann@example.com", Push: "device-1", Chat: "telegram:1",
		},
		Sender: "Brand", Language: "pt-BR",
		Purpose: "login", Expires: now.Add(90*time.Second + time.Millisecond),
	}
	want := map[string]string{
		"to": "+4915112345678", "digits": "4915112345678", "country": "DE", "calling_code": "49",
		"national": "15112345678", "email": "ann@example.com", "push": "device-1", "chat": "telegram:1",
		"text": "58A is it", "code": "58A", "spoken": "5, 8, A", "spoken_text": "5, 8, A is it",
		"subject": "Your code", "body": "58A, long", "html": "<b>58A</b>",
		"sender": "Brand", "language": "pt", "purpose": "login", "id": "c.1", "now": "1795251600",
		"ttl": "90", "ttl_minutes": "2", "expires": "2026-11-21T09:01:30Z", "alphabet": "0", "ucs2_hex": "",
	}
	got := map[string]string{}
	spec := &profileSpec{
		Languages: map[string]string{"pt": "pt", "*": "en"}, Alphabets: map[string]string{"gsm": "0", "ucs2": "8"},
	}
	get := messageSource{m, now, spec, nil}.lookup
	for name := range messageFields {
		value, err := get(name)
		if err != nil {
			t.Error(err)
		}
		got[name] = value
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fields (-want +got):\n%s", d)
	}
	m.Text, m.Expires = "58A 文", now.Add(20*time.Second)
	for name, want := range map[string]string{"alphabet": "8", "ucs2_hex": "00350038004100206587", "ttl_minutes": "1"} {
		if got, _ := get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for tag, want := range map[string]string{"pt-BR": "pt_BR", "pt-PT": "pt", "de": "x", "": "x"} {
		if got := language(tag, map[string]string{"pt-BR": "pt_BR", "pt": "pt", "*": "x"}); got != want {
			t.Errorf("language %q: %q, want %q", tag, got, want)
		}
	}
}
