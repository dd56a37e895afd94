package phone_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"

	"github.com/otpcourier/otpcourier/channel/phone"
)

var gb = phone.Number{E164: "+447912345678", Region: "GB", Type: phone.Mobile}

func TestParse(t *testing.T) {
	t.Parallel()
	us := phone.Number{E164: "+14155552671", Region: "US", Type: phone.FixedLineOrMobile}
	for _, tt := range []struct {
		name, input, region string
		want                phone.Number
	}{
		{"E.164", "+447912345678", "", gb},
		{"E.164 whatever the default", "+447912345678", "US", gb},
		{"spaces and dashes", "  +44 7912-345.678\n", "", gb},
		{"trunk zero in parentheses", "+44 (0)7912 345678", "", gb},
		{"plus in parentheses", "(+44) 7912 345678", "", gb},
		{"national", "07912 345678", "GB", gb},
		{"national without its trunk zero", "7912345678", "GB", gb},
		{"default in lower case", "07912 345678", "gb", gb},
		{"00 where it is the prefix", "0044 7912 345678", "FR", gb},
		{"011 where it is the prefix", "011 44 7912 345678", "US", gb},
		{"010 where it is the prefix", "010 44 7912 345678", "JP", gb},
		{"00 where it is not the prefix", "0044 7912 345678", "US", gb},
		{"Arabic-Indic digits", "+٤٤٧٩١٢٣٤٥٦٧٨", "", gb},
		{"Persian digits", "+۴۴۷۹۱۲۳۴۵۶۷۸", "", gb},
		{"Devanagari digits", "+४४७९१२३४५६७८", "", gb},
		{"full width", "＋４４　（０）７９１２－３４５－６７８", "", gb},
		{"mathematical digits", "+𝟜𝟜𝟟𝟡𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠", "", gb},
		{"bidi marks", "\u202a+44\u200e7912\u200f345678\u202c", "", gb},
		{"byte order mark and zero width", "\ufeff+44\u200d7912\u200b345678", "", gb},
		{"no-break spaces", "\u00a0+44\u00a07912\u202f345678", "", gb},
		{"typographic dashes", "+44‑7912–345—678", "", gb},
		{"American", "(415) 555-2671", "US", us},
		{"American with its code", "1 415 555 2671", "US", us},
		{"Canadian under the same code", "+1 613 555 0123", "US",
			phone.Number{E164: "+16135550123", Region: "CA", Type: phone.FixedLineOrMobile}},
		{"Italian leading zero stays", "02 1234567", "IT",
			phone.Number{E164: "+39021234567", Region: "IT", Type: phone.FixedLine}},
		{"Argentine mobile as dialled", "011 15-2345-6789", "AR",
			phone.Number{E164: "+5491123456789", Region: "AR", Type: phone.Mobile}},
		{"Vatican", "+39 06 69812345", "", phone.Number{E164: "+390669812345", Region: "VA", Type: phone.FixedLine}},
		{"Guernsey", "+44 7781 123456", "", phone.Number{E164: "+447781123456", Region: "GG", Type: phone.Mobile}},
		{"Kazakhstan", "+7 701 123 4567", "", phone.Number{E164: "+77011234567", Region: "KZ", Type: phone.Mobile}},
		{"fixed line", "+49 30 123456", "", phone.Number{E164: "+4930123456", Region: "DE", Type: phone.FixedLine}},
		{"VoIP", "+44 56 1234 5678", "", phone.Number{E164: "+445612345678", Region: "GB", Type: phone.VoIP}},
		{"toll-free", "+1 800 234 5678", "", phone.Number{E164: "+18002345678", Region: "US", Type: phone.TollFree}},
		{"premium", "+1 900 234 5678", "", phone.Number{E164: "+19002345678", Region: "US", Type: phone.Premium}},
		{"shared cost", "+33 810 12 34 56", "",
			phone.Number{E164: "+33810123456", Region: "FR", Type: phone.SharedCost}},
		{"personal", "+44 70 1234 5678", "", phone.Number{E164: "+447012345678", Region: "GB", Type: phone.Personal}},
		{"pager", "+44 76 4012 3456", "", phone.Number{E164: "+447640123456", Region: "GB", Type: phone.Pager}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := phone.Parse(tt.input, tt.region)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q, %q) (-want +got):\n%s", tt.input, tt.region, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, input, region string
		want                phone.Reason
	}{
		{"empty", "", "US", phone.Malformed},
		{"blank", " \t\n", "US", phone.Malformed},
		{"invisible", "\u200e\u200f\u2060\ufeff", "US", phone.Malformed},
		{"too short", "911", "US", phone.Malformed},
		{"two pluses", "+(+44) 7912 345678", "US", phone.Malformed},
		{"a plus too late", "44+7912345678", "US", phone.Malformed},
		{"too long", "+" + strings.Repeat("4", 32), "US", phone.Malformed},
		{"a megabyte", strings.Repeat("+447912345678 ", 80_000), "", phone.Malformed},
		{"a number behind a megabyte that would be stripped", strings.Repeat("\u200e", 1<<20) + "+447912345678", "",
			phone.Malformed},
		{"letters", "1-800-FLOWERS", "US", phone.Malformed},
		{"full-width letters", "+44 7912 34567Ａ", "", phone.Malformed},
		{"e-mail", "someone@example.com", "US", phone.Malformed},
		{"two numbers", "+447912345678, +447912345679", "", phone.Malformed},
		{"a plus within", "44+7912345678", "GB", phone.Malformed},
		{"two pluses", "++447912345678", "GB", phone.Malformed},
		{"line feed within", "+447912\n345678", "", phone.Malformed},
		{"NUL", "+447912345678\x00", "", phone.Malformed},
		{"bad UTF-8", "+447912\xff345678", "", phone.Malformed},
		{"superscript digits", "+44791234567⁸", "", phone.Malformed},
		{"separators only", "(--) ..", "US", phone.Invalid},
		{"plus only", "+ ()-", "", phone.Invalid},
		{"extension, ext.", "+1 415 555 2671 ext. 5", "", phone.Extension},
		{"extension, x", "(415) 555-2671x123", "US", phone.Extension},
		{"extension, RFC 3966", "+1-415-555-2671;ext=55", "", phone.Extension},
		{"extension, #", "+1 415 555 2671 #123", "", phone.Extension},
		{"national without a default", "07912345678", "", phone.MissingRegion},
		{"00 without a default", "00447912345678", "", phone.MissingRegion},
		{"unknown region", "+447912345678", "ZZ", phone.UnknownRegion},
		{"a region's English name", "07912345678", "England", phone.UnknownRegion},
		{"the world as region", "07912345678", "001", phone.UnknownRegion},
		{"UK is not the code of GB", "07912345678", "UK", phone.UnknownRegion},
		{"drama number", "+447700900123", "", phone.Invalid},
		{"drama number, national", "07700 900123", "GB", phone.Invalid},
		{"unassigned calling code", "+999 123456789", "", phone.Invalid},
		{"calling code 0", "+0123456789", "", phone.Invalid},
		{"too few digits", "+44 7912 3456", "", phone.Invalid},
		{"too many digits", "+44 7912 3456 7890 1", "", phone.Invalid},
		{"short code", "12345", "US", phone.Invalid},
		{"international toll-free", "+800 1234 5678", "", phone.NonGeographic},
		{"satellite", "+870 773 123456", "", phone.NonGeographic},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := phone.Parse(tt.input, tt.region)
			var e *phone.Error
			if !errors.As(err, &e) || e.Reason != tt.want {
				t.Fatalf("Parse(%.50q, %q) = %+v, %v; want %v", tt.input, tt.region, n, err, tt.want)
			}
			if n != (phone.Number{}) {
				t.Errorf("a number beside the error: %+v", n)
			}
			if strings.ContainsFunc(err.Error(), unicode.IsDigit) {
				t.Errorf("the error holds digits: %v", err)
			}
		})
	}
}

