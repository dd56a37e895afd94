package phone_test

import (
	"errors"
	"testing"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// reasonOf returns why a number was refused, 0 if it was not.
func reasonOf(err error) phone.Reason {
	var e *phone.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return 0
}

// TestSeparators pastes numbers as word processors, spreadsheets, PDF files and
// Japanese keyboards write them.
func TestSeparators(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{
		"hyphens":                      "090‐1234‑5678",
		"minus signs":                  "０９０−１２３４−５６７８",
		"heavy minus signs":            "090➖1234➖5678",
		"prolonged sound marks":        "090ー1234ー5678",
		"half-width sound marks":       "090ｰ1234ｰ5678",
		"box drawing":                  "090─1234━5678",
		"hyphen bullets":               "090⁃1234⁃5678",
		"tildes":                       "090~1234~5678",
		"full-width tildes":            "090～1234∼5678",
		"wave dashes":                  "090〜1234〜5678",
		"full-width slashes":           "090／1234／5678",
		"division slashes":             "090∕1234⁄5678",
		"full-width full stops":        "０９０．１２３４．５６７８",
		"middle dots":                  "090·1234・5678",
		"half-width middle dots":       "090･1234･5678",
		"bullets":                      "090•1234•5678",
		"ideographic full stops":       "090。1234｡5678",
		"square brackets":              "[090] 1234 5678",
		"full-width square brackets":   "［０９０］１２３４５６７８",
		"full-width parentheses":       "（０９０）１２３４－５６７８",
		"corner brackets":              "【090】「1234」5678",
		"tabs":                         "090\t1234\t5678",
		"ideographic spaces":           "０９０　１２３４　５６７８",
		"thin spaces":                  "090\u20091234\u202f5678",
		"Braille blanks":               "090\u28001234\u28005678",
		"line separator at the end":    "090-1234-5678\u2028",
		"full-width plus":              "＋８１９０１２３４５６７８",
		"small plus":                   "﹢81 90 1234 5678",
		"heavy plus":                   "➕81 90 1234 5678",
		"Hebrew plus":                  "﬩81 90 1234 5678",
		"non-breaking hyphens of Word": "090\x1e1234\x1e5678",
		"dashes of Windows-1252":       "090\u00961234\u00975678",
		"an apostrophe of Excel":       "'090-1234-5678",
		"quotes":                       `"090-1234-5678"`,
		"typographic quotes":           "“090-1234-5678”",
		"guillemets":                   "«090-1234-5678»",
		"angle brackets":               "<090-1234-5678>",
		"a URI in angle brackets":      "<tel:090-1234-5678>",
		"a comma at the end":           "090-1234-5678,",
		"a semicolon and a line feed":  "090-1234-5678;\n",
		"plus and 00":                  "+0081 90 1234 5678",
	} {
		if n, err := phone.Parse(input, "JP"); err != nil || n.E164 != "+819012345678" {
			t.Errorf("%s: Parse(%+q) = %s, %v", name, input, n.E164, err)
		}
	}
}

// TestInvisible puts each invisible character between two digits.
func TestInvisible(t *testing.T) {
	t.Parallel()
	for _, r := range []rune{
		0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x180f, 0x200b, 0x200d, 0x200e, 0x202c,
		0x2060, 0x2064, 0x2065, 0x2066, 0x206f, 0x20e3, 0x3164, 0xfe00, 0xfe0d, 0xfe0f, 0xfeff, 0xffa0,
		0x1d173, 0xe0001, 0xe0020, 0xe0100, 0xe01ef,
	} {
		input := "+1" + string(r) + "415555" + string(r) + "2671" + string(r)
		if n, err := phone.Parse(input, ""); err != nil || n.E164 != "+14155552671" {
			t.Errorf("%U: %s, %v", r, n.E164, err)
		}
	}
	if n, err := phone.Parse("+4️⃣4️⃣7️⃣9️⃣1️⃣2️⃣345678", ""); err != nil || n != gb {
		t.Errorf("keycaps: %v, %v", n, err)
	}
}

// TestURI reads RFC 3966, and what is put into links besides.
func TestURI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		input, region string
		want          phone.Reason
	}{
		{"tel:+44-7912-345678", "", 0},
		{"TEL:+447912345678", "", 0},
		{" tel:+44(0)7912.345678 ", "", 0},
		{"tel://+447912345678", "", 0},
		{"tel:%2B44%207912%20345678", "", 0},
		{"tel:+447912345678;isub=1411", "", 0},
		{"tel:+447912345678;npdi;rn=+44", "", 0},
		{"tel:+447912345678;phone-context=example.com", "", 0},
		{"tel:7912-345678;phone-context=+44", "", 0},
		{"tel:345678;Phone-Context=+44-7912", "", 0},
		{"tel:07912345678", "GB", 0},
		{"tel:07912345678;phone-context=example.com", "GB", 0},
		{"\u200etel:+44\u20117912\u2011345678", "", 0},
		{"tel:07912345678", "", phone.MissingRegion},
		{"tel:07912345678;phone-context=example.com", "", phone.MissingRegion},
		{"tel:+447912345678;ext=22", "", phone.Extension},
		{"tel:+447912345678;EXT=22;isub=1", "", phone.Extension},
		{"tel:+447912345678;ext=", "", 0},
		{"tel:+44791234;ext=22", "", phone.Malformed},
		{"tel:+447912345678%zz", "", phone.Malformed},
		{"tel:+447912345678?body=hi", "", phone.Malformed},
		{"tel:", "GB", phone.Malformed},
		{"tel:*21#", "GB", phone.Malformed},
		{"tel:alice", "GB", phone.Malformed},
		{"tel:+44;phone-context=+44", "", phone.Malformed},
		{"mailto:+447912345678", "", phone.Malformed},
	} {
		n, err := phone.Parse(tt.input, tt.region)
		if reasonOf(err) != tt.want || tt.want == 0 && n != gb {
			t.Errorf("Parse(%q, %q) = %s, %v; want %v", tt.input, tt.region, n.E164, err, tt.want)
		}
	}
}

