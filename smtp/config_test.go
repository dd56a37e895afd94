package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
)

func token(context.Context) (string, error) { return "t", nil }

func TestNewNamesTheField(t *testing.T) {
	t.Parallel()
	for field, changes := range map[string][]func(*Config){
		"Config.Addr": {
			func(c *Config) { c.Addr = "" },
			func(c *Config) { c.Addr = "smtp.example.com" },
			func(c *Config) { c.Addr = ":587" },
			func(c *Config) { c.Addr = "smtp.example.com:" },
		},
		"Config.TLS":                   {func(c *Config) { c.TLS = 9 }},
		"Config.TLSConfig: MaxVersion": {func(c *Config) { c.TLSConfig = &tls.Config{MaxVersion: tls.VersionTLS11} }},
		"Config.DangerouslyPlaintext":  {func(c *Config) { c.DangerouslyPlaintext, c.TLS = true, StartTLS }},
		"Config.MaxMessages":           {func(c *Config) { c.MaxMessages = -1 }},
		"Config.Breaker.Failures":      {func(c *Config) { c.Breaker.Failures = -1 }},
		"Config.Breaker.Open":          {func(c *Config) { c.Breaker.Open = -1 }},
		"Config.ReplyTo":               {func(c *Config) { c.ReplyTo = "x" }},
		"Config.Headers":               {func(c *Config) { c.Headers = map[string]string{"To": "x"} }},
		"Config.Fallbacks[0].DKIM: was": {func(c *Config) {
			c.Fallbacks = []Relay{{Addr: "b.example.com:587", DKIM: new(DKIM)}}
		}},
		"Config.Username": {
			func(c *Config) { c.Username = "u" },
			func(c *Config) { c.Password = "secret" },
			func(c *Config) { c.Token = token },
			func(c *Config) { c.Username, c.Password = "u\x01", "secret" },
			func(c *Config) { c.Username, c.Password, c.DangerouslyPlaintext = "u", "secret", true },
		},
		"Config.Password": {
			func(c *Config) { c.Username, c.Password, c.Token = "u", "secret", token },
			func(c *Config) { c.Username, c.Password = "u", "secret\x00" },
		},
		"Config.Mechanism": {
			func(c *Config) { c.Mechanism = "PLAIN" },
			func(c *Config) { c.Username, c.Password, c.Mechanism = "u", "secret", "CRAM-MD5" },
			func(c *Config) { c.Username, c.Password, c.Mechanism = "u", "secret", "XOAUTH2" },
			func(c *Config) { c.Username, c.Token, c.Mechanism = "u", token, "PLAIN" },
		},
		"Config.Rate": {
			func(c *Config) { c.Rate.PerSecond = -1 },
			func(c *Config) { c.Rate.PerSecond = math.NaN() },
			func(c *Config) { c.Rate.Burst = -1 },
			func(c *Config) { c.Rate = Rate{PerSecond: 1, WarmFrom: 2, WarmSince: time.Unix(0, 0)} },
			func(c *Config) { c.Rate = Rate{PerSecond: 1, WarmFrom: 1} },
		},
		"Config.Fallbacks[1].Addr":     {func(c *Config) { c.Fallbacks = []Relay{{Addr: "a:25"}, {Addr: "a"}} }},
		"Config.Fallbacks[0].Username": {func(c *Config) { c.Fallbacks = []Relay{{Addr: "a:25", Password: "secret"}} }},
		"Config.DSN":                   {func(c *Config) { c.DSN = 9 }},
		"Config.From": {
			func(c *Config) { c.From = "" },
			func(c *Config) { c.From = "MyBank" },
			func(c *Config) { c.From = "MyBank <codes@[192.0.2.1]>" },
			func(c *Config) { c.From = "MyBank <\"a b\"@mybank.example>" },
			func(c *Config) { c.From = "MyBank <códes@mybank.example>" },
			func(c *Config) { c.From = "a@mybank.example, b@mybank.example" },
			func(c *Config) { c.From = "MyBank\r\nBcc: x@y.example <codes@mybank.example>" },
			func(c *Config) { c.From = "=?utf-8?q?My=0ABank?= <codes@mybank.example>" },
		},
		"Config.EnvelopeFrom": {
			func(c *Config) { c.EnvelopeFrom = "bounces" },
			func(c *Config) { c.EnvelopeFrom = "x@y> NOTIFY=NEVER ORCPT=<q" },
		},
		"Config.HelloName": {
			func(c *Config) { c.HelloName = "a b" },
			func(c *Config) { c.HelloName = "a\r\nMAIL" },
			func(c *Config) { c.HelloName = "é" },
		},
		"Config.Timeout":     {func(c *Config) { c.Timeout = -1 }},
		"Config.IdleTimeout": {func(c *Config) { c.IdleTimeout = -1 }},
		"Config.MaxConns":    {func(c *Config) { c.MaxConns = -1 }},
	} {
		for i, change := range changes {
			c := Config{Addr: "smtp.example.com:587", From: "MyBank <codes@mybank.example>"}
			change(&c)
			_, err := New(c)
			if err == nil || !strings.HasPrefix(err.Error(), "smtp: "+field) ||
				strings.Contains(err.Error(), "secret") {
				t.Errorf("%s, case %d: error %v", field, i, err)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	given := &tls.Config{MinVersion: tls.VersionTLS10}
	s, err := Config{Addr: "smtp.example.com:587", From: "Müller <codes@münchen.example>", TLSConfig: given}.validate()
	if err != nil {
		t.Fatal(err)
	}
	if r := s.relays[0]; r.TLS != StartTLS || r.TLSConfig.MinVersion != tls.VersionTLS12 ||
		r.TLSConfig.ServerName != "smtp.example.com" || r.MaxConns != 8 {
		t.Errorf("TLS: mode %v, from version %#x, name %q, %d connections", r.TLS, r.TLSConfig.MinVersion,
			r.TLSConfig.ServerName, r.MaxConns)
	}
	if given.MinVersion != tls.VersionTLS10 || given.ServerName != "" {
		t.Error("the caller's tls.Config was changed")
	}
	if s.from != (mailbox{"Müller", "codes@xn--mnchen-3ya.example"}) || s.envelope != s.from.address ||
		s.HelloName != "xn--mnchen-3ya.example" {
		t.Errorf("sender %v, envelope %s, EHLO %s", s.from, s.envelope, s.HelloName)
	}
	if s.Timeout != 30*time.Second || s.IdleTimeout != 15*time.Second {
		t.Errorf("Timeout %v, IdleTimeout %v", s.Timeout, s.IdleTimeout)
	}
	for addr, want := range map[string]TLSMode{"h:465": ImplicitTLS, "h:25": StartTLS, "h:2465": StartTLS} {
		if s, err := (Config{Addr: addr, From: "a@b.example"}).validate(); err != nil || s.relays[0].TLS != want {
			t.Errorf("%s: mode %v, error %v", addr, s.relays, err)
		}
	}
}

// Whatever holds a password, and however it is printed or logged: it names the
// relay alone.
func TestPasswordIsNotPrinted(t *testing.T) {
	t.Parallel()
	r := Relay{Addr: "smtp.example.com:587", Username: "codes", Password: "correct horse"}
	c := Config{Addr: r.Addr, Username: r.Username, Password: r.Password, From: "codes@mybank.example",
		Fallbacks: []Relay{r}}
	ch, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	for _, holder := range []any{c, r, ch} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("made", "holder", holder)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "holder", holder)
		for _, shown := range []string{fmt.Sprint(holder), fmt.Sprintf("%+v", holder), fmt.Sprintf("%#v", holder),
			log.String()} {
			if strings.Contains(shown, "horse") || !strings.Contains(shown, r.Addr) {
				t.Errorf("%T: %s", holder, shown)
			}
		}
	}
}
