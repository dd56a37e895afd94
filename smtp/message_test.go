package smtp

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))

func newSettings(t testing.TB, from string) *settings {
	t.Helper()
	s, err := Config{Addr: "smtp.example.com:587", From: from}.validate()
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func sample() *channel.Message {
	return &channel.Message{
		ID:       "c4n7.1",
		To:       channel.Recipient{Email: "ann@example.com"},
		Code:     "582037",
		Subject:  "Your MyBank code",
		Body:     "582037 is your MyBank code.\nIt is valid for 5 minutes.\n",
		HTML:     "<p><b>582037</b> is your MyBank code.</p>\n<p>It is valid for 5 minutes.</p>\n",
		Language: "en-GB",
		Sender:   "Sender",
	}
}

func TestComposedBytes(t *testing.T) {
	t.Parallel()
	got, err := newSettings(t, "MyBank <codes@mybank.example>").compose(sample(), "ann@example.com", noon)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`Date: Sun, 01 Mar 2026 12:00:00 +0100
From: "MyBank" <codes@mybank.example>
To: <ann@example.com>
Message-ID: <c4n7.1@mybank.example>
Subject: Your MyBank code
MIME-Version: 1.0
Auto-Submitted: auto-generated
X-Auto-Response-Suppress: All
Content-Language: en-GB
Content-Type: multipart/alternative; boundary="=_otpcourier"

--=_otpcourier
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

582037 is your MyBank code.
It is valid for 5 minutes.

--=_otpcourier
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p><b>582037</b> is your MyBank code.</p>
<p>It is valid for 5 minutes.</p>

--=_otpcourier--
`, "\n", "\r\n")
	if diff := cmp.Diff(want, string(got.data)); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	if got.id != "c4n7.1@mybank.example" {
		t.Errorf("id %q", got.id)
	}
}

// A readMail is what a receiver makes of a mail, through two parsers.
type readMail struct {
	FromName, From, To, Subject, ID, Language string
	Kinds, Bodies                             []string
}

func read(t testing.TB, raw []byte) readMail {
	t.Helper()
	std, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("net/mail: %v\n%s", err, raw)
	}
	from, err := (&mail.AddressParser{}).Parse(std.Header.Get("From"))
	if err != nil {
		t.Fatalf("From %q: %v", std.Header.Get("From"), err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(std.Header.Get("Subject"))
	if err != nil {
		t.Fatalf("Subject: %v", err)
	}
	m := readMail{
		FromName: from.Name, From: from.Address, To: std.Header.Get("To"), Subject: subject,
		ID: std.Header.Get("Message-Id"), Language: std.Header.Get("Content-Language"),
	}
	entity, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("go-message: %v\n%s", err, raw)
	}
	if again, err := entity.Header.Text("Subject"); err != nil || again != subject {
		t.Errorf("go-message reads subject %q (%v), net/mail %q", again, err, subject)
	}
	err = entity.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil {
			return err
		}
		kind, _, err := e.Header.ContentType()
		if err != nil || strings.HasPrefix(kind, "multipart/") {
			return err
		}
		body, err := io.ReadAll(e.Body)
		m.Kinds, m.Bodies = append(m.Kinds, kind), append(m.Bodies, string(body))
		return err
	})
	if err != nil {
		t.Fatalf("go-message: %v\n%s", err, raw)
	}
	return m
}

// checkForm is what RFC 5322, 2045 and 2047 say of lines.
func checkForm(t testing.TB, raw []byte) {
	t.Helper()
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Error("the last line has no end")
	}
	header := true
	for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\r\n"), "\r\n") {
		header = header && line != ""
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %d holds a bare CR or LF, or NUL: %q", i, line)
		}
		isTo := strings.HasPrefix(line, "To: ") || strings.HasPrefix(line, "Message-ID: ") ||
			strings.HasPrefix(line, " <")
		limit := 78
		if header && strings.Contains(line, "=?utf-8?") || !header {
			limit = 76
		}
		if len(line) > limit && !isTo {
			t.Errorf("line %d has %d octets: %q", i, len(line), line)
		}
		if !header && (strings.HasPrefix(line, ".") || strings.HasPrefix(line, "From ")) {
			t.Errorf("line %d: %q", i, line)
		}
		if header && strings.TrimSpace(line) == "" {
			t.Errorf("header line %d is blank", i)
		}
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "=?") && len(word) > 75 {
				t.Errorf("line %d: encoded word of %d octets", i, len(word))
			}
		}
	}
}

