package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// Whatever a relay replies, in whatever phase, has one class.
func TestReplyClasses(t *testing.T) {
	t.Parallel()
	bothWays(t, testReplyClasses)
}

func testReplyClasses(t *testing.T, newFake newFakeFunc) {
	for _, tt := range []struct {
		step, reply string
		class       channel.Class
		code        string
	}{
		{"greeting", "554 5.3.2 no service", channel.Temporary, "5.3.2"},
		{"greeting", "421 busy", channel.Temporary, "421"},
		{"EHLO", "421 4.3.2 busy", channel.Temporary, "4.3.2"},
		{"EHLO", "550 bad name", channel.Temporary, "550"},
		{"STARTTLS", "454 4.7.0 not now", channel.Temporary, "4.7.0"},
		{"STARTTLS", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"STARTTLS", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"STARTTLS", "502 5.5.1 never", channel.Misconfigured, "5.5.1"},
		{"EHLO+", "421 4.7.28 slower", channel.Temporary, "4.7.28"},
		{"AUTH", "535 5.7.8 wrong", channel.Misconfigured, "5.7.8"},
		{"AUTH", "534 5.7.9 stronger", channel.Misconfigured, "5.7.9"},
		{"AUTH", "454 4.7.0 later", channel.Temporary, "4.7.0"},
		{"AUTH", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"AUTH", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"AUTH", "504 no such mechanism", channel.Misconfigured, "504"},
		{"MAIL", "530 5.7.0 log in first", channel.Misconfigured, "5.7.0"},
		{"MAIL", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"MAIL", "421 4.4.2 idle", channel.Temporary, "4.4.2"},
		{"MAIL", "451 4.3.0 disk", channel.Temporary, "4.3.0"},
		{"MAIL", "452 4.3.1 disk", channel.Temporary, "4.3.1"},
		{"MAIL", "550 5.1.1 who are you", channel.Misconfigured, "5.1.1"}, // about the sender
		{"MAIL", "553 5.1.8 sender", channel.Misconfigured, "5.1.8"},
		{"MAIL", "552 5.3.4 too big", channel.Misconfigured, "5.3.4"},
		{"MAIL", "555 parameters", channel.Misconfigured, "555"},
		{"MAIL", "501 5.5.4 parameters", channel.Misconfigured, "5.5.4"},
		{"MAIL", "251 odd", channel.Temporary, "251"},
		{"MAIL", "354 odd", channel.Temporary, "354"},
		{"RCPT", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"RCPT", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"RCPT", "550 5.1.1 <ann.recipient@example.com> unknown", channel.InvalidRecipient, "5.1.1"},
		{"RCPT", "550-5.1.1 <ann.recipient@example.com>\r\n550 5.1.1 unknown", channel.InvalidRecipient, "5.1.1"},
		{"RCPT", "550 5.1.1", channel.InvalidRecipient, "5.1.1"},
		{"RCPT", "550 5.1.2 domain", channel.InvalidRecipient, "5.1.2"},
		{"RCPT", "501 5.1.3 syntax", channel.InvalidRecipient, "5.1.3"},
		{"RCPT", "551 5.1.6 moved", channel.InvalidRecipient, "5.1.6"},
		{"RCPT", "556 5.1.10 null MX", channel.InvalidRecipient, "5.1.10"},
		{"RCPT", "550 5.2.1 disabled", channel.InvalidRecipient, "5.2.1"},
		{"RCPT", "550 relay not permitted", channel.Unreachable, "550"}, // or no such user
		{"RCPT", "551 not local", channel.InvalidRecipient, "551"},
		{"RCPT", "553 not allowed", channel.InvalidRecipient, "553"},
		{"RCPT", "450 4.2.1 too much for him", channel.Unreachable, "4.2.1"},
		{"RCPT", "452 4.2.2 full", channel.Unreachable, "4.2.2"},
		{"RCPT", "552 5.2.2 full", channel.Unreachable, "5.2.2"},
		{"RCPT", "552 full", channel.Unreachable, "552"},
		{"RCPT", "550 5.1.0 rejected", channel.Unreachable, "5.1.0"},
		{"RCPT", "450 4.7.1 greylisted", channel.Temporary, "4.7.1"},
		{"RCPT", "451 4.7.0 greylisted", channel.Temporary, "4.7.0"},
		{"RCPT", "452 disk", channel.Temporary, "452"},
		{"RCPT", "451 4.4.1 route", channel.Temporary, "4.4.1"},
		{"RCPT", "450 4.1.8 sender", channel.Temporary, "4.1.8"},
		{"RCPT", "450 5.1.1 contradiction", channel.Temporary, "450"},
		{"RCPT", "550 5.1.8 sender", channel.Misconfigured, "5.1.8"},
		{"RCPT", "554 5.7.1 relay denied", channel.Misconfigured, "5.7.1"},
		{"RCPT", "501 parameters", channel.Misconfigured, "501"},
		{"RCPT", "555 5.5.4 parameters", channel.Misconfigured, "5.5.4"},
		{"DATA", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{"DATA", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{"DATA", "451 4.3.0 disk", channel.Temporary, "4.3.0"},
		{"DATA", "554 5.5.1 no recipients", channel.Misconfigured, "5.5.1"},
		{"DATA", "550 5.1.1 unknown", channel.InvalidRecipient, "5.1.1"},
		{"DATA", "250 odd", channel.Temporary, "250"},
		{".", "550 5.7.26 unauthenticated", channel.Misconfigured, "5.7.26"},
		{".", "550 5.7.515 unauthenticated", channel.Misconfigured, "5.7.515"},
		{".", "550 5.7.1 spam", channel.Misconfigured, "5.7.1"},
		{".", "550 5.1.1 unknown", channel.InvalidRecipient, "5.1.1"},
		{".", "452 4.2.2 full", channel.Unreachable, "4.2.2"},
		{".", "421 4.7.28 slower", channel.Throttled, "4.7.28"},
		{".", "421 4.3.2 closing", channel.Temporary, "4.3.2"},
		{".", "451 4.7.1 greylisted", channel.Temporary, "4.7.1"},
		{".", "554 no", channel.Misconfigured, "554"},
		{".", "354 odd", channel.Unknown, "354"},
		{".", "251 odd", channel.Unknown, "251"},
		{".", "999 odd", channel.Unknown, "999"},
	} {
		t.Run(tt.step+" "+tt.reply, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{tt.step: tt.reply + "\r\n"})
				s, err := sendTo(t.Context(), t, f, c)
				if err == nil {
					t.Fatal("no error")
				}
				if err.Class != tt.class || err.Code != tt.code {
					t.Errorf("class %v, code %q, want %v, %q: %v", err.Class, err.Code, tt.class, tt.code, err)
				}
				if s.State != channel.Failed {
					t.Errorf("state %v", s.State)
				}
			})
		})
	}
}

