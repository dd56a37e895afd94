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
	} {
		f.Add(s, "US")
		f.Add(s, "")
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
		parsed, err := phonenumbers.Parse(n.E164, "")
		if err != nil || !phonenumbers.IsValidNumber(parsed) {
			t.Fatalf("%q is not valid, %v", n.E164, err)
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