// canonical is a text with CRLF line ends, one at its end included.
func canonical(s string) string {
	s = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(s)
	if !strings.HasSuffix(s, "\r\n") {
		s += "\r\n"
	}
	return s
}

var texts = map[string]string{
	"plain":          "582037 is your code",
	"accents":        "Votre code à usage unique – 582037, créé pour Zoë",
	"japanese":       "認証コードは582037です。5分間有効です。誰にも教えないでください。認証コードは582037です。",
	"arabic":         "رمز التحقق الخاص بك هو ٥٨٢٠٣٧ وهو صالح لمدة خمس دقائق",
	"emoji":          strings.Repeat("🔐", 60),
	"long word":      strings.Repeat("x", 400),
	"many words":     strings.Repeat("word ", 60) + "end",
	"words at limit": strings.Repeat(strings.Repeat("y", 60)+" ", 5) + "z",
	"encoded word":   "=?utf-8?q?not_this?= but this",
	"spaces":         "  two  spaces  ",
	"quotes":         `"quoted" \ and (comment) <x@y>, z;`,
	"equals":         "a=b=3D=",
	"dots":           ".",
	"one":            "7",
	"astral":         "𝟓𝟖𝟐𝟎𝟑𝟕 𝄞",
	"combining":      strings.Repeat("e\u0301", 100),
	"boundary":       "--=_otpcourier-- =_otpcourier",
}

func TestHeadersComeBack(t *testing.T) {
	t.Parallel()
	s := newSettings(t, "codes@mybank.example")
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sample()
			m.Subject, m.Sender = text, text
			got, err := s.compose(m, "ann@example.com", noon)
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, got.data)
			back := read(t, got.data)
			if back.Subject != text {
				t.Errorf("subject %q, want %q\n%s", back.Subject, text, got.data)
			}
			if back.FromName != text || back.From != "codes@mybank.example" {
				t.Errorf("sender %q, want %q\n%s", back.FromName, text, got.data)
			}
		})
	}
}

// Whatever the column at which the fold has to come, it comes right.
func TestFoldingAtEveryLength(t *testing.T) {
	t.Parallel()
	s := newSettings(t, "codes@mybank.example")
	for _, unit := range []string{"a", "é", "語", "🔐", "a é"} {
		for n := 1; n <= 120; n++ {
			m := sample()
			m.Subject = strings.Repeat(unit, n)
			m.Sender = m.Subject
			m.Body = m.Subject
			got, err := s.compose(m, "ann@example.com", noon)
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, got.data)
			back := read(t, got.data)
			if back.Subject != m.Subject || back.FromName != m.Sender || back.Bodies[0] != canonical(m.Body) {
				t.Fatalf("%d of %q came back as %+v", n, unit, back)
			}
		}
	}
}

func TestBodiesComeBack(t *testing.T) {
	t.Parallel()
	s := newSettings(t, "codes@mybank.example")
	bodies := map[string]string{
		"line ends":       "a\rb\nc\r\nd\n\re\r\r\nf",
		"trailing spaces": "a \nb\t\nc  ",
		"dots":            ".\n..\n.a\n" + strings.Repeat("x", 75) + ".y",
		"from":            "From me\nFrom you\nFromage " + strings.Repeat("z", 66) + "From x",
		"blank lines":     "\n\n\na\n\n",
		"long line":       strings.Repeat("a very long line ", 300),
		"long accents":    strings.Repeat("é ", 300),
		"control":         "a\x01b\x7fc\fd",
	}
	for name, text := range texts {
		bodies["text "+name] = text
	}
	for name, text := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, html := range []string{"", "<p>" + text + "</p>"} {
				m := sample()
				m.Body, m.HTML = text, html
				got, err := s.compose(m, "ann@example.com", noon)
				if err != nil {
					t.Fatal(err)
				}
				checkForm(t, got.data)
				back := read(t, got.data)
				kinds, want := []string{"text/plain"}, []string{canonical(text)}
				if html != "" {
					kinds, want = append(kinds, "text/html"), append(want, canonical(html))
				}
				if diff := cmp.Diff(kinds, back.Kinds); diff != "" {
					t.Errorf("parts (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, back.Bodies); diff != "" {
					t.Errorf("bodies (-want +got):\n%s\n%s", diff, got.data)
				}
			}
		})
	}
}

