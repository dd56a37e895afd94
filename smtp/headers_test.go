package smtp

import (
	"bytes"
	"errors"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/wording"
)

// What the templates say in every language arrives, letter for letter.
func TestEveryLanguage(t *testing.T) {
	t.Parallel()
	for _, brand := range []string{"MyBank", "Банк «Мой»", "マイバンク", strings.Repeat("Lange Bank ", 2) + "& Söhne"} {
		words, err := wording.New(wording.Config{Brand: brand})
		if err != nil {
			t.Fatal(err)
		}
		s := newSettings(t, "codes@mybank.example")
		s.CodeInSubject = true
		for _, language := range wording.Languages() {
			text, err := words.Render(wording.Data{
				Language: language, Code: "582037", Minutes: 5, Try: 2,
				Requested: time.Unix(1<<30, 0), Details: "EUR 1 999,00 → Zoë & Ann",
			})
			if err != nil {
				t.Fatal(err)
			}
			m := sample()
			m.Subject, m.Body, m.HTML, m.Language, m.Sender = text.Subject, text.Body, text.HTML, language, brand
			got, err := s.compose(m, "ann@example.com", noon)
			if err != nil {
				t.Fatalf("%s: %v", language, err)
			}
			checkForm(t, got.data)
			want := readMail{
				FromName: brand, From: "codes@mybank.example", To: "<ann@example.com>",
				Subject: "582037 - " + text.Subject,
				ID:      "<c4n7.1@mybank.example>", Language: language,
				Kinds:  []string{"text/plain", "text/html"},
				Bodies: []string{canonical(text.Body), canonical(text.HTML)},
			}
			if diff := cmp.Diff(want, read(t, got.data)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", language, diff)
			}
		}
	}
}

// The headers are these and no others: a code is neither bulk mail nor
// something to unsubscribe from.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSettings(t, "codes@mybank.example")
	s.FeedbackID = "login:eu::mybank"
	got, err := s.compose(sample(), "ann@example.com", noon)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(got.data))
	if err != nil {
		t.Fatal(err)
	}
	want := mail.Header{
		"Date":                     {"Sun, 01 Mar 2026 12:00:00 +0100"},
		"From":                     {`"Sender" <codes@mybank.example>`},
		"To":                       {"<ann@example.com>"},
		"Message-Id":               {"<c4n7.1@mybank.example>"},
		"Subject":                  {"Your MyBank code"},
		"Mime-Version":             {"1.0"},
		"Auto-Submitted":           {"auto-generated"},
		"X-Auto-Response-Suppress": {"All"},
		"Feedback-Id":              {"login:eu::mybank"},
		"Content-Language":         {"en-GB"},
		"Content-Type":             {`multipart/alternative; boundary="=_otpcourier"`},
	}
	if diff := cmp.Diff(want, parsed.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestCodeInSubject(t *testing.T) {
	t.Parallel()
	s := newSettings(t, "codes@mybank.example")
	for _, tt := range []struct {
		wanted              bool
		code, subject, want string
	}{
		{false, "582037", "Your code", "Your code"},
		{true, "582037", "Your code", "582037 - Your code"},
		{true, "582037", "582037 is your code", "582037 is your code"},
		{true, "", "Your code", "Your code"},
		{true, "4821", "", "4821"},
		{true, "4821", "Order 10482177", "4821 - Order 10482177"},
		{true, "4821", "Your code: 4821.", "Your code: 4821."},
		{true, "4821", "验证码4821是", "验证码4821是"},
		{true, "4821", "A4821", "4821 - A4821"},
		{true, "582037", "رمزك", "582037 - رمزك"},
		{false, "58\r\n", "Your code", "Your code"},
	} {
		m := sample()
		m.Code, m.Subject, s.CodeInSubject = tt.code, tt.subject, tt.wanted
		got, err := s.compose(m, "ann@example.com", noon)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
		} else if subject := read(t, got.data).Subject; subject != tt.want {
			t.Errorf("%+v: %q", tt, subject)
		}
	}
	m := sample()
	m.Code, s.CodeInSubject = "58\r\nBcc: x@example.com", true
	if _, err := s.compose(m, "ann@example.com", noon); !errors.Is(err, errSubject) {
		t.Errorf("a code of two lines: %v", err)
	}
}

func TestHeaderConfig(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	config := Config{Addr: "smtp.example.com:587", From: "codes@mybank.example", VERP: v}
	for _, id := range []string{"a:b:c:d:mybank", "mybank:bank", "login:mybank\r\nBcc: x@example.com",
		strings.Repeat("a", 60) + ":mybank", "mybank-the-great", "a b:mybank", ":"} {
		config.FeedbackID = id
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), "Config.FeedbackID") {
			t.Errorf("%q: %v", id, err)
		}
	}
	config.FeedbackID, config.EnvelopeFrom = "mybank", "bounce@mybank.example"
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "Config.VERP") {
		t.Errorf("two return paths: %v", err)
	}
	config.EnvelopeFrom = ""
	for _, zero := range []Config{{VERP: new(VERP)}, {DKIM: new(DKIM)}} {
		zero.Addr, zero.From = config.Addr, config.From
		if _, err := New(zero); err == nil || !strings.Contains(err.Error(), "was not made") {
			t.Errorf("a zero value: %v", err)
		}
	}
	ch, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ch.Close()
}

// A header that is forged needs a line end, and none comes through, whatever
// is in the message; what is known to be bad is refused.
func FuzzHeaders(f *testing.F) {
	f.Add("c4n7.1", "en", "582037", "Your code", "MyBank")
	f.Add("a..b", "zh-Hant-TW", "", "=?utf-8?q?x?=", "\"Bank\" \\ <x@y>")
	f.Add("x>\r\nBcc: y@example.com", "en\r\nX: y", "1\r\n2", "\u2028\u2029\u0085", "\r\n")
	f.Add(strings.Repeat("a", 36), strings.Repeat("e", 35), strings.Repeat("é", 400), "\u202e", " ")
	s := newSettings(f, "codes@mybank.example")
	s.CodeInSubject, s.FeedbackID, s.VERP = true, "mybank", newVERP(f, returnPath, keyA)
	f.Fuzz(func(t *testing.T, id, language, code, subject, sender string) {
		m := sample()
		m.ID, m.Language, m.Code, m.Subject, m.Sender = id, language, code, subject, sender
		got, err := s.compose(m, "ann@example.com", noon)
		if err != nil {
			if channel.ClassOf(composeError(err)) != channel.Misconfigured {
				t.Errorf("error %v", err)
			}
			return
		}
		checkForm(t, got.data)
		header, _, _ := strings.Cut(string(got.data), "\r\n\r\n")
		names := ""
		for line := range strings.SplitSeq(header, "\r\n") {
			if name, _, found := strings.Cut(line, ": "); found && line[0] != ' ' {
				names += name + " "
			}
		}
		want := "Date From To Message-ID Subject MIME-Version Auto-Submitted X-Auto-Response-Suppress Feedback-ID "
		if isLanguageTag(language) {
			want += "Content-Language "
		}
		if want += "Content-Type "; names != want {
			t.Errorf("headers %q, want %q:\n%s", names, want, header)
		}
		if subject := read(t, got.data).Subject; subject != s.subject(m) {
			t.Errorf("subject %q, want %q", subject, s.subject(m))
		}
		if back, err := s.VERP.messageID(s.envelopeFrom(m)); err != nil || back != id {
			t.Errorf("return path %q is of %q, %v", s.envelopeFrom(m), back, err)
		}
	})
}
