package smtp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp/maildns"
)

// testKeys are made once: an RSA key takes a while.
var testKeys = sync.OnceValue(func() []DKIMKey {
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, short, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return []DKIMKey{{Selector: "r2026", Private: long}, {Selector: "e2026", Private: short}}
})

func newDKIM(t testing.TB, keys ...DKIMKey) *DKIM {
	t.Helper()
	d, err := NewDKIM("mybank.example", keys...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// keyRecords are what a verifier finds in the DNS.
func keyRecords(t testing.TB, d *DKIM) map[string]string {
	t.Helper()
	records, err := maildns.Setup{From: "mybank.example", Senders: []string{"mx"}, DKIM: d}.Records()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, r := range records {
		if r.Kind == maildns.DKIM {
			found[r.Name] = r.Text
		}
	}
	return found
}

// signedMail is a mail with a subject that is folded, and both kinds of key.
func signedMail(t testing.TB, d *DKIM, html bool) []byte {
	t.Helper()
	s := newSettings(t, "MyBank <codes@mybank.example>")
	s.FeedbackID = "login:eu::mybank"
	m := sample()
	m.Subject = texts["accents"]
	if !html {
		m.HTML = ""
	}
	mail, err := s.compose(m, "ann@example.com", noon)
	if err != nil {
		t.Fatal(err)
	}
	return sealed(t, mail, d)
}

// sealed is a mail as a relay is given it that wants all signatures.
func sealed(t testing.TB, mail composed, d *DKIM) []byte {
	t.Helper()
	data, err := mail.forRelay(&relay{Relay: Relay{DKIM: d, AllDKIMKeys: true, SignMessageID: true}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A change is what happens to a mail on its way. What must not pass breaks
// every signature.
type change struct {
	name   string
	passes bool
	change func(mail string) string
}

func before(header string) func(string) string {
	return func(mail string) string { return header + "\r\n" + mail }
}

func replacing(from, to string) func(string) string {
	return func(mail string) string {
		if strings.Count(mail, from) == 0 {
			panic("not in the mail: " + from)
		}
		return strings.Replace(mail, from, to, 1)
	}
}

// behind adds a header beneath those that are there.
func behind(header string) func(string) string {
	return replacing("\r\n\r\n", "\r\n"+header+"\r\n\r\n")
}

var changes = []change{
	{"none", true, func(mail string) string { return mail }},
	{"received", true, before("Received: from a by b; Sun, 01 Mar 2026 12:00:01 +0100")},
	{"list-unsubscribe added", true, before("List-Unsubscribe: <https://x.example>")},
	{"header refolded", true, replacing("\r\nFrom: \"MyBank\" <", "\r\nFrom:  \"MyBank\"\r\n\t<")},
	{"blank lines at the end", true, func(mail string) string { return mail + "\r\n\r\n" }},
	{"body changed", false, replacing("582037 is", "582038 is")},
	{"body longer", false, func(mail string) string { return mail + "more\r\n" }},
	{"from changed", false, replacing("codes@mybank.example>", "codez@mybank.example>")},
	{"second from", false, before("From: <evil@example.com>")},
	{"second from beneath", false, behind("From: <evil@example.com>")},
	{"second subject", false, before("Subject: Call us")},
	{"second subject beneath", false, behind("Subject: Call us")},
	{"second to", false, before("To: <eve@example.com>")},
	{"second date", false, before("Date: Mon, 02 Mar 2026 12:00:00 +0100")},
	{"second message-id", false, before("Message-ID: <other@mybank.example>")},
	{"second content-type", false, before("Content-Type: text/html; charset=utf-8")},
	{"second mime-version", false, before("MIME-Version: 1.0")},
	{"reply-to added", false, before("Reply-To: <evil@example.com>")},
	{"cc added", false, before("Cc: <eve@example.com>")},
	{"sender added", true, before("Sender: <relay@example.com>")},
	{"content-disposition added", false, before("Content-Disposition: attachment")},
	{"content-transfer-encoding added", false, before("Content-Transfer-Encoding: base64")},
	{"language changed", false, replacing("Content-Language: en-GB", "Content-Language: de")},
	{"second language", false, before("Content-Language: de")},
	{"feedback-id changed", false, replacing("login:eu::mybank", "login:us::mybank")},
	{"subject gone", false, func(mail string) string {
		start := strings.Index(mail, "\r\nSubject:")
		end := strings.Index(mail, "\r\nMIME-Version:")
		return mail[:start] + mail[end:]
	}},
}

func TestDKIM(t *testing.T) {
	t.Parallel()
	d := newDKIM(t, testKeys()...)
	records := keyRecords(t, d)
	for _, html := range []bool{true, false} {
		mail := string(signedMail(t, d, html))
		checkForm(t, []byte(mail[strings.Index(mail, "Date: "):]))
		for _, c := range changes {
			results, err := dkim.VerifyWithOptions(strings.NewReader(c.change(mail)), &dkim.VerifyOptions{
				LookupTXT: func(name string) ([]string, error) { return []string{records[name]}, nil },
			})
			if err != nil || len(results) != 2 {
				t.Fatalf("%s: %d signatures, %v", c.name, len(results), err)
			}
			for _, r := range results {
				if (r.Err == nil) != c.passes || r.Domain != "mybank.example" {
					t.Errorf("%s: domain %q, error %v", c.name, r.Domain, r.Err)
				}
			}
		}
	}
}

func TestDKIMHeaders(t *testing.T) {
	t.Parallel()
	mail := signedMail(t, newDKIM(t, testKeys()...), false)
	for i, line := range strings.Split(string(mail), "\r\n") {
		if len(line) > 998 {
			t.Errorf("line %d has %d octets", i, len(line))
		}
	}
	for _, want := range []string{"a=rsa-sha256;", "a=ed25519-sha256;", "c=relaxed/relaxed;", "s=r2026;", "s=e2026;",
		"d=mybank.example;", "h=From:From:To:To:Subject:Subject:", ":Reply-To:Cc:Content-Disposition;",
		"Content-Transfer-Encoding:Content-Transfer-Encoding"} {
		if !strings.Contains(string(mail), want) {
			t.Errorf("no %s in\n%s", want, mail)
		}
	}
	once := string(signedMail(t, newDKIM(t, testKeys()[1]), true))
	if strings.Contains(once, "h=From:From:To:To:Content-Transfer") || strings.Count(once, "DKIM-Signature:") != 1 {
		t.Errorf("signed:\n%s", once)
	}
}

// Without further settings one key signs: the first of RSA, which every receiver
// verifies, wherever it stands, and else the first.
func TestOneKeySigns(t *testing.T) {
	t.Parallel()
	long, short := testKeys()[0], testKeys()[1]
	named := func(selector string, k DKIMKey) DKIMKey { return DKIMKey{Selector: selector, Private: k.Private} }
	for name, tt := range map[string]struct {
		keys []DKIMKey
		want string
	}{
		"RSA first":    {[]DKIMKey{long, short}, "r2026"},
		"RSA last":     {[]DKIMKey{short, long}, "r2026"},
		"two of RSA":   {[]DKIMKey{short, named("new", long), named("old", long)}, "new"},
		"no RSA":       {[]DKIMKey{named("new", short), named("old", short)}, "new"},
		"RSA only":     {[]DKIMKey{long}, "r2026"},
		"only Ed25519": {[]DKIMKey{short}, "e2026"},
	} {
		d := newDKIM(t, tt.keys...)
		mail := []byte("From: <codes@mybank.example>\r\n\r\n582037\r\n")
		got, err := d.sign(mail, coverage{})
		if err != nil || bytes.Count(got, []byte("DKIM-Signature:")) != 1 ||
			!bytes.Contains(got, []byte("s="+tt.want+";")) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
		if all, err := d.sign(mail, coverage{allKeys: true}); err != nil ||
			bytes.Count(all, []byte("DKIM-Signature:")) != len(tt.keys) {
			t.Errorf("%s: all keys: %v\n%s", name, err, all)
		}
	}
}

func TestDKIMRotate(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	d := newDKIM(t, keys[0])
	if err := d.Rotate(keys[1]); err != nil {
		t.Fatal(err)
	}
	if mail := signedMail(t, d, true); !bytes.Contains(mail, []byte("s=e2026;")) ||
		bytes.Contains(mail, []byte("s=r2026;")) {
		t.Error("the old key still signs")
	}
	if err := d.Rotate(); err == nil {
		t.Error("no keys are accepted")
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				if i == 0 {
					_ = d.Rotate(keys...)
					_ = d.Rotate(keys[1])
				} else if mail := signedMail(t, d, false); !bytes.Contains(mail, []byte("s=e2026;")) {
					t.Error("unsigned while keys change")
				}
			}
		})
	}
	wg.Wait()
}

func TestNewDKIMRefuses(t *testing.T) {
	t.Parallel()
	good := testKeys()[1]
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]DKIMKey{
		"none":          nil,
		"five":          {good, good, good, good, good},
		"twice":         {good, {Selector: "E2026", Private: good.Private}},
		"nil":           {{Selector: "a"}},
		"weak":          {{Selector: "a", Private: weak}},
		"no selector":   {{Private: good.Private}},
		"injection":     {{Selector: "a; d=evil.example", Private: good.Private}},
		"selector path": {{Selector: "a..b", Private: good.Private}},
	} {
		if _, err := NewDKIM("mybank.example", keys...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, domain := range []string{"", "a b", "a@b", "mybank.example; x=y", "-.example", "com", "CO.uk", "example"} {
		if _, err := NewDKIM(domain, good); err == nil {
			t.Errorf("%q: accepted", domain)
		}
	}
	for domain, want := range map[string]bool{
		"mybank.example": true, "mail.mybank.example": true, "MYBANK.example": true,
		"notmybank.example": false, "other.example": false,
	} {
		d, err := NewDKIM(domain, good)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Addr: "a:587", From: "codes@mybank.example", DKIM: d}); (err == nil) != want {
			t.Errorf("%q: %v", domain, err)
		}
	}
}

// A brokenKey is held by a service that is down.
type brokenKey struct{ ed25519.PrivateKey }

var errVault = errors.New("vault is sealed")

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errVault }

