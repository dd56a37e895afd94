package smtp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func withToken(t string) func(*smtp.Config) {
	return func(c *smtp.Config) {
		c.Password = ""
		c.Token = func(context.Context) (string, error) { return t, nil }
	}
}

func asIs(*smtp.Config) {}

// The strongest mechanism that both sides have is used, or the one chosen.
func TestMechanisms(t *testing.T) {
	t.Parallel()
	all := []string{"XOAUTH2", "LOGIN", "OAUTHBEARER", "PLAIN", "SCRAM-SHA-256"}
	for name, tt := range map[string]struct {
		offered []string
		change  func(*smtp.Config)
		want    string // the mechanism; empty: Misconfigured
	}{
		"the strongest":             {all, asIs, "SCRAM-SHA-256"},
		"PLAIN before LOGIN":        {[]string{"LOGIN", "PLAIN"}, asIs, "PLAIN"},
		"LOGIN":                     {[]string{"LOGIN"}, asIs, "LOGIN"},
		"chosen":                    {all, func(c *smtp.Config) { c.Mechanism = "LOGIN" }, "LOGIN"},
		"chosen, not offered":       {[]string{"PLAIN"}, func(c *smtp.Config) { c.Mechanism = "SCRAM-SHA-256" }, ""},
		"a password, tokens wanted": {[]string{"XOAUTH2", "OAUTHBEARER"}, asIs, ""},
		"token":                     {all, withToken(password), "OAUTHBEARER"},
		"token, XOAUTH2 only":       {[]string{"XOAUTH2", "PLAIN"}, withToken(password), "XOAUTH2"},
		"token, XOAUTH2 chosen": {all, func(c *smtp.Config) {
			withToken(password)(c)
			c.Mechanism = "XOAUTH2"
		}, "XOAUTH2"},
		"a token, passwords wanted":  {[]string{"PLAIN"}, withToken(password), ""},
		"wrong token":                {[]string{"OAUTHBEARER"}, withToken("expired"), ""},
		"wrong token, XOAUTH2":       {[]string{"XOAUTH2"}, withToken("expired"), ""},
		"wrong password":             {[]string{"PLAIN"}, func(c *smtp.Config) { c.Password = "guess" }, ""},
		"wrong password, LOGIN":      {[]string{"LOGIN"}, func(c *smtp.Config) { c.Password = "guess" }, ""},
		"wrong password, SCRAM":      {[]string{"SCRAM-SHA-256"}, func(c *smtp.Config) { c.Password = "guess" }, ""},
		"wrong name, SCRAM":          {[]string{"SCRAM-SHA-256"}, func(c *smtp.Config) { c.Username = "guess" }, ""},
		"impossible password, SCRAM": {[]string{"SCRAM-SHA-256"}, func(c *smtp.Config) { c.Password = "\u202e" }, ""},
		"impossible token":           {all, withToken("two words\r\n"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const token = "correct-horse" // as a token has no spaces
			srv, ch := start(t, smtptest.Config{Username: username, Password: token, Mechanisms: tt.offered},
				func(c *smtp.Config) {
					tt.change(c)
					if c.Token != nil {
						if given, _ := c.Token(t.Context()); given == password {
							withToken(token)(c)
						}
					}
				})
			_, err := ch.Send(t.Context(), message("auth.1"))
			if tt.want == "" {
				if channel.ClassOf(err) != channel.Misconfigured || strings.Contains(err.Error(), token) {
					t.Errorf("error %v, want class Misconfigured", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if used := srv.Mails()[0].Mechanism; used != tt.want {
				t.Errorf("logged in by %s, want %s", used, tt.want)
			}
		})
	}
}

// A token source may fail for a moment, and is bounded by the context.
func TestTokenSourceFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("identity provider is down")
		for _, tt := range []struct {
			source func(context.Context) (string, error)
			want   error
		}{
			{func(context.Context) (string, error) { return "", errDown }, errDown},
			{func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() },
				context.DeadlineExceeded},
		} {
			f, c := newFake(map[string]string{"EHLO+": "250-fake\r\n250 AUTH OAUTHBEARER\r\n"})
			c.Password, c.Token, c.Timeout = "", tt.source, time.Second
			begun := time.Now()
			_, err := sendTo(t.Context(), t, f, c)
			if err == nil || err.Class != channel.Temporary || !errors.Is(err, tt.want) {
				t.Errorf("error %v, want class Temporary and %v", err, tt.want)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("took %v", took)
			}
		}
	})
}

// A server that cannot prove that it knows the password, or that wants a
// processor for itself, is left.
func TestSCRAMServerIsChecked(t *testing.T) {
	t.Parallel()
	for name, challenge := range map[string]string{
		"another nonce":       "r=abc,s=c2FsdA==,i=4096",
		"too many iterations": "r=abc,s=c2FsdA==,i=1000000000",
		"no iterations":       "r=abc,s=c2FsdA==,i=x",
		"an error":            "e=ann.recipient@example.com",
		"nothing":             "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{
					"EHLO+": "250-fake\r\n250 AUTH SCRAM-SHA-256\r\n",
					"AUTH":  "334 " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n",
				})
				if _, err := sendTo(t.Context(), t, f, c); err == nil || err.Class != channel.Misconfigured {
					t.Errorf("error %v, want class Misconfigured", err)
				}
			})
		})
	}
	t.Run("success without proof", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(map[string]string{"EHLO+": "250-fake\r\n250 AUTH SCRAM-SHA-256\r\n"})
			_, err := sendTo(t.Context(), t, f, c)
			if err == nil || err.Class != channel.Misconfigured || !strings.Contains(err.Error(), "does not prove") {
				t.Errorf("error %v, want class Misconfigured", err)
			}
		})
	})
}
