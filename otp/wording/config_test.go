package wording_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/otp/wording"
)

var update = flag.Bool("update", false, "rewrite testdata/messages.golden")

const (
	code  = "482910"
	brand = "elevenchars" // the length up to which one segment is promised
)

func newSet(tb testing.TB, c wording.Config) *wording.Set {
	tb.Helper()
	if c.Brand == "" {
		c.Brand = brand
	}
	s, err := wording.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func render(tb testing.TB, s *wording.Set, d wording.Data) wording.Text {
	tb.Helper()
	if d.Code == "" {
		d.Code = code
	}
	if d.Minutes == 0 {
		d.Minutes = 5
	}
	text, err := s.Render(d)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// wordForCode is what a phone of that language looks for.
var wordForCode = map[string]string{
	"en": "code", "fr": "code", "de": "Code", "es": "código", "it": "codice", "pt": "código",
	"nl": "code", "pl": "kod", "sv": "kod", "nb": "koden", "da": "kode", "fi": "koodi", "ro": "codul",
	"bg": "код", "uk": "код", "ru": "код", "tr": "kod", "ja": "認証コード", "ko": "인증번호", "zh": "验证码",
	"id": "kode", "ms": "kod", "vi": "mã", "is": "kóði", "ar": "رمز", "hi": "कोड", "sw": "msimbo",
	"ha": "lambar tabbatarwa", "yo": "kóòdù", "bn": "কোড", "ur": "کوڈ", "mr": "कोड", "te": "కోడ్", "ta": "குறியீடு",
	"fa": "کد", "th": "รหัส", "pa": "ਕੋਡ", "gu": "કોડ", "fil": "code", "am": "ኮድ", "zh-Hant": "驗證碼",
}

func TestEveryLanguage(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{})
	if n := len(wording.Languages()); n != 41 {
		t.Errorf("%d languages, want 41", n)
	}
	for _, lang := range wording.Languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			text := render(t, s, wording.Data{Language: lang})
			for name, m := range map[string]string{"SMS": text.SMS, "Body": text.Body} {
				if !strings.HasPrefix(m, code+" ") {
					t.Errorf("%s does not begin with the code: %q", name, m)
				}
				stops := strings.NewReplacer("。", ". ", "।", ". ", "۔", ". ", "።", ". ")
				first, _, _ := strings.Cut(stops.Replace(m), ". ")
				word := wordForCode[lang]
				// Icelandic declines it: kóði, kóðinn.
				if !strings.Contains(first, word) || word == "" {
					t.Errorf("the first sentence of %s lacks %q: %q", name, word, first)
				}
				if !strings.Contains(first, brand) {
					t.Errorf("the first sentence of %s lacks the brand: %q", name, first)
				}
				if !strings.Contains(m, "5") {
					t.Errorf("%s does not state the life: %q", name, m)
				}
			}
			if strings.Contains(text.Subject, code) || !strings.Contains(text.Subject, brand) {
				t.Errorf("subject %q", text.Subject)
			}
		})
	}
}

func TestOneSegment(t *testing.T) {
	t.Parallel()
	gsm7 := strings.Fields("en fr de it nl sv nb da fi id ms sw ha fil")
	s := newSet(t, wording.Config{})
	bound := newSet(t, wording.Config{Origin: "example.com", AppHash: "f8Escobih1Z"})
	for _, lang := range wording.Languages() {
		for minutes := 1; minutes <= 60; minutes++ {
			d := wording.Data{Language: lang, Minutes: minutes}
			n := sms.Measure(render(t, s, d).SMS)
			if n.Segments != 1 {
				t.Errorf("%s, %d minutes: %d units in %d segments", lang, minutes, n.Units, n.Segments)
			}
			if !slices.Contains(gsm7, lang) {
				continue
			}
			// The optional sentences stay in GSM-7, whatever their length.
			d.Try, d.Requested, d.Details = 2, time.Unix(1<<30, 0), "EUR 20.00, Bob"
			if n := sms.Measure(render(t, s, d).SMS); n.Encoding != sms.GSM7 {
				t.Errorf("%s, with the optional parts: %v", lang, n.Encoding)
			}
			d = wording.Data{Language: lang, Minutes: minutes}
			// GSM-7 leaves room for the last line too.
			if n := sms.Measure(render(t, bound, d).SMS); n.Encoding != sms.GSM7 || n.Segments != 1 {
				t.Errorf("%s, %d minutes: %v, %d segments", lang, minutes, n.Encoding, n.Segments)
			}
		}
	}
}