// TestDigits holds the mapping to an independent fact: the digits of each
// script follow each other from 0 to 9.
func TestDigits(t *testing.T) {
	t.Parallel()
	value := '0'
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !unicode.IsDigit(r) {
			if value != '0' {
				t.Fatalf("a script's digits end at %U with %c", r, value)
			}
			continue
		}
		input := strings.Replace("+44791234567#", "#", string(r), 1)
		want := "+44791234567" + string(value)
		if got, err := phone.Parse(input, ""); err != nil || got.E164 != want {
			t.Errorf("%U read as %v, %v; want %s", r, got.E164, err, want)
		}
		if value++; value > '9' {
			value = '0'
		}
	}
}

// TestEveryRegion asks the metadata for a mobile number of each region. Where
// regions share their ranges (Svalbard and Norway) it reads as of the larger.
func TestEveryRegion(t *testing.T) {
	t.Parallel()
	for region := range phonenumbers.GetSupportedRegions() {
		example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
		if example == nil {
			continue
		}
		want := phone.Number{
			E164:   phonenumbers.Format(example, phonenumbers.E164),
			Region: phonenumbers.GetRegionCodeForNumber(example),
			Type:   phone.Mobile,
		}
		got, err := phone.Parse(want.E164, "")
		if got.Type == phone.FixedLineOrMobile {
			want.Type = phone.FixedLineOrMobile
		}
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", want.E164, got, err, want)
		}
		if got, ok := phone.Region(want.E164); !ok || got != want.Region {
			t.Errorf("Region(%q) = %q, %v; want %s", want.E164, got, ok, want.Region)
		}
		// The library formats Argentine numbers in a way that it cannot read.
		if national := phonenumbers.Format(example, phonenumbers.NATIONAL); region != "AR" {
			if got, err := phone.Parse(national, region); err != nil || got != want {
				t.Errorf("Parse(%q, %s) = %+v, %v; want %+v", national, region, got, err, want)
			}
		}
	}
}

