package maildns

import (
	"strings"
	"testing"
)

func TestPolicyIsInherited(t *testing.T) {
	t.Parallel()
	d := newSetup(t)
	d.From, d.Reports = "login.mybank.example", ""
	const at = "DMARC at _dmarc.login.mybank.example: "
	for above, want := range map[string]string{
		"v=DMARC1; p=reject":                    "",
		"v=DMARC1; p=reject; sp=none":           at + "weak: p=none: others may send in our name",
		"v=DMARC1; p=none; sp=reject":           "",
		"v=DMARC1; p=reject; adkim=s":           at + "misaligned: adkim=s, and DKIM signs for mybank.example",
		"v=DMARC1; p=reject; sp=everything; x=": at + "malformed",
	} {
		z := published(t, d)
		delete(z, "_dmarc.login.mybank.example")
		z["_dmarc.mybank.example"] = []string{above}
		problems, err := d.Check(t.Context(), z)
		got := ""
		for _, p := range problems {
			got += p.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", above, got, err, want)
		}
	}
}

// Without a signature DMARC passes only by a return path of the same
// organization.
func TestReturnPathIsAligned(t *testing.T) {
	t.Parallel()
	const at = "misaligned: the return path is at "
	for _, tt := range []struct {
		from, returnPath, dmarc string
		signed                  bool
		want                    string // at the end of what is said
	}{
		{"mybank.example", "mybank.example", "p=reject", false, ""},
		{"mybank.example", "bounces.mybank.example", "p=reject", false, ""},
		{"login.mybank.example", "mybank.example", "p=reject", false, ""},
		{"mybank.co.uk", "mail.mybank.co.uk", "p=reject", false, ""},
		{"mybank.example", "bounces.relay.example", "p=reject", true, ""},
		{"mybank.example", "bounces.relay.example", "p=reject", false,
			at + "bounces.relay.example: only mail that the relay signs for mybank.example passes"},
		{"mybank.co.uk", "relay.co.uk", "p=reject; aspf=s", false,
			at + "relay.co.uk: only mail that the relay signs for mybank.co.uk passes"},
		{"mybank.example", "bounces.mybank.example", "p=reject; aspf=s", false,
			"misaligned: aspf=s, and the return path is at bounces.mybank.example"},
	} {
		d := Setup{From: tt.from, ReturnPath: tt.returnPath, Senders: []string{"mx"}}
		if tt.signed {
			d.DKIM = testSigner()
		}
		z := published(t, d)
		z["_dmarc."+tt.from] = []string{"v=DMARC1; " + tt.dmarc}
		problems, err := d.Check(t.Context(), z)
		got := ""
		for _, p := range problems {
			got += p.String()
		}
		if want := tt.want; err != nil || (got == "") != (want == "") || !strings.HasSuffix(got, want) {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}
