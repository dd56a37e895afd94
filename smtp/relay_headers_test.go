package smtp_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/maildns"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func twoKeys(t *testing.T) (first, second smtp.DKIMKey) {
	t.Helper()
	_, one, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, two, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return smtp.DKIMKey{Selector: "s1", Private: one}, smtp.DKIMKey{Selector: "s2", Private: two}
}

func signer(t *testing.T, keys ...smtp.DKIMKey) *smtp.DKIM {
	t.Helper()
	d, err := smtp.NewDKIM("mybank.example", keys...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mailOf sends a message through a relay and returns the mail that came.
func mailOf(t *testing.T, change func(*smtp.Config)) string {
	t.Helper()
	srv, ch := start(t, smtptest.Config{TLS: smtptest.Plaintext}, change)
	if _, err := ch.Send(t.Context(), message("a.1")); err != nil {
		t.Fatal(err)
	}
	return string(srv.Mails()[0].Raw)
}

// A relay may replace Message-ID and Date, as Amazon SES does: the signature
// holds, unless SignMessageID says that no relay does.
func TestSignatureLeavesOutReplacedHeaders(t *testing.T) {
	t.Parallel()
	key, _ := twoKeys(t)
	d := signer(t, key)
	records, err := maildns.Setup{From: "mybank.example", Senders: []string{"mx"}, DKIM: d}.Records()
	if err != nil {
		t.Fatal(err)
	}
	options := &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{records[1].Text}, nil }}
	for _, signs := range []bool{false, true} {
		mail := mailOf(t, func(c *smtp.Config) { c.DKIM, c.SignMessageID = d, signs })
		for name, tt := range map[string]struct {
			pattern, by string
			passes      bool
		}{
			"as sent":    {`x^`, "", true},
			"message-id": {`(?m)^Message-ID: .*$`, "Message-ID: <0102018f@email.amazonses.com>\r", !signs},
			"date":       {`(?m)^Date: .*$`, "Date: Mon, 30 Nov 2026 01:02:03 +0000\r", !signs},
			"both":       {`(?m)^(Date|Message-ID): .*$`, "$1: other\r", !signs},
			"a second":   {`(?m)^Message-ID: .*$`, "$0\nMessage-ID: <a@b.example>\r", !signs},
			"from":       {`(?m)^From: .*$`, "From: eve@example.com\r", false},
			"subject":    {`(?m)^Subject: .*$`, "Subject: Call us\r", false},
		} {
			changed := regexp.MustCompile(tt.pattern).ReplaceAllString(mail, tt.by)
			v, err := dkim.VerifyWithOptions(strings.NewReader(changed), options)
			if err != nil || len(v) != 1 || (v[0].Err == nil) != tt.passes {
				t.Errorf("%s, SignMessageID %v: %v %+v", name, signs, err, v)
			}
		}
	}
}

// selectorsOf lists the selectors of a mail's signatures.
func selectorsOf(mail smtptest.Mail) []string {
	var all []string
	for _, signature := range mail.Header["Dkim-Signature"] {
		_, rest, _ := strings.Cut(signature, "s=")
		selector, _, _ := strings.Cut(rest, ";")
		all = append(all, selector)
	}
	return all
}

