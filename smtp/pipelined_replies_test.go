package smtp

import (
	"io"
	"net"
	"testing"
)

func TestReplyIsAccepted(t *testing.T) {
	t.Parallel()
	mail, rcpt := step{phaseMail, "250"}, step{phaseRcpt, "25"}
	for _, tt := range []struct {
		step  step
		reply string
		want  bool
	}{
		{mail, "250 ok\r\n", true},
		{mail, "250\r\n", true},
		{mail, "250-2.1.0 a\r\n250 2.1.0 b\r\n", true},
		{mail, "251 ok\r\n", false},
		{rcpt, "251 will forward\r\n", true},
		{rcpt, "25\r\n", false},
		{rcpt, "25503 5.5.1 half a reply and another\r\n", false},
		{rcpt, "250-a\r\n550 b\r\n", false},
		{rcpt, "550 no\r\n", false},
		{rcpt, "\r\n", false},
	} {
		if got := tt.step.isAccepted([]byte(tt.reply)); got != tt.want {
			t.Errorf("%s %q: %v", tt.step.phase, tt.reply, got)
		}
	}
}

func TestMailIsReady(t *testing.T) {
	t.Parallel()
	for mail, want := range map[string]bool{
		"":                   false,
		"a\r\n":              true,
		"a\r\n\r\nb.\r\n":    true,
		"a":                  false,
		"a\n":                false,
		".a\r\n":             false,
		"a\r\n.b\r\n":        false,
		"a\r\n.\r\nRCPT\r\n": false,
	} {
		if got := isReady([]byte(mail)); got != want {
			t.Errorf("%q: %v", mail, got)
		}
	}
}

// A mail that waits for its end is not replaced by an empty one, should go-smtp
// end it in another way.
func TestNoEmptyMail(t *testing.T) {
	t.Parallel()
	for end, want := range map[string]string{"\r\n.\r\n": "a\r\n.\r\n", ".\r\n": "", "\r\n": ""} {
		written := &script{}
		p := &pipeline{replyLimiter: newReplyLimiter(written), mail: []byte("a\r\n")}
		_, err := p.Write([]byte(end))
		if got := string(written.heard); got != want || (err == nil) != (want != "") ||
			(p.writeErr == nil) != (want != "") {
			t.Errorf("%q: %q is written, error %v", end, got, err)
		}
	}
}

// FuzzPipeline looks for replies that a pipeline takes for an acceptance of all
// commands although one was refused, and for a panic.
func FuzzPipeline(f *testing.F) {
	for _, s := range []string{
		"250 a\r\n250 b\r\n354 c\r\n", "250 a\r\n550 b\r\n503 c\r\n", "250-a\r\n250 b\r\n251 c\r\n354 d\r\n", "25",
		"\n\n\n", "421 x\r\n",
		"250 a\r\n550 b\r\n354 c\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		p := &pipeline{replyLimiter: newReplyLimiter(&script{said: said})}
		p.begin(false)
		for _, command := range []string{"MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n"} {
			if _, err := p.Write([]byte(command)); err != nil {
				t.Fatal(err)
			}
			if command == "DATA\r\n" {
				break
			}
			if n, err := p.Read(make([]byte, 64)); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}
		answer := make([]byte, len(said)+1)
		n, err := p.Read(answer)
		if err == nil && p.failed == "" && string(answer[:min(n, 3)]) != "354" {
			t.Errorf("accepted with %q", answer[:n])
		}
		if p.resettable && p.failed == "" {
			t.Error("to be reset, though nothing failed")
		}
	})
}

// A script is a connection that says what it is given, in small pieces.
type script struct {
	net.Conn
	said  []byte
	heard []byte
}

func (s *script) Write(p []byte) (int, error) {
	s.heard = append(s.heard, p...)
	return len(p), nil
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(7, len(p))], s.said)
	s.said = s.said[n:]
	return n, nil
}
