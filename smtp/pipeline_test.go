package smtp_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// A writeCounter counts writes.
type writeCounter struct {
	net.Conn
	writes *atomic.Int32
}

func (w writeCounter) Write(p []byte) (int, error) {
	w.writes.Add(1)
	return w.Conn.Write(p)
}

// A message costs two writes, each of which is answered at once: two round
// trips.
func TestTwoRoundTrips(t *testing.T) {
	t.Parallel()
	var writes atomic.Int32
	srv, ch := start(t, smtptest.Config{}, func(c *smtp.Config) {
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return writeCounter{conn, &writes}, err
		}
	})
	if _, err := ch.Send(t.Context(), message("first.1")); err != nil {
		t.Fatal(err)
	}
	writes.Store(0)
	const messages = 5
	for range messages {
		if _, err := ch.Send(t.Context(), message("next.1")); err != nil {
			t.Fatal(err)
		}
	}
	if n := writes.Load(); n != 2*messages || len(srv.Mails()) != 1+messages {
		t.Errorf("%d writes for %d messages", n, messages)
	}
}

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
			[]string{"misconfigured", ""}},
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

// A countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	open *atomic.Int32
	once *sync.Once
}

func (c countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// However connections end, no more than MaxConns are open at once.
func TestMaxConnsAreOpen(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]map[string]string{
		"RSET is refused":              {"RCPT": "550 5.1.1 unknown\r\n", "RSET": "503 5.5.1 no\r\n"},
		"RSET is answered by 421":      {"RCPT": "550 5.1.1 unknown\r\n", "RSET": "421 4.3.2 no\r\n"},
		"RSET is answered by silence":  {"RCPT": "550 5.1.1 unknown\r\n", "RSET": stall},
		"MAIL is answered by 421":      {"MAIL": "421 4.3.2 closing\r\n"},
		"the dot is answered by a 5xx": {".": "554 5.6.0 no\r\n"},
		"hanging up after the dot":     {".": hangUp},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(script)
					var open, most atomic.Int32
					dial := c.Dial
					c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
						conn, err := dial(ctx, network, addr)
						most.Store(max(most.Load(), open.Add(1))) // one message after the other
						return countedConn{conn, &open, new(sync.Once)}, err
					}
					c.MaxConns = 1
					sendAll(t, f, c, 4)
					if most.Load() != 1 || open.Load() != 0 {
						t.Errorf("%d connections were open at once, and %d in the end", most.Load(), open.Load())
					}
				})
			})
		})
	}
}