// TestExtension tells an extension from a tail that is none.
func TestExtension(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]phone.Reason{
		"(415) 555-2671 ext. 5":            phone.Extension,
		"(415) 555-2671 extension 123456":  phone.Extension,
		"(415) 555-2671x123":               phone.Extension,
		"(415) 555-2671 #123":              phone.Extension,
		"(415) 555-2671 - 123#":            phone.Extension,
		"+1 415 555 2671;5":                phone.Extension,
		"+1 415 555 2671,,5":               phone.Extension,
		"+1 415 555 2671 доб. 5":           phone.Extension,
		"+1 415 555 2671 ｅｘｔ 5":            phone.Extension,
		"(415) 555-2671 ext. 1234567":      phone.Malformed, // another number
		"(415) 555-2671;(415) 555-2672":    phone.Malformed,
		"415-555-2671;4155552672":          phone.Malformed,
		"415-555-2671,5552672":             phone.Malformed,
		"+1 415 555 2671#":                 phone.Malformed, // the tail belongs to the number
		"+1 415 555 - 2671#":               phone.Malformed,
		"12345 x 6":                        phone.Malformed, // the head is no number
		"john.doe 1234567 ext 5":           phone.Malformed,
		"(415) 555-2671 ext.":              phone.Malformed,
		"+1 415 555 2671 or 2672 x5":       phone.Malformed,
		"+1 415 555 2671, 2672 and 2673":   phone.Malformed,
		"+1 415 555 2671 / 415 555 2672 x": phone.Malformed,
	} {
		if n, err := phone.Parse(input, "US"); reasonOf(err) != want {
			t.Errorf("Parse(%q) = %s, %v; want %v", input, n.E164, err, want)
		}
	}
	if _, err := phone.Parse("(415) 555-2671 ext. 5", ""); reasonOf(err) != phone.Extension {
		t.Errorf("without a region: %v", err)
	}
	if _, err := phone.Parse("(415) 555-2671 ext. 5", "ZZ"); reasonOf(err) != phone.UnknownRegion {
		t.Errorf("with an unknown region: %v", err)
	}
}