// Each relay has its own signature: by one key or by all, by other keys, or none.
func TestEachRelaySigns(t *testing.T) {
	t.Parallel()
	one, two := twoKeys(t)
	both, other := signer(t, one, two), signer(t, two)
	for name, tt := range map[string]struct {
		all   bool // Config.AllDKIMKeys
		relay func(*smtp.Relay)
		want  []string // selectors of the second relay
	}{
		"as the Config":  {false, func(*smtp.Relay) {}, []string{"s1"}},
		"not as another": {true, func(*smtp.Relay) {}, []string{"s1"}},
		"with all keys":  {false, func(r *smtp.Relay) { r.AllDKIMKeys = true }, []string{"s1", "s2"}},
		"with another":   {true, func(r *smtp.Relay) { r.DKIM = other }, []string{"s2"}},
		"not at all":     {true, func(r *smtp.Relay) { r.NoDKIM = true }, nil},
	} {
		second := smtptest.NewServer(smtptest.Config{TLS: smtptest.Plaintext})
		t.Cleanup(second.Close)
		fallback := smtp.Relay{Addr: second.Addr(), DangerouslyPlaintext: true}
		tt.relay(&fallback)
		srv, ch := start(t, smtptest.Config{TLS: smtptest.Plaintext}, func(c *smtp.Config) {
			c.DKIM, c.AllDKIMKeys, c.Fallbacks = both, tt.all, []smtp.Relay{fallback}
		})
		for i, script := range []smtptest.Rule{{}, {Phase: smtptest.AtDot,
			Reply: smtptest.Reply{Code: 451, Enhanced: "4.3.0", Text: "disk"}}} {
			if i == 1 {
				srv.Script(script)
			}
			if _, err := ch.Send(t.Context(), message("a.1")); err != nil {
				t.Fatal(err)
			}
		}
		first := []string{"s1"}
		if tt.all {
			first = append(first, "s2")
		}
		if diff := cmp.Diff(first, selectorsOf(srv.Mails()[0])); diff != "" {
			t.Errorf("%s, the first relay (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tt.want, selectorsOf(second.Mails()[0])); diff != "" {
			t.Errorf("%s, the second relay (-want +got):\n%s", name, diff)
		}
	}
}

// Headers for the relay are in the mail, beside its own, and Reply-To is signed.
func TestRelayHeaders(t *testing.T) {
	t.Parallel()
	key, _ := twoKeys(t)
	mail := mailOf(t, func(c *smtp.Config) {
		c.DKIM, c.ReplyTo = signer(t, key), "Hilfe für alle <help@mybank.example>"
		c.Headers = map[string]string{"X-SES-CONFIGURATION-SET": "codes", "X-PM-Message-Stream": "outbound"}
	})
	header, _, _ := strings.Cut(mail, "\r\n\r\n")
	for _, want := range []string{
		"X-SES-CONFIGURATION-SET: codes\r\n", "X-PM-Message-Stream: outbound\r\n",
		"\r\nReply-To: =?utf-8?q?Hilfe_f=C3=BCr_alle?= <help@mybank.example>\r\n", ":Reply-To:Reply-To",
	} {
		if strings.Count(strings.ReplaceAll(header, "\r\n ", ""), want) != 1 {
			t.Errorf("no single %q in\n%s", want, header)
		}
	}
	if strings.Contains(header, ":X-SES") {
		t.Errorf("a header for the relay is signed:\n%s", header)
	}
}

func TestRelayHeadersInjectNothing(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"X-A": "b\r\nBcc: eve@example.com", "X-B": "b\nc", "X-C": "b\rc", "X-D": "", "X-E": "é", "X-F": " b",
		"X-G": strings.Repeat("a", 1000), "X-H": "a\x00", "X-I:": "b", "X J": "b", "X\r\nBcc": "b", "": "b", "Ünï": "b",
		"From": "a@b.example", "to": "a@b.example", "BCC": "a@b.example", "Subject": "b", "Date": "b",
		"message-id": "<a@b.example>", "Content-Type": "text/html", "Reply-To": "a@b.example", "Sender": "a@b.example",
		"Return-Path": "<>", "Received": "from a by b", "Resent-From": "a@b.example", "DKIM-Signature": "v=1",
		"MIME-Version": "1.0", "Auto-Submitted": "no", "Feedback-ID": "a", "Cc": "a@b.example",
		"Content-Disposition": "attachment", "X-Auto-Response-Suppress": "None", "X-K": "=?utf-8?q?a?=",
	} {
		c := smtp.Config{Addr: "a.example:587", From: "codes@mybank.example", Headers: map[string]string{name: value}}
		if _, err := smtp.New(c); err == nil || !strings.HasPrefix(err.Error(), "smtp: Config.Headers: ") {
			t.Errorf("%q: %q: %v", name, value, err)
		}
		c.Fallbacks = []smtp.Relay{{Addr: "b.example:587", Headers: c.Headers}}
		c.Headers = nil
		if _, err := smtp.New(c); err == nil || !strings.HasPrefix(err.Error(), "smtp: Config.Fallbacks[0].Headers: ") {
			t.Errorf("%q: %q: %v", name, value, err)
		}
	}
	for _, c := range []smtp.Config{
		{ReplyTo: "x"}, {ReplyTo: "é@mybank.example"}, {Headers: map[string]string{"x-a": "b", "X-A": "c"}},
	} {
		c.Addr, c.From = "a.example:587", "codes@mybank.example"
		if _, err := smtp.New(c); err == nil {
			t.Errorf("%v %v: accepted", c.ReplyTo, c.Headers)
		}
	}
}