// steps are all places where a relay can go wrong, in order.
var steps = []string{"greeting", "EHLO", "STARTTLS", "handshake", "EHLO+", "AUTH", "MAIL", "RCPT", "DATA", "body", "."}

// Wherever the relay stops, Send returns when its context ends, not later, and
// tells whether the mail may have gone out.
func TestStallAnywhere(t *testing.T) {
	t.Parallel()
	bothWays(t, testStallAnywhere)
}

func testStallAnywhere(t *testing.T, newFake newFakeFunc) {
	ends := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
		"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(time.Second, cancel)
			return ctx, func() { stop.Stop(); cancel() }
		},
	}
	for _, step := range steps {
		for _, fault := range []string{stall, deaf} {
			for end, with := range ends {
				t.Run(step+" "+fault[1:]+" "+end, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f, c := newFake(map[string]string{step: fault})
						ctx, cancel := with(t.Context())
						defer cancel()
						begun := time.Now()
						_, err := sendTo(ctx, t, f, c)
						if took := time.Since(begun); took > time.Second+100*time.Millisecond {
							t.Errorf("took %v, want 1s and at most 100ms more", took)
						}
						want := channel.Temporary
						// After "body" the fake reads on, and so gets the dot.
						if step == "." || step == "body" && fault == stall {
							want = channel.Unknown
						}
						if err == nil || err.Class != want || !errors.Is(err, ctx.Err()) {
							t.Errorf("error %v, want class %v and the context's error", err, want)
						}
					})
				})
			}
		}
	}
}

