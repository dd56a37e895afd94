package wording_test

import (
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/wording"
)

const hebrew = `{{.Code}} הוא הקוד של {{.Brand}}.`

// A mail keeps amounts, account numbers and payees in their order beside text
// that is written from right to left. In an SMS, and in a mail that goes from
// left to right throughout, there is nothing but the words.
func TestOrderBesideRightToLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lang, details, want string }{
		{"en", "EUR 1,999.00 to DE89 3704", "EUR 1,999.00 to DE89 3704"},
		{"en", "EUR 20 to دانيال", "\u2068\u2066EUR 20 to\u2069 دانيال\u2069"},
		{"ar", "EUR 1,999.00 to DE89 3704", "\u2066EUR 1,999.00 to DE89 3704\u2069"},
		{"ar", "12-3456-789", "\u206612-3456-789\u2069"},
		{"ar", "إلى دانيال", "\u2068إلى دانيال\u2069"},
		{"ar", "حساب 12-3456-789، دانيال", "\u2068حساب \u206612-3456-789\u2069، دانيال\u2069"},
		{"ar", "حساب 12-3456-789", "\u2068حساب \u206612-3456-789\u2069\u2069"},
		{"ar", "+44 20 7946 إلى -5.00%", "\u2068\u2066+44 20 7946\u2069 إلى \u2066-5.00%\u2069\u2069"},
		{"ar", "حساب ١٢-٣٤", "\u2068حساب \u2066١٢-٣٤\u2069\u2069"},
	} {
		s := newSet(t, wording.Config{Brand: "MyBank"})
		text := render(t, s, wording.Data{Language: c.lang, Code: "482910", Details: c.details, Requested: time.Unix(0,
			0)})
		if !strings.Contains(text.Body, c.want) || !strings.Contains(text.HTML, c.want) {
			t.Errorf("%s: %+q is shown as\n%+q, not\n%+q", c.lang, c.details, text.Body, c.want)
		}
		if !strings.Contains(text.SMS, c.details) || strings.ContainsAny(text.SMS+text.Subject, "\u2066\u2068\u2069") {
			t.Errorf("%s: SMS %+q, subject %+q", c.lang, text.SMS, text.Subject)
		}
		if isolates := strings.ContainsAny(text.Body, "\u2066\u2068\u2069"); isolates != (c.lang == "ar" ||
			c.want != c.details) {
			t.Errorf("%s: %+q", c.lang, text.Body)
		}
	}
}
