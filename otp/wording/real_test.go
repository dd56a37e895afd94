package wording_test

import (
	"bytes"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// layout is what a page measures in the browser.
type layout struct {
	Lang, Dir     string
	Scroll, Inner float64 // widths
	Left, Right   float64 // of the text
	CodeX, CodeY  float64 // the middle of the code
	CodeSize      float64 // of its letters, in pixels
	CodeBoxes     int
	Smallest      float64 // size of any text
	Requests      int     // for anything but the page
}

const measure = `(() => {
	const code = document.querySelector("strong"), box = code.getBoundingClientRect();
	const texts = [...document.querySelectorAll("p")].map(p => {
		const r = document.createRange(); r.selectNodeContents(p); return r.getBoundingClientRect();
	});
	return {
		lang: document.documentElement.lang, dir: getComputedStyle(code.parentElement).direction,
		scroll: document.documentElement.scrollWidth, inner: innerWidth,
		left: Math.min(...texts.map(r => r.left)), right: Math.max(...texts.map(r => r.right)),
		codeX: box.left + box.width / 2, codeY: box.top + box.height / 2,
		codeSize: parseFloat(getComputedStyle(code).fontSize), codeBoxes: code.getClientRects().length,
		smallest: Math.min(...[...document.querySelectorAll("p, strong")]
			.map(e => parseFloat(getComputedStyle(e).fontSize))),
		requests: performance.getEntriesByType("resource").length,
	};
})()`

// show lays a page out on a screen of a width, for a reader who prefers a colour
// scheme. Forced means a reader that darkens what does not.
func show(b *browsertest.Browser, page string, width int, scheme string, forced bool) {
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 700, "deviceScaleFactor": 1,
		"mobile": width < 600}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme",
		"value": scheme}}}, nil)
	b.Call("Emulation.setAutoDarkModeOverride", map[string]any{"enabled": forced}, nil)
	b.Show(page)
}

