package findcode_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms/findcode"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// TestWordings: the code is found in the messages that this library words, in every language.
func TestWordings(t *testing.T) {
	t.Parallel()
	set, err := wording.New(wording.Config{Brand: "MyBank"})
	if err != nil {
		t.Fatal(err)
	}
	requested := time.Date(2026, 11, 30, 14, 5, 0, 0, time.UTC)
	for _, language := range wording.Languages() {
		for _, code := range []string{"4829", "482910", "20481937"} {
			for _, d := range []wording.Data{
				{Minutes: 5}, {Minutes: 1, Try: 2}, {Minutes: 1440, Requested: requested},
				{Minutes: 10, Details: "1250.00 EUR, MyShop 4417"},
			} {
				d.Language, d.Code = language, code
				text, err := set.Render(d)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []string{text.SMS, text.Body} {
					if got, _ := findcode.In(s); got != code {
						t.Errorf("%s: %q in %q, want %q", language, got, s, code)
					}
				}
			}
		}
	}
}