// A relay's own slowness ends at Config.Timeout, and the code's life ends all.
func TestStallEndsByItself(t *testing.T) {
	t.Parallel()
	t.Run("timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(map[string]string{"RCPT": stall})
			c.Timeout = 7 * time.Second
			begun := time.Now()
			_, err := sendTo(context.Background(), t, f, c)
			if took := time.Since(begun); took != c.Timeout || err.Class != channel.Temporary {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
	t.Run("expiry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(map[string]string{"body": deaf})
			c.Timeout = time.Hour
			begun := time.Now()
			_, err := sendTo(context.Background(), t, f, c)
			if took := time.Since(begun); took != 5*time.Minute || err.Class != channel.Expired {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
}

// Wherever the connection is lost, the mail may have gone out only if the final
// dot had.
func TestCloseAnywhere(t *testing.T) {
	t.Parallel()
	bothWays(t, testCloseAnywhere)
}

func testCloseAnywhere(t *testing.T, newFake newFakeFunc) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{step: hangUp})
				_, err := sendTo(t.Context(), t, f, c)
				want := channel.Temporary
				if step == "." {
					want = channel.Unknown
				}
				if err == nil || err.Class != want {
					t.Errorf("error %v, want class %v", err, want)
				}
			})
		})
	}
}

// Half a line is no reply, whatever it would say: a refusal is not taken for one,
// nor an acceptance, and nothing is told of the queue.
func TestHalfAReply(t *testing.T) {
	t.Parallel()
	bothWays(t, testHalfAReply)
}

func testHalfAReply(t *testing.T, newFake newFakeFunc) {
	for _, tt := range []struct{ step, half string }{
		{"greeting", "554"},
		{"EHLO", "250-fake\r\n250 START"},
		{"EHLO", "550 5."},
		{"STARTTLS", "220 go"},
		{"STARTTLS", "502 5."},
		{"EHLO+", "250-fake\r\n250 AUT"},
		{"AUTH", "235"},
		{"AUTH", "535 5."},
		{"MAIL", "250"},
		{"MAIL", "550 5."},
		{"RCPT", "550"},
		{"RCPT", "550 5.1.1"},
		{"RCPT", "550-5.1.1 unknown\r\n550 5."},
		{"DATA", "354 go"},
		{"DATA", "550 5.1.1"},
		{".", "250 2.0.0 Ok: queued as 4X"},
		{".", "550 5.1.1"},
		{".", "451"},
	} {
		for _, end := range []string{hangUp, stall} {
			t.Run(tt.step+" "+tt.half+" "+end[1:], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{tt.step: tt.half + end})
					begun := time.Now()
					s, err := sendTo(t.Context(), t, f, c)
					want := channel.Temporary
					if tt.step == "." {
						want = channel.Unknown
					}
					if err == nil || err.Class != want || err.Code != "" || s.ProviderIDs != nil {
						t.Errorf("%v, error %v, want class %v", s, err, want)
					}
					if tt.step == "DATA" && slices.Contains(f.commands(), ".+") {
						t.Error("the mail was sent")
					}
					if took := time.Since(begun); end == hangUp && took != 0 {
						t.Errorf("took %v", took)
					}
				})
			})
		}
	}
}

// What is not SMTP is refused where it stands, with its words kept out of the
// error.
func TestMalformedReplies(t *testing.T) {
	t.Parallel()
	bothWays(t, testMalformedReplies)
}

func testMalformedReplies(t *testing.T, newFake newFakeFunc) {
	for name, reply := range map[string]string{
		"endless":      endless,
		"no code":      "ann.recipient@example.com is no user here\r\n",
		"short":        "25\r\n",
		"one more":     "250 ok\r\n250 ok\r\n",
		"two codes":    "250-ok\r\n550 ann.recipient@example.com\r\n",
		"long line":    "250 " + strings.Repeat("x", 4000) + "\r\n",
		"binary":       "\x16\x03\x01\x00\x00\r\n",
		"out of range": "099 ann.recipient@example.com\r\n",
	} {
		for _, step := range []string{"greeting", "EHLO", "EHLO+", "MAIL", "RCPT", "DATA", "."} {
			t.Run(step+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{step: reply})
					_, err := sendTo(t.Context(), t, f, c)
					if strings.HasPrefix(step, "EHLO") && name == "long line" {
						return // allowed where lines are short enough in all
					}
					want := channel.Temporary
					if step == "." {
						want = channel.Unknown
					}
					if name == "one more" && step == "." {
						if err != nil { // one too many, but accepted
							t.Error(err)
						}
						return
					}
					if err == nil || err.Class != want {
						t.Errorf("error %v, want class %v", err, want)
					}
				})
			})
		}
	}
}

func TestEndlessReplyTakesLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(map[string]string{"EHLO+": endless})
		_, err := sendTo(t.Context(), t, f, c)
		if err == nil || err.Class != channel.Temporary || !strings.Contains(err.Error(), "64 KiB") {
			t.Errorf("error %v, want class Temporary and the limit", err)
		}
	})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d MiB allocated", grown>>20)
	}
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

