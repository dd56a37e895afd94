package phone_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/otpcourier/otpcourier/channel/phone"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{3,14}$`)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"+447912345678", "(415) 555-2671", "0044 7912 345678", "+39 06 6982", "+٤٤٧٩١٢٣٤٥٦٧٨",
		"\u202a+1 415 555 2671\u202c", "+1 415 555 2671 ext. 5", "1-800-FLOWERS", "+800 1234 5678", "",
		"tel:7912-345678;phone-context=+44;isub=1", "tel:%2B447912345678;ext=5",
		"０９０ー１２３４−５６７８", "+1\ufe0f415\u3164555[2671]",
		"0692 11 22 33", "+33692112233", "+52 1 55 4163 7145", "+54 9 11 15 6907-1234", "11 6907-1234",
		"0055 1 415 555 2671", "491622897306",
		"060-6333-8702", "+46786099120", "+3758103288502", "08100000000", "+15551234567", "+620018030961895011",
	} {
		for _, region := range []string{"", "US", "BR", "FR", "RE", "AR", "MX", "JP", "DE", "GB", "BY"} {
			f.Add(s, region)
		}
	}
	f.Fuzz(func(t *testing.T, input, region string) {
		n, err := phone.Parse(input, region)
		if err != nil {
			var e *phone.Error
			if !errors.As(err, &e) || e.Reason < phone.Malformed || e.Reason > phone.NonGeographic {
				t.Fatalf("Parse(%q, %q): %v", input, region, err)
			}
			return
		}
		if !e164.MatchString(n.E164) || len(n.Region) != 2 || n.Type == 0 {
			t.Fatalf("Parse(%q, %q) = %+v", input, region, n)
		}
		if again, err := phone.Parse(n.E164, ""); err != nil || again != n {
			t.Fatalf("Parse(%q) = %+v, %v; it came out of Parse as %+v", n.E164, again, err, n)
		}
		if got, ok := phone.Region(n.E164); !ok || got != n.Region {
			t.Fatalf("Region(%q) = %q, %v; Parse says %s", n.E164, got, ok, n.Region)
		}
		// The library that the types were read from agrees.
		parsed, err := phonenumbers.Parse(n.E164, "")
		if err != nil || phonenumbers.IsValidNumber(parsed) == n.UnknownRange {
			t.Fatalf("%q: valid for libphonenumber: %v, %v; unknown range: %v",
				n.E164, phonenumbers.IsValidNumber(parsed), err, n.UnknownRange)
		}
		if got := phonenumbers.GetRegionCodeForNumber(parsed); got != n.Region && !n.UnknownRange {
			t.Fatalf("%q is of %s for libphonenumber, %s here", n.E164, got, n.Region)
		}
		if n.UnknownRange && !n.Type.SMS() {
			t.Fatalf("%q is in no known range, and of type %v", n.E164, n.Type)
		}
	})
}

func FuzzRegion(f *testing.F) {
	f.Add("+447912345678")
	f.Add("+39000000000000")
	f.Add("+1")
	f.Fuzz(func(t *testing.T, s string) {
		if region, ok := phone.Region(s); ok != (len(region) == 2) {
			t.Fatalf("Region(%q) = %q, %v", s, region, ok)
		}
	})
}