func TestOptionalParts(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{})
	// A time zone behind UTC, on another day.
	at := time.Date(2026, 1, 30, 23, 30, 59, 0, time.FixedZone("", -10*3600))
	const details = "19,99 € → Bäckerei Öz"
	for _, lang := range wording.Languages() {
		plain := render(t, s, wording.Data{Language: lang})
		for name, c := range map[string]struct {
			data wording.Data
			want string
		}{
			"try":       {wording.Data{Try: 7}, "7"},
			"requested": {wording.Data{Requested: at}, "2026-01-31 09:30 UTC"},
			"details":   {wording.Data{Details: details}, details},
		} {
			c.data.Language = lang
			text := render(t, s, c.data)
			for kind, m := range map[string][2]string{
				"SMS": {text.SMS, plain.SMS}, "Body": {text.Body, plain.Body}, "HTML": {text.HTML, plain.HTML},
			} {
				if !strings.Contains(m[0], c.want) || strings.Contains(m[1], c.want) {
					t.Errorf("%s, %s: %s with: %q, without: %q", lang, name, kind, m[0], m[1])
				}
			}
			if !strings.HasPrefix(text.SMS, code) {
				t.Errorf("%s, %s: SMS begins otherwise: %q", lang, name, text.SMS)
			}
		}
	}
}

// TestGolden pins the messages, so that a change of wording is seen as one.
func TestGolden(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Brand: "MyBank"})
	var b strings.Builder
	for _, lang := range wording.Languages() {
		plain := render(t, s, wording.Data{Language: lang})
		full := render(t, s, wording.Data{
			Language: lang, Try: 2, Requested: time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC), Details: "EUR 20.00, Bob",
		})
		fmt.Fprintf(&b, "== %s\n%s\n%s\n-- %s\n%s", lang, plain.SMS, full.SMS, plain.Subject, full.Body)
		for _, purpose := range builtInPurposes {
			first, _, _ := strings.Cut(render(t, s, wording.Data{Language: lang, Purpose: purpose}).Body, "\n")
			fmt.Fprintf(&b, "%s: %s\n", purpose, first)
		}
	}
	const file = "testdata/messages.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("messages changed (-want +got); rewrite with -update\n%s", diff)
	}
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	const hash = "FA+9qCX9VS/"
	const text = "482910 is your MyBank code. It expires in 5 minutes. Do not share it."
	for _, c := range []struct{ origin, hash, want string }{
		{"", "", text},
		{"", hash, text + "\nFA+9qCX9VS/"},
		{"example.com", "", text + "\n@example.com #482910"},
		{"example.com", hash, text + "\n@example.com #482910 FA+9qCX9VS/"},
	} {
		s := newSet(t, wording.Config{Brand: "MyBank", Origin: c.origin, AppHash: c.hash})
		if diff := cmp.Diff(c.want, render(t, s, wording.Data{}).SMS); diff != "" {
			t.Errorf("origin %q, hash %q (-want +got):\n%s", c.origin, c.hash, diff)
		}
	}
	own := newSet(t, wording.Config{Origin: "example.com", Wordings: map[string]wording.Wording{
		"en": {SMS: "{{.Code}} opens the door.\n\n"},
	}})
	if got := render(t, own, wording.Data{}).SMS; got != "482910 opens the door.\n@example.com #482910" {
		t.Errorf("own SMS: %q", got)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		c     wording.Config
		field string
	}{
		{"no brand", wording.Config{}, "Config.Brand"},
		{"33 characters", wording.Config{Brand: strings.Repeat("é", 33)}, "Config.Brand"},
		{"header injection", wording.Config{Brand: "MyBank\r\nBcc: x@y.example"}, "Config.Brand"},
		{"line separator", wording.Config{Brand: "My\u2028Bank"}, "Config.Brand"},
		{"bidi", wording.Config{Brand: "My\u202eBank"}, "Config.Brand"},
		{"not UTF-8", wording.Config{Brand: "My\xffBank"}, "Config.Brand"},
		{"only a space", wording.Config{Brand: " "}, "Config.Brand"},
		{"trailing space", wording.Config{Brand: "MyBank "}, "Config.Brand"},
		{"short hash", wording.Config{Brand: "B", AppHash: "f8Escobih1"}, "Config.AppHash"},
		{"padded hash", wording.Config{Brand: "B", AppHash: "f8Escobih1Z="}, "Config.AppHash"},
		{"hash with line", wording.Config{Brand: "B", AppHash: "f8Escobih\nZ"}, "Config.AppHash"},
		{"scheme", wording.Config{Brand: "B", Origin: "https://example.com"}, "Config.Origin"},
		{"port", wording.Config{Brand: "B", Origin: "example.com:443"}, "Config.Origin"},
		{"empty label", wording.Config{Brand: "B", Origin: "example..com"}, "Config.Origin"},
		{"origin with line", wording.Config{Brand: "B", Origin: "example.com\n"}, "Config.Origin"},
		{"IDN", wording.Config{Brand: "B", Origin: "bücher.example"}, "Config.Origin"},
		{"long label", wording.Config{Brand: "B", Origin: strings.Repeat("a", 64) + ".com"}, "Config.Origin"},
		{"default without wording", wording.Config{Brand: "B", Default: "tlh"}, "Config.Default"},
		{"garbled default", wording.Config{Brand: "B", Default: "klingon"}, "Config.Default"},
	} {
		_, err := wording.New(c.c)
		wantField(t, c.name, err, c.field)
	}
}