// countingKey counts its signatures.
type countingKey struct {
	ed25519.PrivateKey
	signed *int
}

func (k countingKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	*k.signed++
	return k.PrivateKey.Sign(random, digest, opts)
}

// A mail is signed once, whichever relays are offered it, and not for a relay that
// is left alone.
func TestSigningDoesNoNeedlessWork(t *testing.T) {
	t.Parallel()
	key, _ := twoKeys(t)
	signed := 0
	key.Private = countingKey{key.Private.(ed25519.PrivateKey), &signed}
	second := smtptest.NewServer(smtptest.Config{TLS: smtptest.Plaintext})
	t.Cleanup(second.Close)
	srv, ch := start(t, smtptest.Config{TLS: smtptest.Plaintext}, func(c *smtp.Config) {
		c.DKIM = signer(t, key)
		c.Fallbacks = []smtp.Relay{{Addr: second.Addr(), DangerouslyPlaintext: true}}
	})
	srv.Script(smtptest.Rule{Phase: smtptest.AtDot, Reply: smtptest.Reply{Code: 451, Enhanced: "4.3.0", Text: "disk"}})
	for i := range 3 {
		if _, err := ch.Send(t.Context(), message("a.1")); err != nil || signed != i+1 {
			t.Errorf("%v, %d signatures for %d mails", err, signed, i+1)
		}
	}
	alone, down := start(t, smtptest.Config{TLS: smtptest.Plaintext}, func(c *smtp.Config) { c.DKIM = signer(t, key) })
	alone.Close()
	for range 20 {
		if _, err := down.Send(t.Context(), message("a.1")); err == nil {
			t.Error("no error")
		}
	}
	if signed > 3+6 {
		t.Errorf("%d signatures for a relay that is left alone", signed-3)
	}
}

// Amazon SES replaces Message-ID and Date, and refuses a mail with two signatures:
// for its hosts, settings that ask for either are errors.
func TestAmazonSESIsKnown(t *testing.T) {
	t.Parallel()
	one, two := twoKeys(t)
	c := smtp.Config{
		Addr: "email-smtp.eu-west-1.amazonaws.com:587", Username: "u", Password: "p",
		From: "codes@mybank.example", DKIM: signer(t, one, two),
	}
	for field, set := range map[string]func(*smtp.Config, *smtp.Relay){
		"AllDKIMKeys":   func(c *smtp.Config, r *smtp.Relay) { c.AllDKIMKeys, r.AllDKIMKeys = true, true },
		"SignMessageID": func(c *smtp.Config, r *smtp.Relay) { c.SignMessageID, r.SignMessageID = true, true },
	} {
		first, r := c, smtp.Relay{Addr: "email-smtp.us-gov-west-1.amazonaws.com:465"}
		set(&first, &r)
		if _, err := smtp.New(first); err == nil || !strings.HasPrefix(err.Error(), "smtp: Config."+field+": ") {
			t.Errorf("%s: %v", field, err)
		}
		second := c
		second.Fallbacks = []smtp.Relay{r}
		if _, err := smtp.New(second); err == nil ||
			!strings.HasPrefix(err.Error(), "smtp: Config.Fallbacks[0]."+field+": ") {
			t.Errorf("%s of a fallback: %v", field, err)
		}
	}
	srv := smtptest.NewServer(smtptest.Config{Username: "u", Password: "p"})
	t.Cleanup(srv.Close)
	c.TLSConfig = srv.ClientTLS()
	c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Addr())
	}
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close() })
	if _, err := ch.Send(t.Context(), message("a.1")); err != nil {
		t.Fatal(err)
	}
	header := strings.ReplaceAll(string(srv.Mails()[0].Raw), "\r\n ", "")
	if signature, _, _ := strings.Cut(header, "Date: "); strings.Count(signature, "DKIM-Signature:") != 1 ||
		strings.Contains(signature, ":Date") || strings.Contains(signature, ":Message-ID") ||
		!strings.Contains(signature, ":Subject:Subject") {
		t.Errorf("signed:\n%s", header)
	}
}
