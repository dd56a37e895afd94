package channel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/channel"
)

// TestNothingShows prints and logs a message in the ways that a program does
// without thinking, and looks for what must not be there.
func TestNothingShows(t *testing.T) {
	t.Parallel()
	m := &channel.Message{
		ID:   "k3v9.1",
		To:   channel.Recipient{Phone: "+447912345678", Email: "ann.smith@example.com", Push: "token-7f9c2b4ed1a84c6f"},
		Code: "XKQZWV", Text: "XKQZWV is your code", Subject: "XKQZWV", Body: "XKQZWV is", HTML: "<b>XKQZWV</b>",
		Purpose: "login", Expires: time.Now(),
	}
	var b bytes.Buffer
	handlers := []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)}
	for _, h := range handlers {
		log := slog.New(h)
		log.Info("message", "m", m, "value", *m, "to", m.To, "pointer", &m.To)
		log.With("m", m).WithGroup("g").Info("message", slog.Group("h", "to", m.To))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&b, verb+"\n", m)
		fmt.Fprintf(&b, verb+"\n", *m)
		fmt.Fprintf(&b, verb+"\n", []channel.Message{*m})
		fmt.Fprintf(&b, verb+"\n", m.To)
		fmt.Fprintf(&b, verb+"\n", &m.To)
		fmt.Fprintf(&b, verb+"\n", []channel.Recipient{m.To})
		fmt.Fprintf(&b, verb+"\n", struct{ M *channel.Message }{m})
	}
	fmt.Fprintln(&b, m.To.Masked(), fmt.Errorf("sending %v: %w", m, fmt.Errorf("to %v", m.To)))

	for _, secret := range []string{m.Code, m.To.Phone[1:], "447912", "ann.smith", "7f9c2b4e"} {
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("%q shows in: %s", secret, line)
			}
		}
	}
	for _, shown := range []string{m.ID, "+44******5678", "a***@example.com", "******4c6f", "login"} {
		if !strings.Contains(b.String(), shown) {
			t.Errorf("%q does not show", shown)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	m := &channel.Message{To: channel.Recipient{Phone: "+447912345678", Email: "Ann.Smith+otp@Example.com",
		Push: "tok/7f9c"}, Code: "XKQZWV"}
	for text, want := range map[string]string{
		"550 5.1.1 unknown":                       "550 5.1.1 unknown",
		"550 <ann.smith+otp@example.com> unknown": "550 <***> unknown",
		`Get "https://a.example/?to=Ann.Smith%2Botp%40Example.com&n=%2b4479": EOF`: `Get "https://a.example/?to=***` +
			`&n=%2b4479": EOF`,
		`Get "https://a.example/?to=%2b447912345678&text=xkqzwv+is": EOF`: `Get "https://a.example/?to=***&text=***` +
			`+is": EOF`,
		"no route to 447912345678, +447912345678 or tok/7F9C, tok%2f7f9c": "no route to ***, *** or ***, ***",
		"\xff XKQZWV": "\xff ***",
	} {
		if got := m.Redact(text); got != want {
			t.Errorf("%q is redacted to %q, want %q", text, got, want)
		}
	}
	if got := (channel.Message{Code: "\xff"}).Redact("text"); got != "text" {
		t.Errorf("without a secret: %q", got)
	}
}

func TestRedactLocalForms(t *testing.T) {
	t.Parallel()
	m := channel.Message{To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com", Chat: "telegram:4711"},
		Code: "482910"}
	for text, want := range map[string]string{
		"07912345678 is barred":                      "*** is barred",
		"(0)7912 345-678 is barred":                  "(0)*** is barred",
		"0044 7912 345678, code 500":                 "***, code 500",
		"send 48 29 10 to 7912.345.678":              "send *** to ***",
		"500 447912345678":                           "500 ***",
		`{"to":"\u002b447912345678","m":"4-829-10"}`: `{"to":"\u002b***","m":"***"}`,
		"ann&#64;example.com, TELEGRAM:4711":         "***, ***",
		"9912 34 56 79 is no number of ours":         "9912 34 56 79 is no number of ours",
		"ü 482910 é":                                 "ü *** é",
	} {
		if got := m.Redact(text); got != want {
			t.Errorf("%q is redacted to %q, want %q", text, got, want)
		}
	}
}

// TestRedactOtherForms: a provider words addresses as its country does, or as they
// go over the wire.
func TestRedactOtherForms(t *testing.T) {
	t.Parallel()
	m := channel.Message{To: channel.Recipient{Phone: "+447912345678", Email: "Zoë.Lee@münchen.example"},
		Code: "482910"}
	for text, want := range map[string]string{
		"٠٧٩١٢٣٤٥٦٧٨ محظور":                             "*** محظور",
		"＋４４７９１２３４５６７８，４８２９１０":                          "＋***，***",
		"code ४८२९१०":                                   "code ***",
		"07912\u00a0345\u202f678 barred":                "*** barred",
		"7912\u2011345\u2013678 barred":                 "*** barred",
		"\u202a+44 7912 345678\u202c.":                  "\u202a***\u202c.",
		"550 <zoë.lee@xn--mnchen-3ya.example>: unknown": "550 <***>: unknown",
		"550 ZOË.LEE@XN--MNCHEN-3YA.EXAMPLE is unknown": "550 *** is unknown",
		"ZOË.LEE@MÜNCHEN.EXAMPLE, zoe@münchen.example":  "***, zoe@münchen.example",
		"zoë.lee%40xn--mnchen-3ya.example&x=1 zoë.lee@": "***&x=1 ***",
	} {
		if got := m.Redact(text); got != want {
			t.Errorf("%q is redacted to %q, want %q", text, got, want)
		}
	}
}

// TestRedactAtTheCut: a text that is cut within a secret does not show its
// beginning.
func TestRedactAtTheCut(t *testing.T) {
	t.Parallel()
	m := channel.Message{To: channel.Recipient{Phone: "+447912345678", Email: "ann.lee@example.com"}, Code: "482910"}
	for _, secret := range []string{"482910", "+447912345678", "07912345678", "ann.lee@example.com"} {
		for n := 4; n < len(secret); n++ {
			text := strings.Repeat("x", 1021-n) + secret + strings.Repeat(" ", 100)
			if got := m.Redact(text); strings.Contains(got, secret[:4]) {
				t.Errorf("cut after %d of %q: %q", n, secret, got[1000:])
			}
		}
	}
}

// TestRedactIsBoundedAndLinear: a provider's answer may be of any length, and be
// made to be slow.
func TestRedactIsBoundedAndLinear(t *testing.T) {
	t.Parallel()
	m := channel.Message{To: channel.Recipient{Phone: "+4400000000000"}, Code: "0000000001"}
	for _, text := range []string{strings.Repeat("0", 10<<20), strings.Repeat("%30", 10<<20), strings.Repeat("é",
		10<<20)} {
		if got := m.Redact(text); len(got) > 1024 || !utf8.ValidString(got) {
			t.Errorf("%d octets become %d", len(text), len(got))
		}
	}
}

func TestJSONIsMasked(t *testing.T) {
	t.Parallel()
	m := channel.Message{ID: "abc.1", To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"},
		Code: "482910",
		Text: "482910 is your code", Body: "482910", Subject: "482910", HTML: "<b>482910</b>"}
	b, err := json.Marshal([]any{m, &m, m.To})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"482910", "7912345", "ann@"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%s shows %q", b, secret)
		}
	}
	if !strings.Contains(string(b), "+44******5678") {
		t.Errorf("%s does not show the masked number", b)
	}
}