func wantField(t *testing.T, name string, err error, field string) {
	t.Helper()
	var e *wording.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: error %v, want *wording.Error", name, err)
	} else if e.Field != field {
		t.Errorf("%s: error %q is about %s, want %s", name, err, e.Field, field)
	}
}

func TestGoodConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []wording.Config{
		{Brand: strings.Repeat("é", 32)},
		{Brand: `{{.Code}} <b>"&'`},
		{Brand: "मेरा बैंक", Default: "hi"},
		{Brand: "B", Default: "no", Origin: "xn--bcher-kva.example"},
		{Brand: "B", Origin: "localhost"},
	} {
		text := render(t, newSet(t, c), wording.Data{})
		if !strings.Contains(text.SMS, c.Brand) {
			t.Errorf("%q is not in %q", c.Brand, text.SMS)
		}
	}
}

func TestBadData(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{})
	good := wording.Data{Code: code, Minutes: 5}
	for _, c := range []struct {
		name   string
		change func(*wording.Data)
		field  string
	}{
		{"no code", func(d *wording.Data) { d.Code = "" }, "Data.Code"},
		{"short code", func(d *wording.Data) { d.Code = "123" }, "Data.Code"},
		{"long code", func(d *wording.Data) { d.Code = strings.Repeat("1", 33) }, "Data.Code"},
		{"code of 1 MB", func(d *wording.Data) { d.Code = strings.Repeat("1", 1<<20) }, "Data.Code"},
		{"spaced code", func(d *wording.Data) { d.Code = "482 910" }, "Data.Code"},
		{"code with a line", func(d *wording.Data) { d.Code = "4829\n10" }, "Data.Code"},
		{"code of Arabic digits", func(d *wording.Data) { d.Code = "٤٨٢٩١٠" }, "Data.Code"},
		{"no minutes", func(d *wording.Data) { d.Minutes = 0 }, "Data.Minutes"},
		{"negative minutes", func(d *wording.Data) { d.Minutes = -5 }, "Data.Minutes"},
		{"years", func(d *wording.Data) { d.Minutes = 1e6 }, "Data.Minutes"},
		{"negative try", func(d *wording.Data) { d.Try = -1 }, "Data.Try"},
		{"many tries", func(d *wording.Data) { d.Try = 100 }, "Data.Try"},
		{"blank details", func(d *wording.Data) { d.Details = " " }, "Data.Details"},
		{"long details", func(d *wording.Data) { d.Details = strings.Repeat("é", 201) }, "Data.Details"},
		{"a forged last line", func(d *wording.Data) { d.Details = "x\n@evil.example #111111" }, "Data.Details"},
		{"bidi details", func(d *wording.Data) { d.Details = "EUR \u202e0001" }, "Data.Details"},
		{"details not UTF-8", func(d *wording.Data) { d.Details = "EUR \xff" }, "Data.Details"},
		{"unknown language", func(d *wording.Data) { d.Language = "tlh" }, "Data.Language"},
		{"header as language", func(d *wording.Data) { d.Language = "en, de" }, "Data.Language"},
	} {
		d := good
		c.change(&d)
		text, err := s.Render(d)
		wantField(t, c.name, err, c.field)
		if text != (wording.Text{}) {
			t.Errorf("%s: a text beside the error", c.name)
		}
		if got := errors.Is(err, wording.ErrLanguage); got != (c.field == "Data.Language") {
			t.Errorf("%s: is ErrLanguage: %v", c.name, got)
		}
		if err != nil && d.Code != "" && strings.Contains(err.Error(), d.Code) {
			t.Errorf("%s: the error holds the code", c.name)
		}
	}
}
