package wording_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// SMS Retriever reads at most 140 octets: one segment, whatever else is said.
func TestRetrieverReadsAll(t *testing.T) {
	t.Parallel()
	for _, c := range []wording.Config{
		{AppHash: "FA+9qCX9VSu"},
		{AppHash: "FA+9qCX9VSu", Brand: "MyBank", Origin: "mybank.example"},
		{AppHash: "FA+9qCX9VSu", Brand: "1xBet", Fold: true},
	} {
		s := newSet(t, c)
		for _, lang := range wording.Languages() {
			for _, purpose := range append(builtInPurposes, "") {
				for _, minutes := range []int{1, 2, 5, 30, 45, 10080} {
					text := render(t, s, wording.Data{Language: lang, Purpose: purpose, Minutes: minutes, Try: 2,
						Requested: time.Unix(1<<30, 0)})
					if n := sms.Measure(text.SMS); n.Segments != 1 || !strings.HasSuffix(text.SMS, "FA+9qCX9VSu") {
						t.Errorf("%s, %s: %+v: %q", lang, purpose, n, text.SMS)
					}
					if !strings.HasPrefix(text.SMS, code+" ") {
						t.Errorf("%s: %q", lang, text.SMS)
					}
				}
			}
		}
	}
}

// What is left out goes in this order; details stay, even if nothing fits then.
func TestShorter(t *testing.T) {
	t.Parallel()
	at := time.Unix(1<<30, 0)
	for _, c := range []struct {
		name string
		c    wording.Config
		d    wording.Data
		want string
	}{
		{"fits", wording.Config{}, wording.Data{Language: "en", Try: 2},
			"482910 is your MyBank code. It expires in 5 minutes. Do not share it. Message 2."},
		{"folded", wording.Config{}, wording.Data{Language: "es"},
			"482910 es tu codigo de MyBank. Vale 5 minutos. No lo compartas."},
		{"as it is where it fits", wording.Config{Brand: "B"}, wording.Data{Language: "es", Code: "4829"},
			"4829 es tu código de B. Vale 5 minutos. No lo compartas."},
		{"without try", wording.Config{}, wording.Data{Language: "ja", Try: 2, Requested: at},
			"482910 は MyBank の認証コードです。5分間有効です。他人に教えないでください。"},
		{"without life", wording.Config{}, wording.Data{Language: "ru", Try: 2, Requested: at},
			"482910 — ваш код MyBank. Никому не говорите."},
		{"the code alone", wording.Config{Brand: "Банк Друзей Природы и Жизни"}, wording.Data{Language: "ru"},
			"482910 — ваш код Банк Друзей Природы и Жизни."},
		{"the purpose before the life", wording.Config{Brand: "B"}, wording.Data{Language: "uk",
			Purpose: wording.Reset}, "482910 — ваш код B. Діє 5 хвилин. Нікому не кажіть."},
		{"details stay", wording.Config{}, wording.Data{Language: "ru", Details: "2000 RUB"},
			"482910 — ваш код MyBank. Подтверждение: 2000 RUB."},
		{"too much", wording.Config{}, wording.Data{Language: "ru", Details: strings.Repeat("Д", 60)},
			"482910 — ваш код MyBank. Подтверждение: " + strings.Repeat("Д", 60) +
				". Действует 5 минут. Никому не говорите."},
	} {
		if c.c.Brand == "" {
			c.c.Brand = "MyBank"
		}
		c.c.AppHash = "FA+9qCX9VSu"
		got := render(t, newSet(t, c.c), c.d).SMS
		if want := c.want + "\nFA+9qCX9VSu"; got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Brand: "Crédit Côte", Fold: true})
	for _, c := range []struct{ lang, details, want string }{
		{"es", "", "482910 es tu codigo de Crédit Cote. Vale 5 minutos. No lo compartas."},
		{"vi", "", "482910 là ma Crédit Cote cua ban. Hieu luc 5 phut. Khong chia se ma."},
		{"es", "₺250 → Łukasz", "482910 es tu codigo de Crédit Cote. Para confirmar: TRY 250 -> Lukasz. " +
			"Vale 5 minutos. No lo compartas."},
		{"es", "Банк", "482910 es tu código de Crédit Côte. Para confirmar: Банк. Vale 5 minutos. No lo compartas."},
		{"ru", "", "482910 — ваш код Crédit Côte. Действует 5 минут. Никому не говорите."},
	} {
		text := render(t, s, wording.Data{Language: c.lang, Details: c.details})
		if text.SMS != c.want {
			t.Errorf("%s: %q, want %q", c.lang, text.SMS, c.want)
		}
		if !strings.Contains(text.Body, "Côte") || !strings.Contains(text.Body, c.details) {
			t.Errorf("%s: the mail is folded: %q", c.lang, text.Body)
		}
	}
	for _, w := range s.Lint() {
		if strings.Contains("es pt pl ro tr vi is yo", w.Language) && w.UCS2 {
			t.Errorf("%v", w)
		}
	}
}

// The brand keeps away from the code: Android's detector takes "482910 1" for
// the beginning of something else.
func TestBrandBesideCode(t *testing.T) {
	t.Parallel()
	for _, brand := range []string{"1xBet", "2GIS", "24 Bank", "7-Eleven"} {
		s := newSet(t, wording.Config{Brand: brand})
		for _, lang := range wording.Languages() {
			for _, purpose := range append(builtInPurposes, "") {
				text := render(t, s, wording.Data{Language: lang, Purpose: purpose})
				for _, m := range []string{text.SMS, text.Body} {
					if regexp.MustCompile(`482910\W? ?\d|\d\W? ?482910`).MatchString(m) {
						t.Errorf("%s, %s: %q", lang, purpose, m)
					}
				}
			}
		}
	}
}
