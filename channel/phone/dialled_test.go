package phone_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// TestDialled reads what people type where dialling is not as libphonenumber
// has it.
func TestDialled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, input, region, want string }{
		{"00 and Brazil's own code, not carrier 55 and Peru", "0055 51 99876 5432", "BR", "+5551998765432"},
		{"00 and Brazil's own code", "0055 21 98765 4321", "BR", "+5521987654321"},
		{"00, a carrier of Brazil, and its own code", "0015 55 21 98765 4321", "BR", "+5521987654321"},
		{"00 and Colombia's own code", "0057 310 123 4567", "CO", "+573101234567"},
		{"00 and Korea's own code", "0082 10 1234 5678", "KR", "+821012345678"},
		{"00 and Thailand's own code", "0066 81 234 5678", "TH", "+66812345678"},
		{"00 and Singapore's own code", "0065 8123 4567", "SG", "+6581234567"},
		{"00 and Hong Kong's own code", "00852 9123 4567", "HK", "+85291234567"},
		{"00 in Australia", "0061 412 345 678", "AU", "+61412345678"},
		{"00 in Japan", "0081 90 1234 5678", "JP", "+819012345678"},
		{"00 in Russia", "0044 7912 345678", "RU", "+447912345678"},
		{"00 in Brazil", "0044 7912 345678", "BR", "+447912345678"},
		{"00 and the trunk zero", "0049 0162 2897306", "DE", "+491622897306"},
		{"8~10 in Russia", "8~10 44 7912 345678", "RU", "+447912345678"},
		{"00 in the plus's place", "+0044 7912 345678", "", "+447912345678"},

		{"no plus, Germany: no landline in 0491", "491622897306", "DE", "+491622897306"},
		{"no plus, Austria", "43 664 1234567", "AT", "+436641234567"},
		{"no plus, Kosovo", "38344123456", "XK", "+38344123456"},
		{"no plus, Indonesia", "62 812 345 678", "ID", "+62812345678"},
		{"no plus, and the trunk zero", "4901622897306", "DE", "+491622897306"},
		{"Italy: 39 is a mobile prefix too", "391 234 5678", "IT", "+393912345678"},

		{"Mexico, 521 as WhatsApp shows it", "+52 1 55 4163 7145", "", "+525541637145"},
		{"Mexico, 521 without plus", "521 55 4163 7145", "MX", "+525541637145"},
		{"Mexico, 044", "044 55 4163 7145", "MX", "+525541637145"},
		{"Mexico, 045", "045 55 4163 7145", "MX", "+525541637145"},
		{"Mexico, 01", "01 55 4163 7145", "MX", "+525541637145"},
		{"Mexico, from the US", "011 52 1 55 4163 7145", "US", "+525541637145"},

		{"Argentina, without 9", "11 6907-1234", "AR", "+5491169071234"},
		{"Argentina, with 0", "011 6907-1234", "AR", "+5491169071234"},
		{"Argentina, with 15", "011 15-6907-1234", "AR", "+5491169071234"},
		{"Argentina, with 15, without 0", "11 15 6907 1234", "AR", "+5491169071234"},
		{"Argentina, area code of three digits", "0223 15 412-3456", "AR", "+5492234123456"},
		{"Argentina, area code of four digits", "2966 41 2345", "AR", "+5492966412345"},
		{"Argentina, +54 without 9", "+54 11 6907-1234", "", "+5491169071234"},
		{"Argentina, +54 with 15", "+54 11 15 6907-1234", "", "+5491169071234"},
		{"Argentina, 9 and 15", "+54 9 11 15 6907-1234", "", "+5491169071234"},
		{"Argentina, 9 and no code", "9 11 6907 1234", "AR", "+5491169071234"},
		{"Argentina, no plus", "54 9 11 6907 1234", "AR", "+5491169071234"},

		{"Réunion from France", "0692 11 22 33", "FR", "+262692112233"},
		{"Réunion from France, without 0", "692 11 22 33", "FR", "+262692112233"},
		{"Réunion with the code of France", "+33 (0)692 11 22 33", "", "+262692112233"},
		{"Réunion with 00 and the code of France", "0033 692 11 22 33", "FR", "+262692112233"},
		{"Mayotte from France", "0639 01 23 45", "FR", "+262639012345"},
		{"Guadeloupe from France", "0690 30 12 34", "FR", "+590690301234"},
		{"French Guiana from France", "0694 20 12 34", "FR", "+594694201234"},
		{"Martinique from France", "0696 20 12 34", "FR", "+596696201234"},
		{"Miquelon from France", "0508 55 12 34", "FR", "+508551234"},
		{"Miquelon from France, new", "0708 41 12 34", "FR", "+508708411234"},
		{"France from Réunion", "06 12 34 56 78", "RE", "+33612345678"},
		{"Guadeloupe from Martinique", "0690 30 12 34", "MQ", "+590690301234"},
	} {
		n, err := phone.Parse(tt.input, tt.region)
		if err != nil || n.E164 != tt.want || n.UnknownRange || !n.Type.SMS() {
			t.Errorf("%s: Parse(%q, %q) = %s %v, %v; want %s",
				tt.name, tt.input, tt.region, n.E164, n.Type, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name, input, region string
		want                phone.Type
	}{
		{"with 0 it is the landline in 0491", "0491 622897306", "DE", phone.FixedLine},
		{"a landline of Réunion from France", "0262 20 11 22", "FR", phone.FixedLine},
		{"toll-free in all of France", "0800 123 456", "FR", phone.TollFree},
		{"a landline", "+33 1 23 45 67 89", "", phone.FixedLine},
	} {
		if n, err := phone.Parse(tt.input, tt.region); err != nil || n.Type != tt.want {
			t.Errorf("%s: %v, %v", tt.name, n, err)
		}
	}
}

// TestAmbiguous has digits that are two numbers which can receive texts.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, input, region string }{
		{"Japan, or the US over carrier 008", "0081 90 1234 5678", "KR"},
		{"a new range of Brazil, or the US over carrier 55", "0055 1 415 555 2671", "BR"},
		{"no number of Brazil, or the UK over carrier 55", "0055 44 7912 345678", "BR"},
		{"no number of Singapore, or Miquelon over carrier 006", "0065 0809 1963 7", "SG"},
	} {
		n, err := phone.Parse(tt.input, tt.region)
		if reasonOf(err) != phone.Ambiguous || !strings.Contains(err.Error(), "+") {
			t.Errorf("%s: Parse(%q, %q) = %s, %v", tt.name, tt.input, tt.region, n.E164, err)
		}
	}
}

