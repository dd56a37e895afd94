package smtp_test

import (
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func TestConversation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		s, err := sendTo(t.Context(), t, f, c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(channel.Submission{ProviderIDs: []string{"4XyZ12"}, State: channel.Sent}, s); diff != "" {
			t.Errorf("submission (-want +got):\n%s", diff)
		}
		want := []string{"EHLO", "STARTTLS", "EHLO+", "AUTH+", "MAIL+", "RCPT+", "DATA+", ".+", "QUIT+"}
		if diff := cmp.Diff(want, f.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
	})
}

// No password and no mail goes out in the clear, whatever the relay offers.
func TestNothingInTheClear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		script map[string]string
	}{
		{"STARTTLS not offered", map[string]string{"EHLO": "250-fake\r\n250 AUTH PLAIN LOGIN\r\n"}},
		{"nothing offered", map[string]string{"EHLO": "250 fake\r\n"}},
		{"STARTTLS refused", map[string]string{"STARTTLS": "502 5.5.1 no\r\n"}},
		{"replies injected after STARTTLS", map[string]string{"STARTTLS": "220 go\r\n250-fake\r\n250 AUTH PLAIN\r\n"}},
		{"replies injected before the handshake", map[string]string{"handshake": "250 AUTH PLAIN\r\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(tt.script)
				_, err := sendTo(t.Context(), t, f, c)
				if err == nil || err.Class != channel.Misconfigured {
					t.Errorf("error %v, want class Misconfigured", err)
				}
				if seen := f.commands(); slices.Contains(seen, "AUTH") || slices.Contains(seen, "MAIL") ||
					slices.Contains(seen, "EHLO+") {
					t.Errorf("commands %v", seen)
				}
			})
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tls.Config){
		"unknown authority": func(c *tls.Config) { c.RootCAs = nil },
		"other name":        func(c *tls.Config) { c.ServerName = "mail.example.net" },
	} {
		for mode, implicit := range map[string]bool{"STARTTLS": false, "implicit": true} {
			t.Run(name+" "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					if f.implicit = implicit; implicit {
						c.TLS = smtp.ImplicitTLS
					}
					change(c.TLSConfig)
					_, err := sendTo(t.Context(), t, f, c)
					if err == nil || err.Class != channel.Misconfigured ||
						!strings.Contains(err.Error(), "certificate") {
						t.Errorf("error %v, want class Misconfigured and a word about the certificate", err)
					}
					if slices.Contains(f.commands(), "AUTH+") {
						t.Error("the password was sent")
					}
				})
			})
		}
	}
}

// A relay that asks for a client certificate gets the one configured, and says
// so late where there is none.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	f, c := newFake(nil)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{f.certificate}, ClientAuth: tls.RequireAnyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f.serve.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.serve.Go(func() {
				defer conn.Close()
				secured := conn.(*tls.Conn)
				if secured.Handshake() == nil {
					_, _ = io.WriteString(conn, "554 known\r\n")
				}
				_, _ = io.Copy(io.Discard, secured.NetConn()) // a close with octets unread would overtake the alert
			})
		}
	})
	c.Dial, c.TLS = nil, smtp.ImplicitTLS
	c.Addr, c.TLSConfig.ServerName = listener.Addr().String(), "example.com"
	for _, certificates := range [][]tls.Certificate{nil, {f.certificate}} {
		c.TLSConfig.Certificates = certificates
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		want := channel.Misconfigured
		if certificates != nil {
			want = channel.Temporary // the greeting
		}
		if _, err := ch.Send(t.Context(), message("cert.1")); channel.ClassOf(err) != want {
			t.Errorf("%d certificates: %v, want class %v", len(certificates), err, want)
		}
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
	}
	_ = listener.Close()
	f.stop()
}

// The usual mistake is named in the error.
func TestModesMixedUp(t *testing.T) {
	t.Parallel()
	_, ch := start(t, smtptest.Config{}, func(c *smtp.Config) { c.TLS = smtp.ImplicitTLS })
	_, err := ch.Send(t.Context(), message("mix.1"))
	if channel.ClassOf(err) != channel.Misconfigured || !strings.Contains(err.Error(), "port 587") {
		t.Errorf("implicit TLS at a STARTTLS port: %v", err)
	}

	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		f.implicit = true
		_, err := sendTo(t.Context(), t, f, c)
		if err == nil || err.Class != channel.Temporary || !strings.Contains(err.Error(), "port 465") {
			t.Errorf("STARTTLS at an implicit TLS port: %v", err)
		}
	})
}
