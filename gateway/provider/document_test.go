package provider

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

func TestParseDocument(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]any{
		"\ufeff{\"a\": \"b\"}":                    map[string]any{"a": "b"},
		`<?xml version="1.0"?><r><a>b</a></r>`:    map[string]any{"r": map[string]any{"a": "b"}},
		"\ufeff<r xmlns=\"urn:x\" id=\"7\">t</r>": map[string]any{"r": map[string]any{"id": "7"}},
		"<r> t </r>": map[string]any{"r": "t"},
		"<r><m>1</m><m>2</m><m id=\"3\"/></r>": map[string]any{
			"r": map[string]any{"m": []any{"1", "2", map[string]any{"id": "3"}}},
		},
		"<r><e/></r>": map[string]any{"r": map[string]any{"e": ""}},
		"":            nil, "ok": nil, "{} {}": nil, "<r>": nil, "<": nil, "<!-- -->": nil,
		strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100): nil,
	} {
		got, err := parseDocument([]byte(body))
		if (err == nil) != (want != nil) {
			t.Errorf("%.60q: %v", body, err)
		}
		if d := cmp.Diff(want, got); err == nil && d != "" {
			t.Errorf("%q (-want +got):\n%s", body, d)
		}
	}
	pattern := regexp.MustCompile(`^(?P<code>\d+): (.*)$`)
	for body, want := range map[string]any{
		"\ufeff0: Accepted": map[string]any{"code": "0"}, "Denied": map[string]any{},
	} {
		if d := cmp.Diff(want, parseText(pattern, []byte(body))); d != "" {
			t.Errorf("%q (-want +got):\n%s", body, d)
		}
	}
}

func TestPathOfRecipient(t *testing.T) {
	t.Parallel()
	root, err := parseJSON([]byte(`{
		"by": {"447700900123": {"id": "k1"}, "447700900124": {"id": "k2"}},
		"list": [{"to": "447700900124", "id": "l2"},
			{"to": 447700900123, "id": "l1"}, {"to": "447700900123", "id": "l3"}],
		"none": [], "null": [null, {"to": null}]}`))
	if err != nil {
		t.Fatal(err)
	}
	d := document{root, http.Header{"X-Id": {"h1"}}, &channel.Recipient{Phone: "+447700900123"}}
	for text, want := range map[string]string{
		"by.*.id": "k1 k2", "by.{digits}.id": "k1", "by.{to}.id": "", "list.to={digits}.id": "l1 l3",
		"list.*.id": "l2 l1 l3", "list.to={digits}.to": "447700900123 447700900123", "header:X-Id": "h1",
		"header:x-id": "h1", "header:X-No|by.*.id": "k1 k2", "none.*.id": "", "null.to=x.id": "", "list.0.id": "l2",
		"header:X-Id+list.0.id": "h1+l2",
	} {
		p, err := parsePath(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := strings.Join(p.texts(d), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if _, err := parsePath("header:X Id"); err == nil {
		t.Error("a header with a space passes")
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	var c codes[string]
	for _, key := range []string{"7", "500-599", "REJECTED*", "REJECTED_DND*", "-1", "*", "9-1", "http 402"} {
		c.add(key, key)
	}
	for code, want := range map[string]string{
		"7": "7", "500": "500-599", "599": "500-599", "0550": "500-599", "600": "", "REJECTED": "REJECTED*",
		"REJECTED_X": "REJECTED*", "REJECTED_DND_2": "REJECTED_DND*", "-1": "-1", "": "", "x": "", "*": "*",
		"9-1":      "9-1",
		"http 402": "http 402", "5": "",
	} {
		if got, ok := c.of(code); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", code, got, want)
		}
	}
}

// FuzzDocument looks for an answer that paths cannot bear.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		`{"a": [{"b": 1}]}`, "<a><b x='1'>t</b><b/></a>", "\ufeff[]", "0: ok", `{"a": {"*": null}}`, "<a>&#0;</a>",
	} {
		f.Add(seed)
	}
	var paths []path
	for _, text := range []string{"a.*.b", "*.*", "a.b={to}.*", "header:X|a.0", "a+*"} {
		p, err := parsePath(text)
		if err != nil {
			f.Fatal(err)
		}
		paths = append(paths, p)
	}
	f.Fuzz(func(t *testing.T, body string) {
		root, err := parseDocument([]byte(body))
		d := document{root: root, to: &channel.Recipient{Phone: "+447700900123"}}
		if err != nil && root != nil && !strings.HasPrefix(body, "<") {
			t.Errorf("%v with an error", root)
		}
		for _, p := range paths {
			if all := p.texts(d); len(all) > 0 && p.find(d) == "" {
				t.Errorf("%q, but nothing found", all)
			}
			p.each(d)
		}
	})
}