// TestOwnCallingCode dials mobile numbers of every region from within, with the
// region's calling code behind 00 or without anything before it.
func TestOwnCallingCode(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	asked := 0
	for _, region := range phone.Regions() {
		for _, want := range mobileNumbers(t, r, region, 2) {
			for _, input := range []string{"00" + want.E164[1:], want.E164[1:], want.E164} {
				asked++
				if got, err := phone.Parse(input, region); err != nil || got != want {
					t.Errorf("Parse(%q, %s) = %s, %v; want %s", input, region, got.E164, err, want.E164)
				}
			}
		}
	}
	if asked < 1400 {
		t.Errorf("only %d numbers", asked)
	}
}

// TestNeverAStrangersNumber dials mobile numbers of other countries with 00,
// where 00 and the digits behind it may be the prefix of a carrier.
func TestNeverAStrangersNumber(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	refused, asked := 0, 0
	from := []string{"BR", "CO", "KR", "TH", "SG", "HK", "IL", "AU", "JP", "US", "RU", "ID", "CL", "FI"}
	for _, abroad := range phone.Regions() {
		for _, want := range mobileNumbers(t, r, abroad, 1) {
			r.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
			for _, region := range from[:5] {
				if phone.CallingCode(region) == phone.CallingCode(abroad) {
					continue
				}
				asked++
				got, err := phone.Parse("00"+want.E164[1:], region)
				switch {
				case reasonOf(err) == phone.Ambiguous:
					refused++
				case err != nil || got != want:
					t.Errorf("Parse(00%s, %s) = %s, %v", want.E164[1:], region, got.E164, err)
				}
			}
		}
	}
	t.Logf("%d of %d are ambiguous", refused, asked)
	if refused == 0 || refused*100 > 5*asked {
		t.Errorf("%d of %d are ambiguous", refused, asked)
	}
}

// mobileNumbers returns numbers of a region in known ranges that can receive a
// text message: as its example but for the last digits.
func mobileNumbers(t *testing.T, r *rand.Rand, region string, n int) []phone.Number {
	t.Helper()
	example, ok := phone.ExampleNumber(region)
	if !ok {
		t.Fatalf("no example of %s", region)
	}
	code := "+" + strconv.Itoa(phone.CallingCode(region))
	var numbers []phone.Number
	for i := 0; i < 100*n && len(numbers) < n; i++ {
		digits := []byte(example.E164)
		for j := len(code) + 1 + r.IntN(3); j < len(digits); j++ {
			digits[j] = byte('0' + r.IntN(10))
		}
		number, err := phone.Parse(string(digits), "")
		if err == nil && number.Type.SMS() && !number.UnknownRange && number.E164 == string(digits) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}
