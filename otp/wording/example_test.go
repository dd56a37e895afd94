package wording_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"github.com/otpcourier/otpcourier/otp/wording"
)

func Example() {
	set, err := wording.New(wording.Config{Brand: "MyBank"})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The browser's languages, and the country of the phone number.
	tag, err := set.Language("fr-CH, fr;q=0.9, en;q=0.5", "CH")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := set.Render(wording.Data{Language: tag, Code: "482910", Minutes: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(text.SMS)
	fmt.Println(text.Subject)
	// Output:
	// 482910 est votre code MyBank. Il expire dans 5 minutes. Ne le communiquez à personne.
	// Votre code MyBank
}

// The language is the person's choice, else the main language of readers in the
// number's country, else the default.
func ExampleSet_Language() {
	set, err := wording.New(wording.Config{Brand: "MyBank", Wordings: map[string]wording.Wording{
		"en-IN": {SMS: "{{.Code}} is OTP for login at {{.Brand}}. Valid for {{.Minutes}} mins. -LMNBNK"},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, who := range [][2]string{{"de-AT", "FR"}, {"", "FR"}, {"et", "EE"}, {"", "IN"}} {
		tag, err := set.Language(who[0], who[1])
		fmt.Println(tag, err)
	}
	// Output:
	// de <nil>
	// fr <nil>
	// en <nil>
	// en-IN <nil>
}

// A code that resets a password, with a link to the page for typing it.
func ExampleConfig_link() {
	set, err := wording.New(wording.Config{
		Brand: "MyBank",
		Link:  "https://mybank.example/verify?id={{.ChallengeID}}&code={{.Code}}",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := set.Render(wording.Data{Code: "482910", Minutes: 5, Purpose: wording.Reset, ChallengeID: "c4n7"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(text.Body)
	// Output:
	// 482910 is your MyBank password reset code.
	//
	// https://mybank.example/verify?id=c4n7&code=482910
	//
	// It expires in 5 minutes. Do not share it.
	//
	// If you did not ask for this code, ignore this message.
}

// With the hash of an app, SMS Retriever can read every SMS.
func ExampleConfig_appHash() {
	set, err := wording.New(wording.Config{Brand: "MyBank", AppHash: "FA+9qCX9VSu"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tag := range []string{"es", "ru"} {
		text, err := set.Render(wording.Data{Language: tag, Code: "482910", Minutes: 5})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(text.SMS)
	}
	// Output:
	// 482910 es tu codigo de MyBank. Vale 5 minutos. No lo compartas.
	// FA+9qCX9VSu
	// 482910 — ваш код MyBank. Никому не говорите.
	// FA+9qCX9VSu
}

// A payment: the person sees what the code confirms (PSD2 dynamic linking).
func ExampleSet_Render() {
	set, err := wording.New(wording.Config{Brand: "MyBank", Origin: "example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tag := range []string{"en", "pl"} {
		text, err := set.Render(wording.Data{
			Language: tag, Code: "482910", Minutes: 2, Details: "EUR 20.00, Bob Ltd",
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(text.SMS)
	}
	// Output:
	// 482910 is your MyBank code. To confirm: EUR 20.00, Bob Ltd. It expires in 2 minutes. Do not share it.
	// @example.com #482910
	// 482910 to Twój kod MyBank. Do potwierdzenia: EUR 20.00, Bob Ltd. Ważny 2 minuty. Nie podawaj nikomu.
	// @example.com #482910
}

func ExampleSet_Lint() {
	set, err := wording.New(wording.Config{Brand: "MyBank", Origin: "example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range set.Lint() {
		if w.Segments > 1 {
			fmt.Println(w)
			break
		}
	}
	// Output:
	// es: needs UCS-2 for 'ó', 85 units in 2 segments, no autofill by Android 16
}

func ExampleAppHash() {
	encoded, err := os.ReadFile("testdata/react-native-debug-cert.der.b64")
	if err != nil {
		fmt.Println(err)
		return
	}
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(encoded), "\n", ""))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(wording.AppHash("com.rnsmsretrieverexample", der))
	// Output: f8Escobih1Z
}

// One sentence is replaced; the rest is built in.
func ExampleConfig_wordings() {
	set, err := wording.New(wording.Config{
		Brand: "MyBank",
		Wordings: map[string]wording.Wording{
			"en": {Secret: "We never ask for it by phone."},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := set.Render(wording.Data{Code: "482910", Minutes: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(text.SMS)
	// Output: 482910 is your MyBank code. It expires in 1 minute. We never ask for it by phone.
}
