package maildns

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
)

// faultsOf checks a Setup against a zone and returns the faults of one kind.
func faultsOf(t *testing.T, s Setup, r Resolver, kind Kind) string {
	t.Helper()
	problems, err := s.Check(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range problems {
		if p.Want.Kind == kind {
			all = append(all, p.Fault.String())
		}
	}
	return strings.Join(all, ", ")
}

// Records of SPF that receivers take for none, or for an error (RFC 7208 §4.5,
// §4.6, §12).
func TestBrokenSPF(t *testing.T) {
	t.Parallel()
	const bad = "malformed"
	for record, want := range map[string]string{
		"v=spf1 ip4:192.0.2.77 -all":                                   "",
		"V=SPF1 IP4:192.0.2.77 a/24//64 mx:mail.mybank.example ~ALL":   "",
		"v=spf1  ip4:192.0.2.77   -all ":                               "",
		"v=spf1 ip4:192.0.2.77 x-y.z_1=%{c} -all":                      bad,
		"v=spf1 ip4:192.0.2.77 x-y.z_1=%{d}.x exp=%{d}.x.example -all": "",
		"v=spf1 ip4:192.0.2.77 exists:%{ir}.%{l1r-}._spf.%{d2} -all":   "",
		"v=spf1 ip4:192.0.2.77 a:foo:bar/baz.example.com -all":         "",
		" v=spf1 ip4:192.0.2.77 -all":                                  "missing",
		"v=spf1; ip4:192.0.2.77 -all":                                  "missing",
		"v=spf1\tip4:192.0.2.77 -all":                                  "missing",
		"v=spf10 ip4:192.0.2.77 -all":                                  "missing",
		"\"v=spf1 ip4:192.0.2.77 -all\"":                               "missing",
		"v=spf1 ip4:192.0.2.77 exists -all":                            bad,
		"v=spf1 ip4:192.0.2.77 include -all":                           bad,
		"v=spf1 ip4:192.0.2.77 include: -all":                          bad,
		"v=spf1 ip4:192.0.2.77 mx/33 -all":                             bad,
		"v=spf1 ip4:192.0.2.77 mx/024 -all":                            bad,
		"v=spf1 ip4:192.0.2.77 a//129 -all":                            bad,
		"v=spf1 ip4:192.0.2.77 a: -all":                                bad,
		"v=spf1 ip4:192.0.2.77 a:localhost -all":                       bad,
		"v=spf1 ip4:192.0.2.77 a:192.0.2.1 -all":                       bad,
		"v=spf1 ip4:192.0.2.77 a:x..example -all":                      bad,
		"v=spf1 ip4:192.0.2.77 a:https://mybank.example -all":          bad,
		"v=spf1 ip4:192.0.2.77 -all moo":                               bad,
		"v=spf1 ip4:192.0.2.77 -all:x":                                 bad,
		"v=spf1 ip4:192.0.2.77 -all/8":                                 bad,
		"v=spf1 ip4:192.0.2.77 redirect=a.example redirect=b.example":  bad,
		"v=spf1 ip4:192.0.2.77 exp=a.example exp=b.example -all":       bad,
		"v=spf1 ip4:192.0.2.77 redirect= -all":                         bad,
		"v=spf1 ip4:192.0.2.77 redirect:a.example":                     bad,
		"v=spf1 ip4:192.0.2.77 -redirect=a.example":                    bad,
		"v=spf1 ip4:192.0.2.77 include=a.example -all":                 "",
		"v=spf1 ip4:192.0.2.77,ip4:192.0.2.78 -all":                    bad,
		"v=spf1 ip4:192.0.2.77; -all":                                  bad,
		"v=spf1 ip4:192.0.2.77 ip4=192.0.2.78 -all":                    "",
		"v=spf1 ip4:192.0.2.77 ip4:192.0.2.078 -all":                   bad,
		"v=spf1 ip4:192.0.2.77 ip4:192.0.2.0/33 -all":                  bad,
		"v=spf1 ip4:192.0.2.77 ip4:192.0.2.0//24 -all":                 bad,
		"v=spf1 ip4:192.0.2.77 ip4:mail.mybank.example -all":           bad,
		"v=spf1 ip4:192.0.2.77 ip4:2001:db8::1 -all":                   bad,
		"v=spf1 ip4:192.0.2.77 ip6:192.0.2.1 -all":                     bad,
		"v=spf1 ip4:192.0.2.77 ip6:2001:db8::1%eth0 -all":              bad,
		"v=spf1 ip4:192.0.2.77 exists:%{x}.example -all":               bad,
		"v=spf1 ip4:192.0.2.77 exists:%{i0}.a.example -all":            bad,
		"v=spf1 ip4:192.0.2.77 exists:%a.example -all":                 bad,
		"v=spf1 ip4:192.0.2.77 exists:%{i.a.example -all":              bad,
		"v=spf1 ip4:192.0.2.77 exists:%(i).a.example -all":             bad,
		"v=spf1 ip4:192.0.2.77 --all":                                  bad,
		"v=spf1 ip4:192.0.2.77 - all":                                  bad,
		"v=spf1 ip4:192.0.2.77 –all":                                   bad,
		"v=spf1 ip4:192.0.2.77 v=spf1 -all":                            "",
		"v=spf1 ip4:192.0.2.77 spf1 -all":                              bad,
		"v=spf1 ip4:192.0.2.77 \u00a0-all":                             bad,
	} {
		z := zone{
			"mybank.example": {record}, "_dmarc.mybank.example": {"v=DMARC1; p=reject"},
			"a.example": {"v=spf1 -all"}, "b.example": {"v=spf1 -all"},
		}
		s := Setup{From: "mybank.example", Senders: []string{"ip4:192.0.2.77"}}
		if got := faultsOf(t, s, z, SPF); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

// Beyond ten look-ups, two names that do not exist, or ten hosts of an "mx",
// receivers take the record for an error (RFC 7208 §4.6.4).
func TestSPFLimits(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]string{
		"a mx a:x.example":                                 "",
		"a:gone1.example a:gone2.example":                  "",
		"a:gone1.example mx:gone2.example":                 "",
		"a:gone1.example mx:gone2.example a:gone3.example": "too many look-ups",
		"mx:many.example":                                  "too many look-ups",
		"exists:%{i}.gone1.example a:%{d}.gone2.example mx:%{d}.gone3.example": "",
		strings.Repeat("a ", 11): "too many look-ups",
		"include:loop.example":   "too many look-ups",
	} {
		h := hosts{
			"mybank.example": {TXT: []string{"v=spf1 ip4:192.0.2.77 " + record + " -all"},
				A: []string{"192.0.2.1"}, MX: []string{"x.example"}},
			"_dmarc.mybank.example": {TXT: []string{"v=DMARC1; p=reject"}},
			"x.example":             {A: []string{"192.0.2.2"}},
			"many.example":          {MX: strings.Split(strings.Repeat("x.example,", 10)+"x.example", ",")},
			"loop.example":          {TXT: []string{"v=spf1 include:loop.example -all"}},
		}
		s := Setup{From: "mybank.example", Senders: []string{"ip4:192.0.2.77"}}
		if got := faultsOf(t, s, h, SPF); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

// DMARC by RFC 9989: white space, case, absent and unknown policies, the test mode.
func TestDMARCRecords(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]string{
		"v=DMARC1; p=reject":        "",
		"v=DMARC1;p=reject;":        "",
		"v = DMARC1 ; p = Reject ;": "",
		"V=DMARC1; P=REJECT":        "",
		"v=DMARC1; p=quarantine; np=reject; sp=none; psd=n; x=y": "",
		"v=dmarc1; p=reject":                              "missing",
		"v=DMARC2; p=reject":                              "missing",
		"v=DMARC1 p=reject":                               "missing",
		"p=reject; v=DMARC1":                              "missing",
		"v:DMARC1; p:reject":                              "missing",
		"v=DMARC1":                                        "malformed",
		"v=DMARC1; p=":                                    "malformed",
		"v=DMARC1; p=block":                               "malformed",
		"v=DMARC1; p=reject; p=none":                      "malformed",
		"v=DMARC1; p=reject; sp=block":                    "malformed",
		"v=DMARC1; p=reject; np=block":                    "malformed",
		"v=DMARC1; p=reject, rua=mailto:a@mybank.example": "malformed",
		"v=DMARC1; preject":                               "malformed",
		"v=DMARC1; rua=mailto:a@mybank.example":           "weak",
		"v=DMARC1; p=block; rua=mailto:a@mybank.example":  "weak",
		"v=DMARC1; p=none":                                "weak",
		"v=DMARC1; p=reject; t=y":                         "weak",
		"v=DMARC1; p=quarantine; t=Y":                     "weak",
		"v=DMARC1; p=reject; t=n":                         "",
	} {
		z := zone{"mybank.example": {"v=spf1 ip4:192.0.2.77 -all"}, "_dmarc.mybank.example": {record}}
		s := Setup{From: "mybank.example", Senders: []string{"ip4:192.0.2.77"}}
		if got := faultsOf(t, s, z, DMARC); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

// The policy is that of From's own domain, or else of its organization, as the tree
// walk of RFC 9989 §4.10 finds it.
func TestTreeWalk(t *testing.T) {
	t.Parallel()
	const reject, none = "v=DMARC1; p=reject", "v=DMARC1; p=none"
	const deep = "a.b.c.d.e.f.g.h.mybank.example" // ten labels
	for name, tt := range map[string]struct {
		from, returnPath string
		zone             zone
		want             string
	}{
		"own": {"a.b.mybank.example", "", zone{"a.b.mybank.example": {reject},
			"mybank.example": {none}}, ""},
		"of the organization": {"a.b.mybank.example", "", zone{"mybank.example": {reject}}, ""},
		"not in between": {"a.b.mybank.example", "", zone{"b.mybank.example": {none},
			"mybank.example": {reject}}, ""},
		"ends at psd=n": {"a.b.mybank.example", "", zone{"b.mybank.example": {reject + "; psd=n"},
			"mybank.example": {none}}, ""},
		"below psd=y": {"a.b.mybank.example", "", zone{"b.mybank.example": {none}, "example": {reject +
			"; psd=y"}, "mybank.example": {reject}}, ""},
		"of the public suffix":  {"mybank.bank.example", "", zone{"bank.example": {reject + "; psd=y"}}, ""},
		"several count as none": {"a.mybank.example", "", zone{"mybank.example": {reject, none}}, "missing"},
		"several of its own":    {"mybank.example", "", zone{"mybank.example": {reject, none}}, "ambiguous"},
		"nothing":               {"a.mybank.example", "", zone{}, "missing"},
		"seven labels":          {deep, "", zone{"d.e.f.g.h.mybank.example": {reject}}, ""},
		"eight labels":          {deep, "", zone{"c.d.e.f.g.h.mybank.example": {reject}}, "missing"},
		"sp of it":              {"a.mybank.example", "", zone{"mybank.example": {reject + "; sp=none"}}, "weak"},
		"aligned":               {"a.mybank.example", "b.mybank.example", zone{"mybank.example": {reject}}, ""},
		"not aligned by psd=y": {"a.bank.example", "b.bank.example", zone{"a.bank.example": {reject},
			"bank.example": {reject + "; psd=y"}}, "misaligned"},
		"not aligned by psd=n": {"a.mybank.example", "mybank.example", zone{"a.mybank.example": {reject + "; psd=n"},
			"mybank.example": {reject}}, "misaligned"},
	} {
		z := zone{}
		for domain, texts := range tt.zone {
			z["_dmarc."+domain] = texts
		}
		s := Setup{From: tt.from, ReturnPath: tt.returnPath, Senders: []string{"ip4:192.0.2.77"}}
		if got := faultsOf(t, s, z, DMARC); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Reports arrive if rua names the mailbox, and a domain outside the organization
// says that it wants them.
func TestDMARCReports(t *testing.T) {
	t.Parallel()
	const mailbox = "dmarc@reports.example"
	for name, tt := range map[string]struct {
		reports, rua string
		more         zone
		want         string
	}{
		"none wanted":   {"", "", nil, ""},
		"no rua":        {"dmarc@mybank.example", "", nil, "no reports"},
		"own":           {"dmarc@mybank.example", "mailto:DMARC@mybank.example", nil, ""},
		"own subdomain": {"dmarc@in.mybank.example", "mailto:dmarc@in.mybank.example", nil, ""},
		"with a size":   {"dmarc@mybank.example", "mailto:dmarc@mybank.example!10m", nil, ""},
		"others":        {"dmarc@mybank.example", "mailto:other@mybank.example", nil, "no reports"},
		"among others": {"dmarc@mybank.example", "mailto:a@mybank.example , mailto:dmarc@mybank.example", nil,
			""},
		"no mailto":           {"", "dmarc@mybank.example", nil, "no reports"},
		"https":               {"", "https://mybank.example/dmarc", nil, "no reports"},
		"no address":          {"", "mailto:dmarc", nil, "no reports"},
		"bad size":            {"", "mailto:dmarc@mybank.example!10x", nil, "no reports"},
		"semicolon for comma": {"", "mailto:a@mybank.example mailto:b@mybank.example", nil, "no reports"},
		"external":            {mailbox, "mailto:" + mailbox, nil, "unauthorized"},
		"external, allowed": {mailbox, "mailto:" + mailbox,
			zone{"mybank.example._report._dmarc.reports.example": {"v=DMARC1"}}, ""},
		"external, with a tag": {mailbox, "mailto:" + mailbox,
			zone{"mybank.example._report._dmarc.reports.example": {"v=DMARC1; rua=mailto:b@reports.example"}}, ""},
		"external, twice":         {mailbox, "mailto:" + mailbox + "; ruf=mailto:" + mailbox, nil, "unauthorized"},
		"external, failures only": {"", "mailto:a@mybank.example; ruf=mailto:" + mailbox, nil, "unauthorized"},
		"external, wildcard": {mailbox, "mailto:" + mailbox, zone{"*._report._dmarc.reports.example": {"v=DMARC1;"}},
			""},
		"external, other text": {mailbox, "mailto:" + mailbox,
			zone{"mybank.example._report._dmarc.reports.example": {"v=spf1 -all"}}, "unauthorized"},
	} {
		record := "v=DMARC1; p=reject"
		if tt.rua != "" {
			record += "; rua=" + tt.rua
		}
		z := zone{"mybank.example": {"v=spf1 ip4:192.0.2.77 -all"}, "_dmarc.mybank.example": {record}}
		maps.Copy(z, tt.more)
		s := Setup{From: "mybank.example", Senders: []string{"ip4:192.0.2.77"}, Reports: tt.reports}
		if got := faultsOf(t, s, z, DMARC); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// An RSA key is published as SubjectPublicKeyInfo or as RSAPublicKey.
func TestRSAKeyInBothForms(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	z := published(t, s)
	const name = "r2026._domainkey.mybank.example"
	bare := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(testSigner().keys[0].public.(*rsa.PublicKey)))
	for text, want := range map[string]string{
		z[name][0]:                                "",
		"v=DKIM1; k=rsa; p=" + bare:               "",
		"k=rsa; p=" + bare[:40] + " " + bare[40:]: "",
		"p=" + bare:                               "",
		"v=DKIM1; k=rsa; p=" + bare[4:]:           "different",
		"k=rsa; v=DKIM1; p=" + bare:               "malformed",
		"v=DKIM1; k=ed25519; p=" + bare:           "different",
	} {
		changed := maps.Clone(z)
		changed[name] = []string{text}
		if got := faultsOf(t, s, changed, DKIM); got != want {
			t.Errorf("%.40s: %q, want %q", text, got, want)
		}
	}
}

// The keys of a relay that signs are looked for at the selectors that it names.
func TestSelectorsOfTheRelay(t *testing.T) {
	t.Parallel()
	z := published(t, newSetup(t))
	good := z["r2026._domainkey.mybank.example"][0]
	for name, tt := range map[string]struct {
		texts []string
		want  string
	}{
		"there":         {[]string{good}, ""},
		"none":          {nil, "missing"},
		"twice":         {[]string{good, good}, "ambiguous"},
		"revoked":       {[]string{"v=DKIM1; p="}, "different"},
		"no key":        {[]string{"v=DKIM1; k=rsa; p=AAAA"}, "malformed"},
		"short":         {[]string{"v=DKIM1; p=" + shortKey}, "weak"},
		"in a test":     {[]string{"t=y; " + strings.TrimPrefix(good, "v=DKIM1; ")}, "weak"},
		"unknown kind":  {[]string{"v=DKIM1; k=ec; p=AAAA"}, "malformed"},
		"not for email": {[]string{"v=DKIM1; s=tlsrpt; " + strings.TrimPrefix(good, "v=DKIM1; ")}, "different"},
	} {
		s := Setup{From: "mybank.example", ReturnPath: "bounces.relay.example",
			Senders:   []string{"include:_spf.relay.example"},
			Selectors: []string{"S1"}}
		zone := zone{"_dmarc.mybank.example": {"v=DMARC1; p=reject"}}
		if tt.texts != nil {
			zone["s1._domainkey.mybank.example"] = tt.texts
		}
		if got := faultsOf(t, s, zone, DKIM); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if got := faultsOf(t, s, zone, DMARC); got != "" {
			t.Errorf("%s: DMARC %q, although the relay signs", name, got)
		}
	}
	if _, err := (Setup{From: "mybank.example", Senders: []string{"mx"},
		Selectors: []string{"a b"}}).Records(); err == nil ||
		!strings.Contains(err.Error(), "Setup.Selectors") {
		t.Errorf("a malformed selector: %v", err)
	}
}

// shortKey is an RSA key of 512 bits.
const shortKey = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL0EB7ZNoEkwHWb0Jwu0uUk3rJWxxQr1" +
	"mW5dOZQFjJYV9BhOB7fJrKdRM9H6Jm1ZxjwqJmNVnVwQ1fUo4xgXbLkCAwEAAQ=="

// Bounces need a host that takes them.
func TestMXOfTheReturnPath(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		host host
		want string
	}{
		"MX":      {host{MX: []string{"mail.mybank.example"}}, ""},
		"address": {host{A: []string{"192.0.2.1"}}, ""},
		"nothing": {host{}, "missing"},
		"null MX": {host{MX: []string{"."}}, "missing"},
	} {
		h := hosts{"bounces.mybank.example": tt.host}
		s := Setup{From: "mybank.example", ReturnPath: "bounces.mybank.example", Senders: []string{"ip4:192.0.2.1"}}
		if got := faultsOf(t, s, h, MX); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