func TestMessagesThatAreNoMail(t *testing.T) {
	t.Parallel()
	s := newSettings(t, "codes@mybank.example")
	for _, bad := range []string{"a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\x00b", "a\tb", "a\u0085b", "\xff",
		strings.Repeat("x", 999)} {
		for want, set := range map[error]func(*channel.Message){
			errSubject:    func(m *channel.Message) { m.Subject = bad },
			errSenderName: func(m *channel.Message) { m.Sender = bad },
		} {
			m := sample()
			set(m)
			if _, err := s.compose(m, "ann@example.com", noon); !errors.Is(err, want) {
				t.Errorf("%q: error %v, want %v", bad, err, want)
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(*channel.Message)
		want   error
	}{
		"no id":         {func(m *channel.Message) { m.ID = "" }, errMessageID},
		"id injection":  {func(m *channel.Message) { m.ID = "a>\r\nX: y" }, errMessageID},
		"long id":       {func(m *channel.Message) { m.ID = strings.Repeat("a", 37) }, errMessageID},
		"no body":       {func(m *channel.Message) { m.Body = "" }, errNoBody},
		"NUL in body":   {func(m *channel.Message) { m.Body = "a\x00" }, errBody},
		"HTML no UTF-8": {func(m *channel.Message) { m.HTML = "\xff" }, errBody},
	} {
		m := sample()
		tt.change(m)
		if _, err := s.compose(m, "ann@example.com", noon); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
	for _, bad := range []string{"en\r\nX: y", "en_GB", strings.Repeat("a", 36), "é"} {
		m := sample()
		m.Language = bad
		got, err := s.compose(m, "ann@example.com", noon)
		if err != nil || read(t, got.data).Language != "" {
			t.Errorf("language %q: %v\n%s", bad, err, got.data)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, text := range texts {
		f.Add(text, text, text, "<p>"+text+"</p>")
	}
	f.Add("a\r\nBcc: b@example.com", "x\x00", "\r.\r\n.\n", "\xff")
	f.Add("", "\xd2", "\x9a", "0") // UTF-8 only when joined
	f.Add(strings.Repeat("é", 40), "\"", strings.Repeat("a \n", 30), "From \r\r\n")
	s := newSettings(f, "codes@mybank.example")
	f.Fuzz(func(t *testing.T, subject, name, body, html string) {
		m := sample()
		m.Subject, m.Sender, m.Body, m.HTML = subject, name, body, html
		got, err := s.compose(m, "ann@example.com", noon)
		if err != nil {
			good := utf8.ValidString(subject) && utf8.ValidString(name) && utf8.ValidString(body) &&
				utf8.ValidString(html) && !strings.ContainsFunc(subject+name, isControlRune) &&
				!strings.Contains(body+html, "\x00") && body != "" && len(subject) <= maxHeader &&
				len(name) <= maxHeader
			if good {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		checkForm(t, got.data)
		back := read(t, got.data)
		bodies := []string{canonical(body)}
		if html != "" {
			bodies = append(bodies, canonical(html))
		}
		if diff := cmp.Diff(bodies, back.Bodies); diff != "" {
			t.Errorf("bodies (-want +got):\n%s", diff)
		}
		if back.Subject != subject {
			t.Errorf("subject %q, want %q", back.Subject, subject)
		}
		if back.FromName != name {
			t.Errorf("name %q, want %q", back.FromName, name)
		}
	})
}

func isControlRune(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func BenchmarkCompose(b *testing.B) {
	s := newSettings(b, "MyBank <codes@mybank.example>")
	long := sample()
	long.Subject = texts["accents"]
	long.HTML = "<!doctype html><html lang=fr><body style=\"font:16px sans-serif\">" +
		strings.Repeat("<p>Votre code à usage unique est 582037.</p>\n", 12) + "</body></html>"
	for name, m := range map[string]*channel.Message{"short": sample(), "1.1KB": long} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mail, err := s.compose(m, "ann@example.com", noon)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(mail.data)))
			}
		})
	}
}
