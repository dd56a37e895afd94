package main

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

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
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// submitTo opens the channel of the arguments behind a connector, and submits a
// message to it.
func submitTo(t *testing.T, env map[string]string, args ...string) *esme {
	t.Helper()
	o, err := parse(append(args, "-accounts", "none", "-dangerously-plaintext"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := newTestConnector(t)
	closeChannel, err := c.openChannel(o.channel, o, func(name string) string { return env[name] }, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeChannel() })
	e := connect(t, c)
	if status, err := e.bind(bindTransceiver, "aggregator", demoPassword); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	if status, _, err := e.submit(submit{to: "4915123456781", text: anyText}); status != smpp.StatusOK || err != nil {
		t.Fatal(status, err)
	}
	return e
}

const germanText = "482910 ist Ihr Code für MyBank. Er ist 5 Minuten gültig. Bitte nicht weitergeben."

// TestPhone: a code goes out by an Android phone, and its receipt comes back.
func TestPhone(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "u", Password: "p"})
	t.Cleanup(srv.Close)
	phone := srv.AddPhone(gatewaytest.PhoneConfig{Plan: gatewaytest.Plan{NoWebhooks: true}})
	transport := srv.Client().Transport.(*http.Transport)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	ca := caFile(t, u.Host, transport.TLSClientConfig)
	e := submitTo(t, map[string]string{"SMSGATE_URL": srv.URL, "SMSGATE_USERNAME": "u", "SMSGATE_PASSWORD": "p"},
		"-channel", "phone", "-ca", ca)
	texts, err := phone.Wait(t.Context(), 1)
	if err != nil || texts[0].Body != germanText {
		t.Errorf("the phone sends %+v, %v", texts, err)
	}
	if err := e.awaitReceipts(1); err != nil || !strings.Contains(e.receipts[0], " stat:DELIVRD ") {
		t.Errorf("receipts %q, %v", e.receipts, err)
	}
}

// TestEmail: a code goes to the address that is made of the number.
func TestEmail(t *testing.T) {
	t.Parallel()
	m := smtptest.NewServer(smtptest.Config{TLS: smtptest.ImplicitTLS, Username: "codes", Password: "word"})
	t.Cleanup(m.Close)
	submitTo(t, map[string]string{"SMTP_PASSWORD": "word"}, "-channel", "email",
		"-smtp", "smtps://codes@"+m.Addr()+"?from=codes@mybank.example", "-mail-to", "{number}@phones.example",
		"-ca", caFile(t, m.Addr(), m.ClientTLS()))
	mails, err := m.Wait(t.Context(), 1)
	if err != nil || mails[0].To[0] != "4915123456781@phones.example" || !strings.Contains(mails[0].Text, "482910") {
		t.Errorf("%+v, %v", mails, err)
	}
}

// TestProvider: a code goes out by a provider's HTTP API.
func TestProvider(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b := make([]byte, 1000)
		n, _ := r.Body.Read(b)
		got <- string(b[:n])
	}))
	t.Cleanup(srv.Close)
	values := filepath.Join(t.TempDir(), "values.json")
	if err := os.WriteFile(values, []byte(`{"url":"`+srv.URL+`","key":"k"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := caFile(t, srv.Listener.Addr().String(), srv.Client().Transport.(*http.Transport).TLSClientConfig)
	submitTo(t, nil, "-channel", "provider", "-provider", "traccar", "-values", values, "-ca", ca)
	if body := <-got; !strings.Contains(body, germanText) || !strings.Contains(body, "+4915123456781") {
		t.Errorf("the provider is asked %s", body)
	}
}
