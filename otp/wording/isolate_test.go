package wording_test

import (
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/wording"
)

const hebrew = `{{.Code}} הוא הקוד של {{.Brand}}.`

// Amounts, account numbers and payees keep their order beside text that is
// written from right to left: isolates in text, bdi elements in HTML. In a
// message that goes from left to right throughout, there is nothing but the words.
func TestOrderBesideRightToLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lang, details, want, html string }{
		{"en", "EUR 1,999.00 to DE89 3704", "EUR 1,999.00 to DE89 3704", "EUR 1,999.00 to DE89 3704"},
		{"en", "EUR 20 to دانيال", "\u2068\u2066EUR 20 to\u2069 دانيال\u2069",
			"<bdi><bdi>EUR 20 to</bdi> دانيال</bdi>"},
		{"ar", "EUR 1,999.00 to DE89 3704", "\u2066EUR 1,999.00 to DE89 3704\u2069",
			"<bdi>EUR 1,999.00 to DE89 3704</bdi>"},
		{"ar", "12-3456-789", "\u206612-3456-789\u2069", "<bdi>12-3456-789</bdi>"},
		{"ar", "إلى دانيال", "\u2068إلى دانيال\u2069", "<bdi>إلى دانيال</bdi>"},
		{"ar", "حساب 12-3456-789، دانيال", "\u2068حساب \u206612-3456-789\u2069، دانيال\u2069",
			"<bdi>حساب <bdi>12-3456-789</bdi>، دانيال</bdi>"},
		{"ar", "حساب 12-3456-789", "\u2068حساب \u206612-3456-789\u2069\u2069",
			"<bdi>حساب <bdi>12-3456-789</bdi></bdi>"},
		{"ar", "+44 20 7946 إلى -5.00%", "\u2068\u2066+44 20 7946\u2069 إلى \u2066-5.00%\u2069\u2069",
			"<bdi><bdi>+44 20 7946</bdi> إلى <bdi>-5.00%</bdi></bdi>"},
		{"ar", "حساب ١٢-٣٤", "\u2068حساب \u2066١٢-٣٤\u2069\u2069", "<bdi>حساب <bdi>١٢-٣٤</bdi></bdi>"},
		{"ur", "+92 300 123", "\u2066+92 300 123\u2069", "<bdi>+92 300 123</bdi>"},
		{"fa", "-5.00 USD", "\u2066-5.00 USD\u2069", "<bdi>-5.00 USD</bdi>"},
	} {
		s := newSet(t, wording.Config{Brand: "MyBank"})
		text := render(t, s, wording.Data{Language: c.lang, Code: "482910", Details: c.details, Requested: time.Unix(0,
			0)})
		if !strings.Contains(text.Body, c.want) || !strings.Contains(text.SMS, c.want) {
			t.Errorf("%s: %+q is shown as\n%+q, not\n%+q", c.lang, c.details, text.Body, c.want)
		}
		if !strings.Contains(text.HTML, c.html) || strings.ContainsAny(text.HTML, "\u2066\u2068\u2069") {
			t.Errorf("%s: %+q is shown as\n%+q, not\n%+q", c.lang, c.details, text.HTML, c.html)
		}
		if isolates := strings.ContainsAny(text.Body, "\u2066\u2068\u2069"); isolates != (c.lang != "en" ||
			c.want != c.details) {
			t.Errorf("%s: %+q", c.lang, text.Body)
		}
	}
}
