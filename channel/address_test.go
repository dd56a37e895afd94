package channel_test

import (
	"errors"
	"net/mail"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

func TestMask(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                     "",
		"+447912345678":        "+44******5678",
		"+14155552671":         "+14*****2671",
		"+123456":              "***",
		"ann@example.com":      "a***@example.com",
		"a@example.com":        "***@example.com",
		"älva@example.com":     "ä***@example.com",
		"token-7f9c2b4ed1a84c": "******a84c",
		"short":                "***",
	} {
		if got := channel.Mask(address); got != want {
			t.Errorf("Mask(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat
	for _, row := range []struct {
		name string
		to   channel.Recipient
		want string // in the error; empty: valid
	}{
		{"nothing", channel.Recipient{}, "no address"},

		{"phone", channel.Recipient{Phone: "+447912345678"}, ""},
		{"shortest phone", channel.Recipient{Phone: "+2901234"}, ""},
		{"longest phone", channel.Recipient{Phone: "+123456789012345"}, ""},
		{"phone too short", channel.Recipient{Phone: "+290123"}, "E.164"},
		{"phone too long", channel.Recipient{Phone: "+1234567890123456"}, "E.164"},
		{"phone without plus", channel.Recipient{Phone: "447912345678"}, "E.164"},
		{"phone with zero", channel.Recipient{Phone: "+0447912345678"}, "E.164"},
		{"phone with space", channel.Recipient{Phone: "+44 7912345678"}, "E.164"},
		{"phone with letter", channel.Recipient{Phone: "+44791234567a"}, "E.164"},
		{"phone in Arabic digits", channel.Recipient{Phone: "+٤٤٧٩١٢٣٤٥٦٧٨"}, "E.164"},
		{"phone with line break", channel.Recipient{Phone: "+447912345678\n"}, "E.164"},

		{"e-mail", channel.Recipient{Email: "ann@example.com"}, ""},
		{"e-mail with all of atext", channel.Recipient{Email: "a!#$%&'*+-/=?^_`{|}~9@example.com"}, ""},
		{"e-mail with dots", channel.Recipient{Email: "ann.b.c@mail.example.com"}, ""},
		{"international e-mail", channel.Recipient{Email: "δοκιμή@παράδειγμα.δοκιμή"}, ""},
		{"e-mail without at", channel.Recipient{Email: "ann"}, "e-mail"},
		{"e-mail without local part", channel.Recipient{Email: "@example.com"}, "e-mail"},
		{"e-mail without domain", channel.Recipient{Email: "ann@"}, "e-mail"},
		{"two ats", channel.Recipient{Email: "ann@b@example.com"}, "e-mail"},
		{"leading dot", channel.Recipient{Email: ".ann@example.com"}, "e-mail"},
		{"trailing dot", channel.Recipient{Email: "ann@example.com."}, "e-mail"},
		{"two dots", channel.Recipient{Email: "ann..b@example.com"}, "e-mail"},
		{"quoted", channel.Recipient{Email: `"ann b"@example.com`}, "e-mail"},
		{"address literal", channel.Recipient{Email: "ann@[192.0.2.1]"}, "e-mail"},
		{"display name", channel.Recipient{Email: "Ann <ann@example.com>"}, "e-mail"},
		{"header injection", channel.Recipient{Email: "ann@example.com\r\nBcc: bob@example.com"}, "e-mail"},
		{"command injection", channel.Recipient{Email: "ann@example.com>\r\nDATA"}, "e-mail"},
		{"two addresses", channel.Recipient{Email: "ann@example.com,bob@example.com"}, "e-mail"},
		{"NUL", channel.Recipient{Email: "ann\x00@example.com"}, "e-mail"},
		{"not UTF-8", channel.Recipient{Email: "ann\xff@example.com"}, "e-mail"},
		{"right-to-left override", channel.Recipient{Email: "ann\u202e@example.com"}, "e-mail"},
		{"label with hyphen first", channel.Recipient{Email: "ann@-example.com"}, "e-mail"},
		{"label with hyphen last", channel.Recipient{Email: "ann@example-.com"}, "e-mail"},
		{"longest local part", channel.Recipient{Email: long("a", 64) + "@example.com"}, ""},
		{"local part too long", channel.Recipient{Email: long("a", 65) + "@example.com"}, "e-mail"},
		{"longest label", channel.Recipient{Email: "a@" + long("a", 63) + ".com"}, ""},
		{"label too long", channel.Recipient{Email: "a@" + long("a", 64) + ".com"}, "e-mail"},
		{"longest", channel.Recipient{Email: long("a", 64) + "@" + long("abcdefg.", 23) + "abcde"}, ""},
		{"too long", channel.Recipient{Email: long("a", 64) + "@" + long("abcdefg.", 23) + "abcdef"}, "e-mail"},

		{"token", channel.Recipient{Push: "dQw4:APA91bH-_x"}, ""},
		{"longest token", channel.Recipient{Push: long("a", 4096)}, ""},
		{"token too long", channel.Recipient{Push: long("a", 4097)}, "push"},
		{"token with space", channel.Recipient{Push: "a b"}, "push"},
		{"token with line break", channel.Recipient{Push: "a\r\nb"}, "push"},
		{"token not UTF-8", channel.Recipient{Push: "a\xff"}, "push"},

		{"one bad of two", channel.Recipient{Phone: "+447912345678", Email: "ann"}, "e-mail"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := row.to.Validate()
			if row.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var e *channel.Error
			if !errors.As(err, &e) || e.Class != channel.InvalidRecipient || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want class %v and %q", err, channel.InvalidRecipient, row.want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	to := channel.Recipient{Phone: "+447912345678", Push: "token"}
	if got := to.Kinds(); got != channel.Phone|channel.Push {
		t.Errorf("kinds %v", got)
	}
	if !to.Has(channel.Phone) || to.Has(channel.Email) || !to.Has(channel.Email|channel.Push) || to.Has(0) {
		t.Error("Has is wrong")
	}
	for kinds, want := range map[channel.Address]string{
		0: "none", channel.Email: "email", channel.Phone | channel.Email | channel.Push: "phone+email+push",
		1 << 7: "none",
	} {
		if got := kinds.String(); got != want {
			t.Errorf("Address(%d) is %q, want %q", kinds, got, want)
		}
	}
}

// FuzzValidate looks for an address that passes and could do harm, and for an
// error or a mask that gives one away.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{
		"", "+447912345678", "+1", "ann@example.com", "a@b", "δοκιμή@παράδειγμα.δοκιμή",
		"ann@example.com\r\nBcc: x@y", "\"a\"@b", "a@[1]", "a b", "<a@b>", "token", "\xff", "a\u0301@b",
	} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, phone, email, push string) {
		to := channel.Recipient{Phone: phone, Email: email, Push: push}
		if err := to.Validate(); err != nil {
			if channel.ClassOf(err) != channel.InvalidRecipient {
				t.Errorf("class %v", channel.ClassOf(err))
			}
			for _, s := range []string{phone, email, push} {
				if len(s) > 5 && strings.ContainsAny(s, "@+0123456789") && strings.Contains(err.Error(), s) {
					t.Errorf("the error holds the address: %v", err)
				}
			}
			return
		}
		for _, s := range []string{phone, email, push} {
			if strings.ContainsAny(s, " \t\r\n\x00<>,;\"") && s != push {
				t.Errorf("%q passes", s)
			}
			if s != "" && channel.Mask(s) == s && !strings.HasPrefix(s, "***") {
				t.Errorf("the mask of %q is itself", s)
			}
		}
		if email == "" {
			return
		}
		if parsed, err := mail.ParseAddress("<" + email + ">"); err != nil || parsed.Address != email {
			t.Errorf("net/mail reads %q as %v, error %v", email, parsed, err)
		}
	})
}
