package wording_test

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
	"testing"
	"time"

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

// TestRealChromium lays the e-mail out as a phone and as a desk would show it,
// light, dark, and darkened by force.
func TestRealChromium(t *testing.T) {
	b := startBrowser(t)
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
				b.show(page, width, map[bool]string{true: "dark", false: "light"}[scheme == "dark"], scheme == "forced")
				var got layout
				b.eval(measure, &got)
				checkLayout(t, name, c.data, width, got)
				checkColours(t, name, b.screenshot(name), width, scheme != "light")

				b.click(got.CodeX, got.CodeY)
				var selected string
				b.eval("getSelection().toString()", &selected)
				if selected != c.data.Code {
					t.Errorf("%s: a click on the code selects %q", name, selected)
				}
			}
		}
	}
}

func checkLayout(t *testing.T, name string, d wording.Data, width int, l layout) {
	t.Helper()
	dir := map[bool]string{true: "rtl", false: "ltr"}[d.Language == "ar"]
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
// order in which a browser shows them in an Arabic and in a Hebrew mail.
func TestRealChromiumOrder(t *testing.T) {
	b := startBrowser(t)
	he := wording.Wording{Code: hebrew, Details: "לאישור: {{.Details}}.", Life: "תקף {{.Life}}.", Secret: "אל תשתף.",
		Requested: "{{.Requested}}.", Try: "{{.Try}}.", Subject: "קוד", Ignore: "התעלם.",
		Minutes: wording.Plural{Other: "# דקות"}}
	s := newSet(t, wording.Config{Brand: "My-Bank 24", Wordings: map[string]wording.Wording{"he": he}})
	for _, c := range []struct{ lang, details, shown string }{
		{"ar", "EUR 1,999.00, DE-89", "EUR 1,999.00, DE-89"},
		{"ar", "12-3456-789", "12-3456-789"},
		{"ar", "حساب 12-3456-789 دانيال", "12-3456-789"},
		{"ar", "1,999.00 € إلى +44 20 7946", "1,999.00 €"},
		{"ar", "إلى +44 20 79", "+44 20 79"},
		{"he", "חשבון 12-3456-789 בנק", "12-3456-789"},
		{"he", "-1,999.00 ₪", "-1,999.00 ₪"},
		{"he", "$1,999.00-", "$1,999.00-"},
	} {
		data := wording.Data{Language: c.lang, Code: "482910", Minutes: 5, Details: c.details,
			Requested: time.Unix(1<<30, 0)}
		b.show(render(t, s, data).HTML, 800, "light", false)
		var seen string
		b.eval(order, &seen)
		for _, want := range []string{c.shown, "My-Bank 24", "2004-01-10 13:37 UTC"} {
			if !strings.Contains(seen, want) {
				t.Errorf("%s: %q is not in its order in %q", c.lang, want, seen)
			}
		}
	}
}
