package phone_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/phone"
)

func BenchmarkParse(b *testing.B) {
	for name, tt := range map[string]struct{ input, region string }{
		"OneRegion":    {"+33 6 12 34 56 78", ""},
		"FourRegions":  {"+44 7912 345678", ""},
		"NorthAmerica": {"+1 415 555 2671", ""},
		"ArabicDigits": {"\u200e+٤٤٧٩١٢٣٤٥٦٧٨", ""},
		"E164":         {"+491622897306", ""},
		"E164Canada":   {"+16135550123", ""},
		"National":     {"07912 345678", "GB"},
		"Abroad":       {"0044 7912 345678", "FR"},
		"UnknownRange": {"+46786099120", ""},
		"NoPlus":       {"491622897306", "DE"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := phone.Parse(tt.input, tt.region); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseRefusesAMegabyte(b *testing.B) {
	input := strings.Repeat("+", 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := phone.Parse(input, "US"); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkRegion(b *testing.B) {
	for name, input := range map[string]string{
		"OneRegion":    "+33612345678",
		"FourRegions":  "+447912345678",
		"NorthAmerica": "+14155552671",
		"Canada":       "+16135550123",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := phone.Region(input); !ok {
					b.Fatal("no region")
				}
			}
		})
	}
}
