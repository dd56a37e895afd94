package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/smpp/smpptest"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, os.Getenv, nil, &out); err != nil {
		t.Fatal(err, out.String())
	}
	for _, want := range []string{"otp-blue: unreachable 0x45", "carrier: receipt delivered", "email: accepted",
		"wrong, 4 attempts left", ": verified", "refused, closed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

// caFile writes the certificate of a TLS server, for -ca.
func caFile(t *testing.T, addr string, config *tls.Config) string {
	t.Helper()
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var bundle []byte
	for _, c := range conn.(*tls.Conn).ConnectionState().PeerCertificates {
		bundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// person reads a code from where next gets it, and types it.
type person struct {
	ctx  context.Context
	next func(context.Context) string
	left *strings.Reader
}

func (p *person) Read(b []byte) (int, error) {
	if p.left == nil {
		right := regexp.MustCompile(`\d{6}`).FindString(p.next(p.ctx))
		wrong := "000000"
		if right == wrong {
			wrong = "111111"
		}
		p.left = strings.NewReader(wrong + "\n" + right[:3] + " " + right[3:] + "\n")
	}
	return p.left.Read(b)
}

func TestRealServices(t *testing.T) {
	t.Parallel()
	smsc := smpptest.NewTLSServer(smpptest.Config{SystemID: "user", Password: "p@ss"})
	t.Cleanup(smsc.Close)
	mailbox := smtptest.NewServer(smtptest.Config{TLS: smtptest.ImplicitTLS, Username: "user", Password: "word"})
	t.Cleanup(mailbox.Close)
	texts := make(chan string, 1)
	twilio := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "AC1" || password != "token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		texts <- r.FormValue("Body")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM1","status":"queued"}`)
	}))
	t.Cleanup(twilio.Close)
	env := func(name string) string {
		return map[string]string{
			"SMTP_PASSWORD": "word", "TWILIO_ACCOUNT": "AC1", "TWILIO_PASSWORD": "token", "TWILIO_FROM": "+18005550199",
			"TWILIO_URL": twilio.URL,
		}[name]
	}
	read := func(ctx context.Context) string {
		messages, err := smsc.Wait(ctx, 1)
		if err != nil {
			t.Error(err)
		}
		return messages[0].Text
	}
	for name, c := range map[string]struct {
		args []string
		next func(context.Context) string
		want string
	}{
		"sms": {[]string{"-to", "+14155552671", "-smpp", "smpps://user:p%40ss@" + smsc.Addr + "?sender=MyBank", "-ca",
			caFile(t, smsc.Addr, smsc.ClientTLS())},
			read, "smsc-1: accepted"},
		"provider": {[]string{"-to", "+14155552671", "-provider", "twilio", "-ca",
			caFile(t, twilio.Listener.Addr().String(), twilio.Client().Transport.(*http.Transport).TLSClientConfig)},
			func(context.Context) string { return <-texts }, "twilio: accepted"},
		"mail": {[]string{"-email", "a@b.example", "-smtp",
			"smtps://user@" + mailbox.Addr() + "?from=codes@mybank.example", "-ca",
			caFile(t, mailbox.Addr(), mailbox.ClientTLS())},
			func(ctx context.Context) string {
				mails, err := mailbox.Wait(ctx, 1)
				if err != nil {
					t.Error(err)
				}
				return mails[0].Text
			}, "email: accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := run(t.Context(), c.args, env, &person{ctx: t.Context(), next: c.next}, &out); err != nil {
				t.Fatal(err, out.String())
			}
			for _, want := range []string{c.want, "wrong, 4 attempts left", "verified"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, &out)
				}
			}
		})
	}
}

// The keys that the program prints are those that OTP_KEYS takes, and no others.
func TestKeys(t *testing.T) {
	t.Parallel()
	var keys bytes.Buffer
	if err := run(t.Context(), []string{"keys"}, nil, nil, &keys); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{keys.String(): true, "k1=hunter2": false} {
		err := run(t.Context(), nil, func(string) string { return text }, nil, io.Discard)
		if (err == nil) != want || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("keys accepted: %v, error %v", want, err)
		}
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-smpp, -provider or -smtp is needed": {"-to", "+14155552671"},

		"is not one of":                  {"-to", "+14155552671", "-provider", "twillio"},
		`Values["account"]: is required`: {"-to", "+14155552671", "-provider", "twilio"},
		"-to or -email is needed":        {"-smpp", "smpps://h:1"},
		"schemes":                        {"-to", "+14155552671", "-smpp", "https://user:hunter2@h:1"},
		"not a URL":                      {"-to", "+14155552671", "-smpp", "smpps://user:hunter2@h:x y"},
		"is not a flag":                  {"extra"},
		"no certificate":                 {"-to", "+14155552671", "-smpp", "smpps://h:1", "-ca", os.DevNull},
		"From":                           {"-email", "a@b.example", "-smtp", "smtp://h:587"},
	} {
		err := run(t.Context(), args, func(string) string { return "" }, nil, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
