package smtp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// sendAll sends messages over one channel and returns the classes of the
// errors, "" for none.
func sendAll(t *testing.T, f *fake, c smtp.Config, n int) (classes []string) {
	t.Helper()
	defer f.stop()
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	for range n {
		_, err := ch.Send(t.Context(), message("seq.1"))
		class := ""
		if err != nil {
			class = channel.ClassOf(err).String()
		}
		classes = append(classes, class)
	}
	return classes
}

// once returns a reject function for the first command that begins with
// prefix, after skip others.
func once(prefix, reply string, skip int) func(string) string {
	return func(line string) string {
		if !strings.HasPrefix(line, prefix) {
			return ""
		}
		skip--
		if skip == -1 {
			return reply
		}
		return ""
	}
}

// After a refusal the connection is used again, and begins with RSET.
func TestResetAfterRefusal(t *testing.T) {
	t.Parallel()
	transaction := []string{"MAIL+", "RCPT+", "DATA+", ".+"}
	for _, tt := range []struct {
		name, refuse, reply string
		broken              []string // what comes of the transaction, one by one
		class               string
	}{
		{"MAIL", "MAIL", "451 4.3.0 disk\r\n", transaction[:1], "temporary"},
		{"RCPT", "RCPT", "550 5.1.1 unknown\r\n", transaction[:2], "invalid recipient"},
		{"DATA", "DATA", "451 4.3.0 disk\r\n", transaction[:3], "temporary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					f.reject = once(tt.refuse, tt.reply, 0)
					if diff := cmp.Diff([]string{tt.class, "", ""}, sendAll(t, f, c, 3)); diff != "" {
						t.Errorf("errors (-want +got):\n%s", diff)
					}
					broken := tt.broken
					if f.pipelining {
						broken = transaction[:3]
					}
					want := append([]string{"EHLO", "STARTTLS", "EHLO+", "AUTH+"}, broken...)
					want = append(append(append(want, "RSET+"), transaction...), append(transaction, "QUIT+")...)
					if diff := cmp.Diff(want, f.commands()); diff != "" {
						t.Errorf("commands (-want +got):\n%s", diff)
					}
				})
			})
		})
	}
}

// What leaves a connection in doubt ends it, and costs the next message
// nothing.
func TestConnectionInDoubtIsLeft(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reject func() func(string) string
		want   []string
	}{
		"DATA goes on without a recipient": {func() func(string) string {
			refused := false
			return func(line string) string {
				if !refused && strings.HasPrefix(line, "RCPT") {
					refused = true
					return "550 5.1.1 unknown\r\n"
				}
				if refused && strings.HasPrefix(line, "DATA") {
					return "354 go ahead\r\n"
				}
				return ""
			}
		}, []string{"invalid recipient", ""}},
		"RSET is refused": {func() func(string) string {
			first := once("RCPT", "550 5.1.1 unknown\r\n", 0)
			return func(line string) string {
				if strings.HasPrefix(line, "RSET") {
					return "500 what?\r\n"
				}
				return first(line)
			}
		}, []string{"invalid recipient", ""}},
		"RSET is answered by hanging up": {func() func(string) string {
			first := once("RCPT", "550 5.1.1 unknown\r\n", 0)
			return func(line string) string {
				if strings.HasPrefix(line, "RSET") {
					return hangUp
				}
				return first(line)
			}
		}, []string{"invalid recipient", ""}},
		"421 at RCPT": {func() func(string) string { return once("RCPT", "421 4.3.2 closing\r\n", 0) },
			[]string{"temporary", ""}},
		"421 at MAIL, idle": {func() func(string) string { return once("MAIL", "421 4.4.2 idle\r\n", 1) },
			[]string{"", ""}},
		"refusal of the dot": {func() func(string) string { return once(".", "554 5.6.0 no\r\n", 0) },
			[]string{"unreachable", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					f.reject = tt.reject()
					if diff := cmp.Diff(tt.want, sendAll(t, f, c, len(tt.want))); diff != "" {
						t.Errorf("errors (-want +got):\n%s", diff)
					}
					wantDials := 2
					if name == "DATA goes on without a recipient" && !f.pipelining {
						wantDials = 1 // DATA is not said
					}
					if f.dials != wantDials {
						t.Errorf("%d connections, want %d", f.dials, wantDials)
					}
				})
			})
		})
	}
}

// What follows the reply to the final dot, in one segment with it, does not
// change what that says of the mail, and ends the connection.
func TestReplyAfterTheDot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reply, class string
	}{
		{"taken, closing", "250 2.0.0 Ok: queued as 4XyZ12\r\n421 4.3.2 closing\r\n", ""},
		{"taken, half a word", "250 2.0.0 Ok: queued as 4XyZ12\r\n42", ""},
		{"refused, closing", "451 4.3.0 disk\r\n421 4.3.2 closing\r\n", "temporary"},
		{"in doubt, closing", "999 odd\r\n421 4.3.2 closing\r\n", "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{".": tt.reply})
					if diff := cmp.Diff([]string{tt.class, tt.class}, sendAll(t, f, c, 2)); diff != "" {
						t.Errorf("errors (-want +got):\n%s", diff)
					}
					if f.dials != 2 {
						t.Errorf("%d connections, want 2", f.dials)
					}
				})
			})
		})
	}
}

// What a relay says unasked, while a connection is idle, passes for the reply
// to the next command. A 421, all that RFC 5321 §3.8 lets it say, costs nothing;
// anything else at most an error, and never a message that is said to be sent
// and is not.
func TestUnaskedReply(t *testing.T) {
	t.Parallel()
	for said, want := range map[string][]string{
		"421 4.4.2 idle for too long\r\n": {"", "", ""},
		"250 2.0.0 ok\r\n":                {"", "temporary", ""},
		"354 go ahead\r\n":                {"", "temporary", ""},
		"451 4.3.0 disk\r\n":              {"", "temporary", ""},
	} {
		t.Run(said[:3], func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					defer f.stop()
					f.unasked = said
					ch, err := smtp.New(c)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = ch.Close() }()
					sent := 0
					for i, class := range want {
						_, err := ch.Send(t.Context(), message(fmt.Sprint("unasked.", i)))
						if (err == nil) != (class == "") || err != nil && channel.ClassOf(err).String() != class {
							t.Errorf("message %d: %v, want class %q", i, err, class)
						}
						if err == nil {
							sent++
						}
						time.Sleep(2 * time.Second)
					}
					if taken := countOf(f.commands(), ".+"); taken != sent {
						t.Errorf("%d mails taken, %d said to be sent", taken, sent)
					}
				})
			})
		})
	}
}
