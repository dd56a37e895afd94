package smtp_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// rewrites are the forms that RFC 5321 §4.2 and §4.2.1 let a reply have, or that
// servers use.
var rewrites = map[string]func(reply string) string{
	"as usual": func(reply string) string { return reply },
	"code without text": func(reply string) string {
		return eachLine(reply, func(code, sep, text string) string {
			if sep == "-" || isMeant(text) {
				return code + sep + text + "\r\n"
			}
			return code + "\r\n"
		})
	},
	"code and a space": func(reply string) string {
		return eachLine(reply, func(code, sep, text string) string {
			if isMeant(text) {
				return code + sep + text + "\r\n"
			}
			return code + sep + "\r\n"
		})
	},
	"several lines": func(reply string) string { return reply[:3] + "-first\r\n" + reply[:3] + "-second\r\n" + reply },
	"several lines without text": func(reply string) string {
		return reply[:3] + "-\r\n" + reply[:3] + "-\r\n" + reply
	},
	"the last line without text": func(reply string) string {
		return eachLine(reply, func(code, _, text string) string { return code + "-" + text + "\r\n" }) +
			reply[:3] + "\r\n"
	},
	"LF without CR": func(reply string) string { return strings.ReplaceAll(reply, "\r\n", "\n") },
	"LF, and no text": func(reply string) string {
		return reply[:3] + "-\n" + strings.ReplaceAll(reply, "\r\n", "\n")
	},
	"lines with and without text": func(reply string) string {
		return reply[:3] + "-\r\n" + reply[:3] + "-second\n" + reply[:3] + "- \r\n" + reply
	},
	"LF, a bare code":    bare,
	"a space at the end": func(reply string) string { return strings.ReplaceAll(reply, "\r\n", " \r\n") },
}

// isMeant reports a text that has a meaning, such as an extension's name.
func isMeant(text string) bool {
	for _, word := range []string{"AUTH", "STARTTLS", "PIPELINING", "SIZE", "8BITMIME"} {
		if strings.HasPrefix(text, word) {
			return true
		}
	}
	return false
}

func bare(reply string) string {
	return eachLine(reply, func(code, sep, text string) string {
		if isMeant(text) {
			return code + "-" + text + "\n"
		}
		if sep == "-" {
			return code + "-\n"
		}
		return ""
	}) + reply[:3] + "\n"
}

func eachLine(reply string, change func(code, sep, text string) string) string {
	var b strings.Builder
	for line := range strings.Lines(reply) {
		line = strings.TrimRight(line, "\r\n")
		b.WriteString(change(line[:3], line[3:4], line[4:]))
	}
	return b.String()
}

// A relay's replies are understood in each legal form, however rare, in each
// phase.
func TestRareReplies(t *testing.T) {
	t.Parallel()
	for name, rewrite := range rewrites {
		for _, step := range []string{"greeting", "EHLO", "STARTTLS", "EHLO+", "AUTH", "MAIL", "RCPT", "DATA", ".",
			"RSET"} {
			t.Run(name+" "+step, func(t *testing.T) {
				bothWays(t, func(t *testing.T, newFake newFakeFunc) {
					for _, octets := range []bool{false, true} {
						synctest.Test(t, func(t *testing.T) { testRareReply(t, newFake, step, rewrite, octets) })
					}
				})
			})
		}
	}
}

func testRareReply(t *testing.T, newFake newFakeFunc, step string, rewrite func(string) string, octets bool) {
	f, c := newFake(nil)
	f.octets = octets
	f.script = map[string]string{step: rewrite(f.reply(step))}
	f.reject = once("RCPT", "550 5.1.1 unknown\r\n", 0)
	if diff := cmp.Diff([]string{"invalid recipient", "", ""}, sendAll(t, f, c, 3)); diff != "" {
		t.Errorf("octets %v, errors (-want +got):\n%s\n%q", octets, diff, f.script)
	}
	want := 1
	if f.pipelining && step == "DATA" { // it is accepted without a recipient
		want = 2
	}
	if f.dials != want {
		t.Errorf("octets %v: %d connections", octets, f.dials)
	}
}

// A refusal is understood in each legal form, too.
func TestRareRefusals(t *testing.T) {
	t.Parallel()
	for name, rewrite := range rewrites {
		for step, want := range map[string]string{
			"greeting": "temporary", "EHLO": "temporary", "EHLO+": "temporary", "STARTTLS": "misconfigured",
			"AUTH": "misconfigured", "MAIL": "misconfigured",
			"RCPT": "unreachable", "DATA": "unreachable", ".": "unreachable",
		} {
			t.Run(name+" "+step, func(t *testing.T) {
				bothWays(t, func(t *testing.T, newFake newFakeFunc) {
					for _, octets := range []bool{false, true} {
						synctest.Test(t, func(t *testing.T) {
							f, c := newFake(map[string]string{step: rewrite("554 no\r\n")})
							f.octets = octets
							if diff := cmp.Diff([]string{want}, sendAll(t, f, c, 1)); diff != "" {
								t.Errorf("octets %v, errors (-want +got):\n%s\n%q", octets, diff, f.script)
							}
						})
					}
				})
			})
		}
	}
}
