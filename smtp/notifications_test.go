package smtp_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smtp"
)

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
		{"refused twice", smtp.FailureOnly, offer, "RCPT", "555 5.5.4 what?\r\n", 2, twice, nil, "unreachable"},
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
