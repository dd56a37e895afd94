package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, os.Getenv, nil, &out); err != nil {
		t.Fatal(err, out.String())
	}
	for _, want := range []string{
		"phone: receipt delivered", "phone: receipt failed RESULT_ERROR_NO_SERVICE", "phone: temporary",
		"email: accepted", ": verified",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

// caFile writes the server's certificate, for -ca.
func caFile(t *testing.T, srv *gatewaytest.Server) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	name := filepath.Join(t.TempDir(), "ca.pem")
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: answer.TLS.PeerCertificates[0].Raw})
	if err := os.WriteFile(name, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// person reads the code from the phone and types it, after a wrong one.
type person struct {
	ctx   context.Context
	phone *gatewaytest.Phone
	once  sync.Once
	typed io.Reader
}

func (p *person) Read(b []byte) (int, error) {
	p.once.Do(func() {
		p.typed = strings.NewReader("")
		if texts, err := p.phone.Wait(p.ctx, 1); err == nil {
			right := regexp.MustCompile(`\d{6}`).FindString(texts[0].Body)
			wrong := "000000"
			if right == wrong {
				wrong = "111111"
			}
			p.typed = strings.NewReader(wrong + "\n " + right + " \n")
		}
	})
	return p.typed.Read(b)
}

func TestRealAccount(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string][]string{
		"polling": nil,
		"webhooks": {
			"-webhook", "https://otp.example.com/sms", "-listen", "127.0.0.1:0", "-jwt",
			"-device", "pixel", "-sim", "2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "K2V6TX", Password: "secret", JWT: true})
			t.Cleanup(srv.Close)
			phone := srv.AddPhone(gatewaytest.PhoneConfig{
				ID: "pixel", Passphrase: "sesame", Plan: gatewaytest.Plan{NoWebhooks: true},
			})
			env := func(name string) string {
				return map[string]string{
					"SMSGATE_URL": srv.URL, "SMSGATE_USERNAME": "K2V6TX", "SMSGATE_PASSWORD": "secret",
					"SMSGATE_SIGNING_KEY": "key", "SMSGATE_PASSPHRASE": "sesame",
				}[name]
			}
			var out bytes.Buffer
			args := append([]string{"-to", "+14155552671", "-ca", caFile(t, srv)}, extra...)
			if err := run(t.Context(), args, env, &person{ctx: t.Context(), phone: phone}, &out); err != nil {
				t.Fatal(err, out.String())
			}
			for _, want := range []string{"phone: accepted", "wrong, 4 attempts left", "verified"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, &out)
				}
			}
			m := srv.Messages()[0]
			if !m.Encrypted || strings.Contains(m.Text, "code") || extra != nil && m.SIM != 2 {
				t.Errorf("%+v", m)
			}
			if extra == nil {
				return
			}
			hooks := map[string]int{}
			for _, r := range srv.Requests() {
				if strings.HasPrefix(r.Path, "/webhooks") {
					hooks[r.Method]++
				}
			}
			if hooks[http.MethodPost] != 3 || hooks[http.MethodDelete] != 3 {
				t.Errorf("webhooks: %v, want three registered and three removed", hooks)
			}
		})
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	env := func(name string) string {
		return map[string]string{"SMSGATE_USERNAME": "u", "SMSGATE_PASSWORD": "hunter2"}[name]
	}
	for want, args := range map[string][]string{
		"-to is needed":       {"-sim", "1"},
		"is not a flag":       {"extra"},
		"SMSGATE_SIGNING_KEY": {"-to", "+14155552671", "-webhook", "https://otp.example.com/sms"},
		"no certificate":      {"-to", "+14155552671", "-ca", os.DevNull},
		"URL":                 {"-to", "+14155552671", "-url", "http://192.168.1.20:8080"},
		"SIM":                 {"-to", "+14155552671", "-sim", "4"},
	} {
		err := run(t.Context(), args, env, nil, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
