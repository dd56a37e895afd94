package wording_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/otp/wording"
)

var builtInPurposes = []string{wording.SignIn, wording.SignUp, wording.Payment, wording.Reset}

// The mail of each purpose says so in every language; the SMS only where that
// costs no segment. All else stays.
func TestPurposes(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{})
	said := 0
	for _, lang := range wording.Languages() {
		general := render(t, s, wording.Data{Language: lang})
		seen := map[string]string{general.Body: "none"}
		for _, purpose := range builtInPurposes {
			for minutes := 1; minutes <= 60; minutes++ {
				text := render(t, s, wording.Data{Language: lang, Purpose: purpose, Minutes: minutes})
				if n := sms.Measure(text.SMS); n.Segments != 1 {
					t.Errorf("%s, %s, %d minutes: %+v", lang, purpose, minutes, n)
				}
			}
			text := render(t, s, wording.Data{Language: lang, Purpose: purpose})
			if other, ok := seen[text.Body]; ok {
				t.Errorf("%s: the mail for %s is that for %s", lang, purpose, other)
			}
			seen[text.Body] = purpose
			first, _, _ := strings.Cut(text.Body, "\n\n")
			word := strings.ToLower(wordForCode[lang])
			if !strings.HasPrefix(first, code+" ") || !strings.Contains(first, brand) ||
				!strings.Contains(strings.ToLower(first), word) {
				t.Errorf("%s, %s: %q", lang, purpose, first)
			}
			if text.SMS != general.SMS {
				said++
				if !strings.HasPrefix(text.SMS, first) {
					t.Errorf("%s, %s: the SMS says %q, the mail %q", lang, purpose, text.SMS, first)
				}
			}
			_, rest, _ := strings.Cut(text.Body, "\n\n")
			if _, want, _ := strings.Cut(general.Body, "\n\n"); rest != want || text.Subject != general.Subject {
				t.Errorf("%s, %s: %q, %q", lang, purpose, text.Subject, rest)
			}
		}
		if got := render(t, s, wording.Data{Language: lang, Purpose: "something else"}); got != general {
			t.Errorf("%s: another purpose is worded %q", lang, got.SMS)
		}
	}
	if said < 14*4 { // those of GSM-7 at least
		t.Errorf("only %d SMS say their purpose", said)
	}
}

func TestOwnPurposes(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Brand: "MyBank", Wordings: map[string]wording.Wording{
		"en": {Secret: "Tell no one.", Purposes: map[string]wording.Wording{
			wording.Payment: {Secret: "We never ask for it.", Subject: "Pay with {{.Brand}}"},
			"front door":    {SMS: "{{.Code}} opens the door of {{.Brand}}."},
		}},
		// A text that a regulator has registered is not replaced by a built-in purpose.
		"en-IN": {Code: "{{.Code}} is OTP for login at {{.Brand}}.", Purposes: map[string]wording.Wording{
			wording.Reset: {Code: "{{.Code}} is OTP for a new password at {{.Brand}}."},
		}},
		"fr": {SMS: "{{.Code}} : {{.Brand}}, {{.Life}}."},
	}})
	for _, c := range []struct{ lang, purpose, want string }{
		{"en", "", "482910 is your MyBank code. It expires in 5 minutes. Tell no one."},
		{"en", wording.SignIn, "482910 is your MyBank sign-in code. It expires in 5 minutes. Tell no one."},
		{"en", wording.Payment, "482910 is your MyBank payment code. It expires in 5 minutes. We never ask for it."},
		{"en", "front door", "482910 opens the door of MyBank."},
		{"en-IN", wording.SignIn, "482910 is OTP for login at MyBank. It expires in 5 minutes. Do not share it."},
		{"en-IN", wording.Reset,
			"482910 is OTP for a new password at MyBank. It expires in 5 minutes. Do not share it."},
		{"fr", wording.Payment, "482910 : MyBank, 5 minutes."},
	} {
		text := render(t, s, wording.Data{Language: c.lang, Purpose: c.purpose})
		if text.SMS != c.want {
			t.Errorf("%s, %s: %q, want %q", c.lang, c.purpose, text.SMS, c.want)
		}
		if c.purpose == wording.Payment && c.lang == "en" && text.Subject != "Pay with MyBank" {
			t.Errorf("subject %q", text.Subject)
		}
	}
	for name, bad := range map[string]map[string]wording.Wording{
		"Wording.Purposes":            {"zwei Wörter": {}},
		"Wording.Purposes[door].SMS":  {"door": {SMS: "Come in."}},
		"Wording.Purposes[door].Life": {"door": {Life: "{{.Lifetime}}"}},
	} {
		_, err := wording.New(wording.Config{Brand: brand, Wordings: map[string]wording.Wording{"en": {Purposes: bad}}})
		wantField(t, name, err, name)
	}
	nested := map[string]wording.Wording{"a": {Purposes: map[string]wording.Wording{"b": {}}}}
	_, err := wording.New(wording.Config{Brand: brand, Wordings: map[string]wording.Wording{"en": {Purposes: nested}}})
	wantField(t, "nested", err, "Wording.Purposes")
}
