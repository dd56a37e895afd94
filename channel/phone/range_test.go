package phone_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// TestUnknownRange reads numbers of ranges that were assigned after the
// metadata was made. With newer metadata only UnknownRange changes.
func TestUnknownRange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, input, region, want, in string }{
		{"Japan 060", "060-6333-8702", "JP", "+816063338702", "JP"},
		{"Jordan 071", "+962711537810", "", "+962711537810", "JO"},
		{"Sweden 078", "078-609 91 20", "SE", "+46786099120", "SE"},
		{"Sweden 078 with 0 in parentheses", "+46 (0)78-609 91 20", "", "+46786099120", "SE"},
		{"Sweden 078 with 00", "0046 78-609 91 20", "SE", "+46786099120", "SE"},
		{"Sweden 078 without plus", "46786099120", "SE", "+46786099120", "SE"},
		{"Bangladesh 064", "+8806422791755", "", "+8806422791755", "BD"},
		{"Uganda 072", "+256724375598", "", "+256724375598", "UG"},
		{"Zimbabwe 079", "+263790386249", "", "+263790386249", "ZW"},
		{"Cameroon 64", "+237642186600", "", "+237642186600", "CM"},
		{"Turkmenistan 72", "+99372913535", "", "+99372913535", "TM"},
		{"Saint Helena 9", "+29092857", "", "+29092857", "SH"},
		{"an exchange of Barbados", "+1 246 555 2671", "", "+12465552671", "BB"},
	} {
		n, err := phone.Parse(tt.input, tt.region)
		if err != nil || n.E164 != tt.want || n.Region != tt.in || !n.Type.SMS() {
			t.Errorf("%s: Parse(%q, %q) = %s %s %v, %v", tt.name, tt.input, tt.region, n.E164, n.Region, n.Type, err)
		}
		if region, ok := phone.Region(n.E164); !ok || region != tt.in {
			t.Errorf("%s: Region is %q, %v", tt.name, region, ok)
		}
	}
	// Where mobile numbers are not told from fixed lines, neither are these.
	if n, err := phone.Parse("+1 232 555 2671", ""); err != nil || n.Type != phone.FixedLineOrMobile {
		t.Errorf("Parse = %v, %v", n, err)
	}
	// Tristan da Cunha has no mobile numbers.
	if n, err := phone.Parse("+290 8001", ""); err == nil && n.UnknownRange {
		t.Errorf("Parse = %v", n)
	}
}

// TestNoNumber has what is as long as a number and none.
func TestNoNumber(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, input string
		want        phone.Reason
	}{
		{"film and television", "+44 7700 900123", phone.Invalid},
		{"area code 1", "+1 123 456 7890", phone.Invalid},
		{"area code 411", "+1 411 555 2671", phone.Invalid},
		{"area code 555", "+1 555 123 4567", phone.Invalid},
		{"area code 290", "+1 290 555 2671", phone.Invalid},
		{"exchange 155", "+1 415 155 2671", phone.Invalid},
		{"a zero too many", "+46 0078 609 91 20", phone.Invalid},
		{"premium rate in Belarus, not +375 10…", "+375 810 328 8502", phone.Invalid},
		{"as long as a landline", "+46 786 0991", phone.UnknownRange},
		{"18 digits", "+62 001803 0961895011", phone.Invalid},
		{"17 digits", "+49 800 0893 0062 9595", phone.Invalid},
		{"16 digits", "+234 700 235 920 7228", phone.Invalid},
		{"no country", "+870 1", phone.Invalid},
		{"no country, no range", "+800 0", phone.Invalid},
	} {
		if n, err := phone.Parse(tt.input, ""); reasonOf(err) != tt.want {
			t.Errorf("%s: Parse(%q) = %s %s, %v; want %v", tt.name, tt.input, n.E164, n.Region, err, tt.want)
		}
	}
}

// TestTypesOfTheLibrary holds the short way to types and regions against the
// library's own, for numbers near the examples of each type and region.
func TestTypesOfTheLibrary(t *testing.T) {
	t.Parallel()
	types := map[phonenumbers.PhoneNumberType]phone.Type{
		phonenumbers.MOBILE: phone.Mobile, phonenumbers.FIXED_LINE_OR_MOBILE: phone.FixedLineOrMobile,
		phonenumbers.FIXED_LINE: phone.FixedLine, phonenumbers.VOIP: phone.VoIP, phonenumbers.TOLL_FREE: phone.TollFree,
		phonenumbers.PREMIUM_RATE: phone.Premium, phonenumbers.SHARED_COST: phone.SharedCost,
		phonenumbers.PERSONAL_NUMBER: phone.Personal, phonenumbers.PAGER: phone.Pager, phonenumbers.UAN: phone.UAN,
		phonenumbers.VOICEMAIL: phone.Voicemail,
	}
	r := rand.New(rand.NewPCG(5, 6))
	known := map[phone.Type]int{}
	for _, region := range phone.Regions() {
		for _, kind := range slices.Sorted(maps.Keys(types)) {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			for range 2 {
				e164 := phonenumbers.Format(example, phonenumbers.E164)
				parsed, err := phonenumbers.Parse(e164, "")
				if err != nil {
					break
				}
				got, err := phone.Parse(e164, "")
				want, of := types[phonenumbers.GetNumberType(parsed)], phonenumbers.GetRegionCodeForNumber(parsed)
				switch valid := phonenumbers.IsValidNumber(parsed); {
				case region == "AR" && want == phone.FixedLine: // here it is a mobile number without its 9
				case !valid && got.E164 == e164 && !got.UnknownRange, valid && err != nil && len(e164) <= 16:
					t.Errorf("Parse(%q) = %v, %v; libphonenumber: valid %v", e164, got, err, valid)
				case valid && err == nil && (got.Type != want || got.Region != of):
					t.Errorf("Parse(%q) = %v; libphonenumber: %v", e164, got, want)
				case valid:
					known[got.Type]++
				}
				*example.NationalNumber ^= uint64(r.IntN(0x10000)) // other last digits
			}
		}
	}
	for kind := phone.Mobile; kind <= phone.Voicemail; kind++ {
		if known[kind] < 5 {
			t.Errorf("only %d numbers of type %v", known[kind], kind)
		}
	}
}