func TestRegion(t *testing.T) {
	t.Parallel()
	for e164, want := range map[string]string{
		"+447912345678":          "GB",
		"+447781123456":          "GG",
		"+14155552671":           "US",
		"+16135550123":           "CA",
		"+18765551234":           "JM",
		"+77011234567":           "KZ",
		"+79161234567":           "RU",
		"+390669812345":          "VA",
		"+39021234567":           "IT",
		"+33612345678":           "FR",
		"+80012345678":           "",
		"+870773123456":          "",
		"+999123456":             "",
		"+447700900123":          "",
		"":                       "",
		"+":                      "",
		"+44":                    "",
		"447912345678":           "",
		"+44 7912345678":         "",
		"+336123456781234567":    "",
		"+44791234567890123456":  "",
		"+44\u0667\u0669123456":  "",
		"+39000000000000":        "",
		strings.Repeat("+4", 99): "",
	} {
		if got, ok := phone.Region(e164); got != want && ok || ok != (want != "") {
			t.Errorf("Region(%q) = %q, %v; want %q", e164, got, ok, want)
		}
	}
}

func TestTypeSMS(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for n := phone.Mobile; n <= phone.Voicemail; n++ {
		if want := n == phone.Mobile || n == phone.FixedLineOrMobile; n.SMS() != want {
			t.Errorf("%v.SMS() = %v", n, n.SMS())
		}
		names[n.String()] = true
	}
	if len(names) != int(phone.Voicemail) {
		t.Errorf("names of types: %v", names)
	}
	for _, n := range []phone.Type{0, phone.Voicemail + 1} {
		if n.SMS() || n.String() != "unknown type" {
			t.Errorf("%d: %v, SMS %v", n, n, n.SMS())
		}
	}
}

func TestNumberStaysOutOfLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("sent", "to", gb)
	if got := out.String(); strings.Contains(got, "79123") || !strings.Contains(got, "to.region=GB to.type=mobile") {
		t.Errorf("logged %q", got)
	}
}