func picture(t *testing.T, raw []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestRealChromium lays the e-mail out as a phone and as a desk would show it,
// light, dark, and darkened by force.
func TestRealChromium(t *testing.T) {
	b := browsertest.Start(t)
	long := wording.Data{Code: "48291073", Minutes: 10080, Try: 99, Requested: time.Unix(1<<30, 0),
		Details: "EUR 1,999,999.00, " + strings.Repeat("Donaudampfschifffahrtsgesellschaft", 5)}
	for _, c := range []struct {
		name, brand string
		data        wording.Data
	}{
		{"en", "MyBank", wording.Data{Language: "en", Code: "482910", Minutes: 5}},
		{"en-long", "A Bank of a Rather Long Name Ltd", long},
		{"ar", "MyBank", wording.Data{Language: "ar", Code: "482910", Minutes: 5, Details: "EUR 20.00, Bob"}},
		{"ja", "MyBank", wording.Data{Language: "ja", Code: "482910", Minutes: 5}},
		{"en-widest", "MyBank", wording.Data{Language: "en", Code: "WWWWWWWWWWWWWWWW", Minutes: 5}},
	} {
		s := newSet(t, wording.Config{Brand: c.brand})
		page := render(t, s, c.data).HTML
		for _, width := range []int{360, 800} {
			for _, scheme := range []string{"light", "dark", "forced"} {
				name := fmt.Sprintf("%s-%d-%s", c.name, width, scheme)
				prefers := map[bool]string{true: "dark", false: "light"}[scheme == "dark"]
				show(b, page, width, prefers, scheme == "forced")
				var got layout
				b.Eval(measure, &got)
				checkLayout(t, name, c.data, width, got)
				checkColours(t, name, picture(t, b.Screenshot(name)), width, scheme != "light")

				b.Click(got.CodeX, got.CodeY)
				var selected string
				b.Eval("getSelection().toString()", &selected)
				if selected != c.data.Code {
					t.Errorf("%s: a click on the code selects %q", name, selected)
				}
			}
		}
	}
}

func checkLayout(t *testing.T, name string, d wording.Data, width int, l layout) {
	t.Helper()
	dir := "ltr"
	if slices.Contains([]string{"ar", "he", "fa", "ur"}, d.Language) {
		dir = "rtl"
	}
	lang := d.Language
	if lang == "" {
		lang = "en"
	}
	if l.Lang != lang || l.Dir != dir {
		t.Errorf("%s: language %q, direction %q", name, l.Lang, l.Dir)
	}
	if l.Inner != float64(width) || l.Scroll > l.Inner || l.Left < 0 || l.Right > l.Inner {
		t.Errorf("%s: overflows: %+v", name, l)
	}
	if l.Smallest < 14 || l.CodeSize < 1.5*l.Smallest || l.CodeBoxes != 1 {
		t.Errorf("%s: hard to read: %+v", name, l)
	}
	if l.Requests != 0 {
		t.Errorf("%s: %d requests", name, l.Requests)
	}
}

// checkColours looks at the picture: the background is what most of it shows,
// the text what differs most.
func checkColours(t *testing.T, name string, img image.Image, width int, dark bool) {
	t.Helper()
	if img.Bounds().Dx() != width || img.Bounds().Dy() != 700 {
		t.Errorf("%s: a picture of %v", name, img.Bounds())
		return
	}
	count := map[color.Color]int{}
	lowest, highest := 1.0, 0.0
	for y := range img.Bounds().Dy() {
		for x := range width {
			c := img.At(x, y)
			if count[c]++; count[c] == 1 {
				lowest, highest = min(lowest, luminance(c)), max(highest, luminance(c))
			}
		}
	}
	background := luminance(img.At(0, 0))
	if count[img.At(0, 0)] < width*700/2 || (background < 0.2) != dark {
		t.Errorf("%s: the background has luminance %.2f", name, background)
	}
	// WCAG 2.2 §1.4.6 asks for 7.
	if contrast := (highest + 0.05) / (lowest + 0.05); contrast < 7 {
		t.Errorf("%s: contrast %.1f", name, contrast)
	}
}

// luminance is WCAG's relative luminance.
func luminance(c color.Color) float64 {
	r, g, b, _ := c.RGBA()
	linear := func(v uint32) float64 {
		s := float64(v) / 0xffff
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// order reads the text of the mail's paragraphs as the eye does, from left to
// right and line by line.
const order = `(() => {
	const seen = [];
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = texts.nextNode(); n; n = texts.nextNode())
		for (let i = 0; i < n.length; i++) {
			const r = document.createRange(); r.setStart(n, i); r.setEnd(n, i + 1);
			const box = r.getBoundingClientRect();
			if (box.width > 0) seen.push({ c: n.data[i], x: box.left, y: Math.round(box.bottom / 8) });
		}
	return seen.sort((a, b) => a.y - b.y || a.x - b.x).map(s => s.c).join("");
})()`

// TestRealChromiumOrder looks at amounts, account numbers and payees in the
// order in which a browser shows them in a mail and in an SMS of each language
// that is written from right to left, on a screen where no line is broken.
func TestRealChromiumOrder(t *testing.T) {
	b := browsertest.Start(t)
	for _, brand := range []string{"My-Bank 24", "1xBet"} {
		s := rightToLeft(t, brand)
		for _, c := range []struct{ lang, details, shown string }{
			{"ar", "EUR 1,999.00, DE-89", "EUR 1,999.00, DE-89"},
			{"ar", "12-3456-789", "12-3456-789"},
			{"ar", "حساب 12-3456-789 دانيال", "12-3456-789"},
			{"ar", "1,999.00 € إلى +44 20 7946", "1,999.00 €"},
			{"ar", "إلى +44 20 79", "+44 20 79"},
			{"ar", "3704 0044 → 9688", "3704 0044 → 9688"},
			{"ar", "\u2067دانيال\u2069 \u2066+966 50 123 4567\u2069", "+966 50 123 4567"},
			{"ar", "\u2066-5.00 €\u2069 ← \u2067حساب 12-3456-789 بنك\u2069", "12-3456-789"},
			{"he", "חשבון 12-3456-789 בנק", "12-3456-789"},
			{"he", "-1,999.00 ₪", "-1,999.00 ₪"},
			{"he", "$1,999.00-", "$1,999.00-"},
			{"he", "+966 50 123 4567", "+966 50 123 4567"},
			{"fa", "-5.00 USD", "-5.00 USD"},
			{"fa", "به حساب 12-3456-789 بانک", "12-3456-789"},
			{"ur", "PKR 1,999 → 0300-1234", "PKR 1,999 → 0300-1234"},
			{"ur", "کھاتہ 12-3456-789", "12-3456-789"},
		} {
			for _, code := range []string{"482910", "7AQX2P"} {
				data := wording.Data{Language: c.lang, Code: code, Minutes: 5, Details: c.details,
					Requested: time.Unix(1<<30, 0)}
				text := render(t, s, data)
				for _, m := range []struct{ where, page string }{
					{"mail", strings.Replace(text.HTML, "max-width:560px", "", 1)},
					{"mail as text", asPage(text.Body)},
					{"SMS", asPage(text.SMS)},
				} {
					show(b, m.page, 1600, "light", false)
					var seen string
					b.Eval(order, &seen)
					for _, want := range []string{c.shown, brand, code, "2004-01-10 13:37 UTC"} {
						if !strings.Contains(seen, want) {
							t.Errorf("%s: %q is not in its order in the %s: %q", c.lang, want, m.where, seen)
						}
					}
				}
			}
		}
	}
}

// asPage shows text as a phone or a mail program does: each paragraph in the
// direction of its first letter.
func asPage(text string) string {
	return `<!doctype html><meta charset="utf-8"><pre dir="auto" style="unicode-bidi:plaintext">` +
		html.EscapeString(text) + "</pre>"
}

// TestRealChromiumPictures lays out a mail of each language that is written from
// right to left, with everything that a mail can say.
func TestRealChromiumPictures(t *testing.T) {
	b := browsertest.Start(t)
	s := rightToLeft(t, "1xBet")
	for _, lang := range []string{"ar", "he", "fa", "ur"} {
		for _, width := range []int{360, 800} {
			name := fmt.Sprintf("%s-full-%d", lang, width)
			data := wording.Data{Language: lang, Code: "482910", Minutes: 5, Try: 2, Requested: time.Unix(1<<30, 0),
				Details: "EUR 1,999.00, 3704 0044 → 9688", Purpose: wording.Payment}
			show(b, render(t, s, data).HTML, width, "light", false)
			var got layout
			b.Eval(measure, &got)
			checkLayout(t, name, data, width, got)
			checkColours(t, name, picture(t, b.Screenshot(name)), width, false)
		}
	}
}