func TestLogin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script map[string]string
		class  channel.Class
	}{
		"odd LOGIN prompts": {map[string]string{
			"EHLO+": "250-fake\r\n250 AUTH LOGIN\r\n",
			"AUTH":  "334 VXNlciBOYW1lAA==\r\n", "Y29kZXM=": "334 UGFzc3dvcmQA\r\n",
			"Y29ycmVjdCBob3JzZQ==": "235 ok\r\n",
		}, 0},
		"asks for ever": {map[string]string{
			"EHLO+": "250-fake\r\n250 AUTH LOGIN\r\n",
			"AUTH":  "334 VXNlcm5hbWU6\r\n", "Y29kZXM=": "334 UGFzc3dvcmQ6\r\n",
			"Y29ycmVjdCBob3JzZQ==": "334 UGFzc3dvcmQ6\r\n",
		}, channel.Misconfigured},
		"nothing we know":      {map[string]string{"EHLO+": "250-fake\r\n250 AUTH GSSAPI\r\n"}, channel.Misconfigured},
		"not offered":          {map[string]string{"EHLO+": "250 fake\r\n"}, channel.Misconfigured},
		"refused, then silent": {map[string]string{"AUTH": "535 5.7.8 no\r\n", "*": stall}, channel.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(maps.Clone(tt.script))
				begun := time.Now()
				_, err := sendTo(t.Context(), t, f, c)
				if tt.class == 0 && err != nil || tt.class != 0 && (err == nil || err.Class != tt.class) {
					t.Errorf("error %v, want class %v", err, tt.class)
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("took %v", took)
				}
				if slices.Contains(f.commands(), "MAIL+") != (tt.class == 0) {
					t.Errorf("commands %v", f.commands())
				}
			})
		})
	}
}

// An idle connection is closed, politely, when its time is over.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		defer f.stop()
		c.IdleTimeout = 10 * time.Second
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		for i, pause := range []time.Duration{9 * time.Second, 11 * time.Second, 0} {
			if _, err := ch.Send(t.Context(), message("idle.1")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			synctest.Wait()
			if want := min(i, 1); countOf(f.commands(), "QUIT+") != want {
				t.Errorf("after message %d: %d QUITs, want %d", i, countOf(f.commands(), "QUIT+"), want)
			}
		}
		if f.dials != 2 {
			t.Errorf("%d connections, want 2", f.dials)
		}
	})
}

// A connection is replaced, politely, when it has carried its share.
func TestConnectionEndsWithUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		defer f.stop()
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		for i := 1; i <= 1001; i++ {
			if _, err := ch.Send(t.Context(), message("share.1")); err != nil {
				t.Fatal(err)
			}
			want := map[int][2]int{999: {1, 0}, 1000: {1, 1}, 1001: {2, 1}} // connections, and those ended
			if i < 999 {
				continue
			}
			synctest.Wait()
			if got := [2]int{f.dials, countOf(f.commands(), "QUIT+")}; got != want[i] {
				t.Errorf("after %d messages: %d connections, %d ended, want %v", i, got[0], got[1], want[i])
			}
		}
	})
}

// And when it is five minutes old, whether it is idle then or not.
func TestConnectionEndsWithAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		idleTimeout time.Duration
		pause       time.Duration // between messages
		messages    int           // the last of which is taken before that age
		slow        time.Duration // it takes
		ended       time.Duration
	}{
		{"idle", time.Hour, 299 * time.Second, 2, 0, 300 * time.Second},
		{"busy", 15 * time.Second, 13 * time.Second, 24, 0, 300 * time.Second},
		{"in use", time.Hour, 299 * time.Second, 2, 3 * time.Second, 302 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(nil)
				defer f.stop()
				c.IdleTimeout = tt.idleTimeout
				last := once(".", "x", tt.messages-1)
				var ended time.Time
				f.reject = func(line string) string {
					switch {
					case strings.HasPrefix(line, "QUIT"):
						ended = time.Now()
					case last(line) != "":
						time.Sleep(tt.slow)
					}
					return ""
				}
				ch, err := smtp.New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ch.Close() }()
				begun := time.Now()
				for i := range tt.messages {
					if i > 0 {
						time.Sleep(tt.pause)
					}
					if _, err := ch.Send(t.Context(), message("age.1")); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if took := ended.Sub(begun); took != tt.ended || f.dials != 1 {
					t.Errorf("%d connections, ended after %v, want %v", f.dials, took, tt.ended)
				}
			})
		})
	}
}

func countOf(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
