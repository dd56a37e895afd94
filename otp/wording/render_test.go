package wording_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/otpcourier/otpcourier/otp/wording"
)

// isolates takes the isolates out of a text.
var isolates = strings.NewReplacer("\u2066", "", "\u2067", "", "\u2068", "", "\u2069", "")

// shown parses a page and returns the text of its title, of its code element,
// and of its body, and the kinds of element it has.
func shown(tb testing.TB, page string) (title, strong, body string, elements map[string]bool) {
	tb.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		tb.Fatal(err)
	}
	elements = map[string]bool{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			elements[n.Data] = true
		}
		if n.Type != html.TextNode {
			continue
		}
		switch n.Parent.Data {
		case "title":
			title += n.Data
		case "strong":
			strong += n.Data
			body += n.Data
		case "p", "bdi":
			body += n.Data
		}
	}
	return title, strong, body, elements
}

func TestHTML(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Brand: `<b>"A&B's"</b>`, Wordings: map[string]wording.Wording{
		"en": {Secret: "{{.Brand}} never asks for it."},
	}})
	for _, lang := range wording.Languages() {
		text := render(t, s, wording.Data{Language: lang, Code: `<i>&"'`, Details: "<script>alert(1)</script>"})
		title, strong, body, elements := shown(t, text.HTML)
		if title != text.Subject || strong != `<i>&"'` {
			t.Errorf("%s: title %q, code %q", lang, title, strong)
		}
		flat := isolates.Replace(strings.TrimSpace(strings.ReplaceAll(text.Body, "\n\n", "")))
		if body != strings.TrimPrefix(flat, "\u200f") {
			t.Errorf("%s: page says %q, plain text %q", lang, body, flat)
		}
		for _, e := range strings.Fields("i b script style img link a iframe form") {
			if elements[e] {
				t.Errorf("%s: the page has an element %s", lang, e)
			}
		}
		dir := "ltr"
		if strings.Contains("ar fa ur", lang) {
			dir = "rtl"
		}
		if want := `<html lang="` + lang + `" dir="` + dir + `">`; !strings.Contains(text.HTML, want) {
			t.Errorf("no %s", want)
		}
		if strings.Contains(text.HTML, "://") || strings.Contains(text.HTML, "url(") {
			t.Errorf("%s: the page loads or links to something", lang)
		}
	}
}

func TestConcurrentRender(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Wordings: map[string]wording.Wording{"en": {HTML: "<p>{{.Code}}"}}})
	var wg sync.WaitGroup
	for _, lang := range wording.Languages() {
		wg.Go(func() {
			want := render(t, s, wording.Data{Language: lang})
			for range 50 {
				if got, err := s.Render(wording.Data{Language: lang, Code: code, Minutes: 5}); err != nil ||
					got != want {
					t.Errorf("%s: %v, %q", lang, err, got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRender(f *testing.F) {
	f.Add("MyBank", "482910", "", uint8(1), 5, 0)
	f.Add("</title><script>", "<b>&\"", "\"><img src=x onerror=y>", uint8(24), 1, 2)
	f.Add("{{.Code}}", "{{.}}", "{{.Code}}", uint8(2), 22, 1)
	f.Add("A\r\nBcc: x", "4829\n10", "x\n@evil.example #1", uint8(0), 0, -1)
	f.Add("482910", "482910", "\u202e", uint8(28), 10081, 100)
	f.Add("@example.com #1", "#482910", "@a #1", uint8(7), 60, 99)
	f.Add("1xBet", "12-AB", "\u2067حساب 12-34\u2069 \u2066x\u2069\u2068\u2069y", uint8(24), 5, 1)
	f.Add("بنك", "A1B2", "½ ₺250 \u2066\u2067a\u2069\u2069", uint8(3), 5, 1)
	f.Fuzz(func(t *testing.T, brand, code, details string, lang uint8, minutes, try int) {
		s, err := wording.New(wording.Config{Brand: brand, Origin: "example.com", AppHash: "f8Escobih1Z"})
		if err != nil {
			var e *wording.Error
			if !errors.As(err, &e) || e.Field != "Config.Brand" {
				t.Fatal(err)
			}
			return
		}
		d := wording.Data{Code: code, Minutes: minutes, Try: try, Details: details, Requested: time.Unix(int64(minutes),
			0)}
		d.Language = wording.Languages()[int(lang)%len(wording.Languages())]
		text, err := s.Render(d)
		if err != nil {
			var e *wording.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Field, "Data.") || text != (wording.Text{}) {
				t.Fatal(err)
			}
			return
		}
		first, last, ok := strings.Cut(text.SMS, "\n")
		if !ok || last != "@example.com #"+code+" f8Escobih1Z" {
			t.Fatalf("last line %q", last)
		}
		if bare := strings.TrimPrefix(isolates.Replace(first), "\u200f"); !strings.HasPrefix(bare, code+" ") {
			t.Fatalf("SMS %q", first)
		}
		// Without the app's hash nothing is folded or left out.
		whole := isolates.Replace(render(t, newSet(t, wording.Config{Brand: brand}), d).SMS)
		if !strings.Contains(whole, brand) || !strings.Contains(whole, isolates.Replace(details)) {
			t.Fatalf("SMS %q", whole)
		}
		if strings.ContainsAny(text.Subject, "\r\n") || !utf8.ValidString(text.Subject+text.SMS+text.Body+text.HTML) {
			t.Fatalf("subject %q", text.Subject)
		}
		title, strong, body, elements := shown(t, text.HTML)
		if title != text.Subject || strong != code || elements["script"] || elements["img"] || len(elements) > 9 ||
			(len(elements) == 9) != elements["bdi"] {
			t.Fatalf("title %q, code %q, elements %v", title, strong, elements)
		}
		flat := isolates.Replace(strings.ReplaceAll(strings.TrimSuffix(text.Body, "\n"), "\n\n", ""))
		if body != strings.TrimPrefix(flat, "\u200f") {
			t.Fatalf("page says %q, plain text %q", body, text.Body)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	s := newSet(b, wording.Config{Brand: "MyBank", Origin: "example.com"})
	full := wording.Data{Try: 2, Requested: time.Unix(1<<30, 0), Details: "EUR 20.00, Bob"}
	for _, c := range []struct {
		name string
		data wording.Data
	}{{"en", wording.Data{}}, {"ru", wording.Data{Language: "ru"}}, {"en-full", full}} {
		b.Run(c.name, func(b *testing.B) {
			c.data.Code, c.data.Minutes = code, 5
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Render(c.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wording.New(wording.Config{Brand: "MyBank"}); err != nil {
			b.Fatal(err)
		}
	}
}