func TestDKIMKeyOutOfReach(t *testing.T) {
	t.Parallel()
	key := testKeys()[1].Private.(ed25519.PrivateKey)
	s := newSettings(t, "codes@mybank.example")
	mail, err := s.compose(sample(), "ann@example.com", noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = mail.forRelay(&relay{Relay: Relay{DKIM: newDKIM(t, DKIMKey{Selector: "v", Private: brokenKey{key}})}})
	if !errors.Is(err, errUnsigned) || !errors.Is(composeError(err), errVault) ||
		channel.ClassOf(composeError(err)) != channel.Temporary {
		t.Errorf("error %v", err)
	}
}

func TestDKIMKeysAreNotPrinted(t *testing.T) {
	t.Parallel()
	key := testKeys()[1]
	seed := key.Private.(ed25519.PrivateKey).Seed()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).InfoContext(context.Background(), "x", "key", key)
	shown := []string{log.String()}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		shown = append(shown, fmt.Sprintf(format, key), fmt.Sprintf(format, newDKIM(t, key)))
	}
	for _, text := range shown {
		if strings.Contains(text, fmt.Sprint(seed[0], " ", seed[1])) || len(text) > 150 {
			t.Errorf("shown: %s", text)
		}
	}
}

// What a mail costs unsigned is in BenchmarkCompose.
func BenchmarkDKIM(b *testing.B) {
	keys := testKeys()
	for _, c := range []struct {
		name string
		keys []DKIMKey
	}{{"ed25519", keys[1:]}, {"rsa2048", keys[:1]}, {"both", keys}} {
		b.Run(c.name, func(b *testing.B) {
			d := newDKIM(b, c.keys...)
			s := newSettings(b, "MyBank <codes@mybank.example>")
			mail, err := s.compose(sample(), "ann@example.com", noon)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.sign(mail.data, coverage{allKeys: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