// Notifications are asked for where the server offers that, and done without
// where it then refuses.
func TestDSN(t *testing.T) {
	t.Parallel()
	const (
		offer    = "250-fake\r\n250-DSN\r\n250 AUTH PLAIN\r\n"
		bare     = "250-fake\r\n250 AUTH PLAIN\r\n"
		mail     = "MAIL FROM:<codes@mybank.example>"
		rcpt     = "RCPT TO:<ann.recipient@example.com>"
		dsnMail  = mail + " RET=HDRS ENVID=seq.1"
		original = " ORCPT=RFC822;ann.recipient@example.com"
	)
	withDSN := []string{dsnMail, rcpt + " NOTIFY=FAILURE" + original}
	twice := append(withDSN[:2:2], "RSET", mail, rcpt)
	for _, tt := range []struct {
		name        string
		dsn         smtp.DSN
		ehlo        string
		refuse      string // this command
		reply       string
		times       int // so often
		want, piped []string
		class       string
	}{
		{"not wanted", smtp.NoDSN, offer, "", "", 0, []string{mail, rcpt}, nil, ""},
		{"not offered", smtp.FailureOnly, bare, "", "", 0, []string{mail, rcpt}, nil, ""},
		{"default", 0, offer, "", "", 0, withDSN, nil, ""},
		{"failure", smtp.FailureOnly, offer, "", "", 0, withDSN, nil, ""},
		{"success", smtp.FailureAndSuccess, offer, "", "", 0,
			[]string{dsnMail, rcpt + " NOTIFY=FAILURE,SUCCESS" + original}, nil, ""},
		{"refused at MAIL", smtp.FailureOnly, offer, "MAIL", "555 5.5.4 what?\r\n", 1,
			[]string{dsnMail, "RSET", mail, rcpt}, twice, ""},
		{"refused at RCPT", smtp.FailureOnly, offer, "RCPT", "501 5.5.4 what?\r\n", 1, twice, nil, ""},
		{"refused twice", smtp.FailureOnly, offer, "RCPT", "555 5.5.4 what?\r\n", 2, twice, nil, "misconfigured"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					want := tt.want
					f.script = map[string]string{"EHLO+": tt.ehlo}
					if f.pipelining {
						f.script["EHLO+"] = strings.Replace(tt.ehlo, "250 AUTH", "250-PIPELINING\r\n250 AUTH", 1)
						if tt.piped != nil {
							want = tt.piped
						}
					}
					refusals := 0
					f.reject = func(line string) string {
						if refusals == tt.times || !strings.HasPrefix(line, tt.refuse) {
							return ""
						}
						refusals++
						return tt.reply
					}
					c.DSN = tt.dsn
					if got := sendAll(t, f, c, 1)[0]; got != tt.class {
						t.Errorf("error of class %q, want %q", got, tt.class)
					}
					var got []string
					for _, line := range f.lines {
						if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "RCPT") || line == "RSET" {
							got = append(got, line)
						}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("commands (-want +got):\n%s", diff)
					}
					if f.dials != 1 {
						t.Errorf("%d connections, want 1", f.dials)
					}
				})
			})
		})
	}
}

// What a relay offers counts however it is written.
func TestExtensionsInAnyCase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(map[string]string{
			"EHLO":  "250-fake\r\n250 StartTLS\r\n",
			"EHLO+": "250-fake\r\n250-8bitMIME\r\n250-pipelining\r\n250-dsn\r\n250 Auth plain\r\n",
			"RCPT":  "550 5.1.1 unknown\r\n",
		})
		if diff := cmp.Diff([]string{"invalid recipient"}, sendAll(t, f, c, 1)); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
		// DATA in spite of RCPT: pipelined
		want := []string{"EHLO", "STARTTLS", "EHLO+", "AUTH+", "MAIL+", "RCPT+", "DATA+", "QUIT+"}
		if diff := cmp.Diff(want, f.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		mail := "MAIL FROM:<codes@mybank.example> BODY=8BITMIME RET=HDRS ENVID=seq.1"
		if !slices.Contains(f.lines, mail) {
			t.Errorf("no %s in %q", mail, f.lines)
		}
	})
}

// What is wrong with one recipient does not end the requests of a connection;
// what is wrong with the request does.
func TestDSNOutlivesBadRecipient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		reject func() func(line string) string
		want   []bool // by RCPT: with a request
	}{
		{"bad address, told by its status", func() func(string) string {
			return once("RCPT", "501 5.1.3 bad address\r\n", 0)
		}, []bool{true, true, true}},
		{"bad address, told by no status", func() func(string) string {
			refused := 0
			return func(line string) string {
				if !strings.HasPrefix(line, "RCPT") || refused == 2 {
					return ""
				}
				refused++ // with the request, and without
				return "501 bad address\r\n"
			}
		}, []bool{true, false, true, true}},
		{"requests are refused", func() func(string) string {
			return func(line string) string {
				if strings.Contains(line, " NOTIFY=") {
					return "501 5.5.4 what?\r\n"
				}
				return ""
			}
		}, []bool{true, false, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{"EHLO+": "250-fake\r\n250-DSN\r\n250 AUTH PLAIN\r\n"})
				f.reject, c.DSN = tt.reject(), smtp.FailureOnly
				sendAll(t, f, c, 3)
				var got []bool
				for _, line := range f.lines {
					if strings.HasPrefix(line, "RCPT") {
						got = append(got, strings.Contains(line, " NOTIFY="))
					}
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}
