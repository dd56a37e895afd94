package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A zone is a Resolver that knows these names and no others.
type zone map[string][]string

var _ Resolver = zone(nil)

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if texts, found := z[name]; found {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func newSetup(t testing.TB) DNSSetup {
	t.Helper()
	return DNSSetup{
		From:       "mybank.example",
		ReturnPath: "bounces.mybank.example",
		Senders:    []string{"include:_spf.relay.example", "ip4:192.0.2.1"},
		DKIM:       newDKIM(t, testKeys()...),
		Reports:    "DMARC reports <dmarc@mybank.example>",
	}
}

// published is what a zone holds once Records are in it.
func published(t testing.TB, d DNSSetup) zone {
	t.Helper()
	records, err := d.Records()
	if err != nil {
		t.Fatal(err)
	}
	z := zone{"_spf.relay.example": {"v=spf1 ip4:198.51.100.0/24 -all"}}
	for _, r := range records {
		z[r.Name] = append(z[r.Name], r.Text)
	}
	return z
}

func TestDNSRecords(t *testing.T) {
	t.Parallel()
	records, err := newSetup(t).Records()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		text := r.Text
		if head, _, cut := strings.Cut(text, "; p="); cut && r.Kind == KeyRecord {
			text = head + "; p=…"
		}
		got = append(got, fmt.Sprint(r.Kind, " ", r.Name, " ", text))
	}
	want := []string{
		"SPF bounces.mybank.example v=spf1 include:_spf.relay.example ip4:192.0.2.1 ~all",
		"DKIM r2026._domainkey.mybank.example v=DKIM1; k=rsa; p=…",
		"DKIM e2026._domainkey.mybank.example v=DKIM1; k=ed25519; p=…",
		"DMARC _dmarc.mybank.example v=DMARC1; p=quarantine; rua=mailto:dmarc@mybank.example",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	line := records[1].String()
	if !strings.HasPrefix(line, `r2026._domainkey.mybank.example. IN TXT "v=DKIM1; k=rsa; p=M`) || strings.Count(line, `"`) != 4 {
		t.Errorf("zone file line %s", line)
	}
	for part := range strings.SplitSeq(line, `"`) {
		if len(part) > 255 {
			t.Errorf("a string of %d octets", len(part))
		}
	}
	if joined := strings.ReplaceAll(strings.TrimSuffix(line[strings.Index(line, `"`)+1:], `"`), `" "`, ""); joined != records[1].Text {
		t.Errorf("strings join to %s", joined)
	}
}

func TestDNSSetupRefuses(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*DNSSetup){
		"DNSSetup.From":       func(d *DNSSetup) { d.From = "" },
		"DNSSetup.ReturnPath": func(d *DNSSetup) { d.ReturnPath = "a b" },
		"DNSSetup.DKIM":       func(d *DNSSetup) { d.From = "other.example" },
		"DNSSetup.DKIM was":   func(d *DNSSetup) { d.DKIM = new(DKIM) },
		"DNSSetup.Senders":    func(d *DNSSetup) { d.Senders = nil },
		"DNSSetup.Senders: ":  func(d *DNSSetup) { d.Senders = []string{"include:x -all"} },
		`DNSSetup.Senders: "`: func(d *DNSSetup) { d.Senders = []string{"ip4:2001:db8::1"} },
		"Senders: \"192":      func(d *DNSSetup) { d.Senders = []string{"192.0.2.1"} },
		"Senders: \"all":      func(d *DNSSetup) { d.Senders = []string{"all"} },
		"DNSSetup.Reports":    func(d *DNSSetup) { d.Reports = "x" },
		"Reports is no ":      func(d *DNSSetup) { d.Reports = "a!9m@x.example" },
	} {
		d := newSetup(t)
		change(&d)
		if _, err := d.Records(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := d.Check(t.Context(), zone{}); err == nil {
			t.Errorf("%s: Check accepts it", field)
		}
	}
}

func TestDNSCheck(t *testing.T) {
	t.Parallel()
	const spf, rsaName, edName, dmarc = "bounces.mybank.example", "r2026._domainkey.mybank.example", "e2026._domainkey.mybank.example", "_dmarc.mybank.example"
	replace := func(name, from, to string) func(zone) {
		return func(z zone) {
			if !strings.Contains(z[name][0], from) {
				panic(from)
			}
			z[name] = []string{strings.Replace(z[name][0], from, to, 1)}
		}
	}
	set := func(name string, texts ...string) func(zone) { return func(z zone) { z[name] = texts } }
	remove := func(name string) func(zone) { return func(z zone) { delete(z, name) } }
	for name, tt := range map[string]struct {
		change func(zone)
		want   []string
	}{
		"as suggested":      {func(zone) {}, nil},
		"nothing":           {func(z zone) { clear(z) }, []string{"SPF missing", "DKIM missing", "DKIM missing", "DMARC missing"}},
		"other text beside": {func(z zone) { z[spf] = append(z[spf], "site-verification=1", "v=spf10 x") }, nil},
		"spf missing":       {remove(spf), []string{"SPF missing"}},
		"spf twice":         {set(spf, "v=spf1 -all", "V=SPF1 ~all"), []string{"SPF ambiguous"}},
		"spf other":         {set(spf, "v=spf1 mx -all"), []string{"SPF not listed: include:_spf.relay.example", "SPF not listed: ip4:192.0.2.1"}},
		"spf network":       {set(spf, "v=spf1 ip4:192.0.2.0/24 +include:_SPF.relay.example -all"), nil},
		"spf narrow":        {set(spf, "v=spf1 ip4:192.0.2.0/32 include:_spf.relay.example -all"), []string{"SPF not listed: ip4:192.0.2.1"}},
		"spf denied":        {set(spf, "v=spf1 -ip4:192.0.2.1 include:_spf.relay.example -all"), []string{"SPF not listed: ip4:192.0.2.1"}},
		"spf behind all":    {set(spf, "v=spf1 ip4:192.0.2.1 -all include:_spf.relay.example"), []string{"SPF not listed: include:_spf.relay.example"}},
		"spf in include": {func(z zone) {
			z[spf] = []string{"v=spf1 include:all.example ~all"}
			z["all.example"] = []string{"v=spf1 ip4:192.0.2.1 include:_spf.relay.example -all"}
		}, nil},
		"spf redirect":        {func(z zone) { z["all.example"] = z[spf]; z[spf] = []string{"v=spf1 redirect=all.example"} }, nil},
		"spf open":            {replace(spf, "~all", "+all"), []string{"SPF weak"}},
		"spf endless":         {replace(spf, " ~all", ""), []string{"SPF weak"}},
		"spf neutral":         {replace(spf, "~all", "?all"), []string{"SPF weak"}},
		"spf loop":            {set(spf, "v=spf1 include:"+spf+" -all"), []string{"SPF too many look-ups"}},
		"spf eleven":          {set(spf, "v=spf1 "+strings.Repeat("a mx exists:x.example ", 4)+"-all"), []string{"SPF too many look-ups"}},
		"spf ten":             {set(spf, "v=spf1 ip4:192.0.2.1 "+strings.Repeat("a ", 9)+"include:_spf.relay.example -all"), nil},
		"spf unknown":         {set(spf, "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"), []string{"SPF malformed: ipv4:192.0.2.2"}},
		"spf bad address":     {set(spf, "v=spf1 ip4:192.0.2 -all"), []string{"SPF malformed: ip4:192.0.2"}},
		"spf dead include":    {remove("_spf.relay.example"), []string{"SPF malformed: _spf.relay.example has no single SPF record"}},
		"spf macro":           {set(spf, "v=spf1 ip4:192.0.2.1 include:_spf.relay.example include:%{d}.x.example exp=why.example -all"), nil},
		"key missing":         {remove(rsaName), []string{"DKIM missing"}},
		"key twice":           {func(z zone) { z[edName] = append(z[edName], z[edName][0]) }, []string{"DKIM ambiguous"}},
		"key revoked":         {set(edName, "v=DKIM1; p="), []string{"DKIM different: the key is revoked"}},
		"key of another":      {replace(edName, "p=", "p=A"), []string{"DKIM different: the key is not ours"}},
		"key of other kind":   {replace(edName, "k=ed25519", "k=rsa"), []string{"DKIM different: the key is not ours"}},
		"key without kind":    {replace(rsaName, "k=rsa; ", ""), nil},
		"key bare":            {replace(rsaName, "v=DKIM1; ", ""), nil},
		"key folded":          {replace(rsaName, "p=MIIB", "p=MI IB"), nil},
		"key of other hash":   {replace(rsaName, "k=rsa", "k=rsa; h=sha1"), []string{"DKIM different: it is not for mail signed with SHA-256"}},
		"key for sha256":      {replace(rsaName, "k=rsa", "k=rsa; h=sha1 : sha256; s=*; t=s"), nil},
		"key in test":         {replace(rsaName, "k=rsa", "k=rsa; t=s:y"), []string{"DKIM weak"}},
		"key without value":   {set(rsaName, "v=DKIM1; k=rsa"), []string{"DKIM malformed"}},
		"key in prose":        {set(rsaName, "hello"), []string{"DKIM malformed"}},
		"key tag twice":       {replace(rsaName, "k=rsa", "k=rsa; k=rsa"), []string{"DKIM malformed"}},
		"dmarc missing":       {remove(dmarc), []string{"DMARC missing"}},
		"dmarc reject":        {set(dmarc, "v=DMARC1;p=reject"), nil},
		"dmarc for others":    {set(dmarc, "v=DMARC1; p=reject; sp=none"), nil},
		"dmarc none":          {set(dmarc, "v=DMARC1; p=none"), []string{"DMARC weak"}},
		"dmarc of nothing":    {set(dmarc, "v=DMARC1; p=reject; pct=0"), []string{"DMARC weak"}},
		"dmarc of half":       {set(dmarc, "v=DMARC1; p=reject; pct=50"), nil},
		"dmarc no policy":     {set(dmarc, "v=DMARC1; rua=mailto:a@b.example"), []string{"DMARC malformed"}},
		"dmarc twice":         {set(dmarc, "v=DMARC1; p=reject", "v=DMARC1; p=none"), []string{"DMARC ambiguous"}},
		"dmarc strict of spf": {set(dmarc, "v=DMARC1; p=reject; adkim=s; aspf=s"), []string{"DMARC misaligned"}},
	} {
		d := newSetup(t)
		z := published(t, d)
		tt.change(z)
		problems, err := d.Check(t.Context(), z)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, p := range problems {
			s := p.Want.Kind.String() + " " + p.Fault.String()
			if p.Fault == SenderNotListed || p.Fault == RecordDifferent || p.Fault == RecordMalformed && p.Detail != "" {
				s += ": " + p.Detail
			}
			got = append(got, s)
			if p.String() == "" || (p.Found == "") != (p.Fault == RecordMissing || p.Fault == RecordAmbiguous) {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A network is let in by itself or a wider one.
func TestDNSCheckNetwork(t *testing.T) {
	t.Parallel()
	d := DNSSetup{From: "mybank.example", Senders: []string{"ip4:192.0.2.0/24", "ip6:2001:db8::/48", "mx"}}
	for published, want := range map[string]int{
		"ip4:192.0.2.0/24 ip6:2001:db8::/32 mx":  0,
		"ip4:192.0.2.0/25 ip6:2001:db8::/64 +MX": 2,
		"ip4:192.0.3.0/24 ip6:2001:db9::/32 -mx": 3,
	} {
		problems, err := d.Check(t.Context(), zone{
			"mybank.example":        {"v=spf1 " + published + " -all"},
			"_dmarc.mybank.example": {"v=DMARC1; p=reject"},
		})
		if err != nil || len(problems) != want {
			t.Errorf("%s: %v, %v; want %d", published, problems, err, want)
		}
	}
}

// A sender is let in by the first term that is about it, wherever that stands,
// and a bare "a" or "mx" means the domain whose record it is in.
func TestDNSCheckSenders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sender, record, included string
		listed                   bool
	}{
		{"mx", "mx", "", true},
		{"mx:mybank.example", "mx", "", true},
		{"mx", "mx:mybank.example", "", true},
		{"mx:MyBank.example", "+Mx", "", true},
		{"a:mail.mybank.example", "a", "", false},
		{"a", "a/24", "", true},
		{"a:mail.mybank.example", "-a:mail.mybank.example/24 a:mail.mybank.example", "", false},
		{"mx", "include:other.example", "mx", false},
		{"a", "include:other.example", "a", false},
		{"mx:other.example", "include:other.example", "mx", true},
		{"mx", "redirect=other.example", "mx", false},
		{"mx:mybank.example", "include:other.example", "mx:mybank.example", true},
		{"include:other.example", "include:other.example", "", true},
		{"include:other.example", "-include:other.example", "", false},
		{"ip4:192.0.2.1", "-include:other.example ip4:192.0.2.1", "ip4:192.0.2.0/24", false},
		{"ip4:192.0.2.1", "?include:other.example", "ip4:192.0.2.0/24", false},
		{"ip4:192.0.2.1", "include:other.example", "ip4:192.0.2.0/24", true},
		{"ip4:192.0.2.1", "-ip4:192.0.2.1 ip4:192.0.2.0/24", "", false},
		{"ip4:192.0.2.1", "ip4:192.0.2.0/24 -ip4:192.0.2.1", "", true},
		{"ip4:192.0.2.0/24", "-ip4:192.0.2.1 ip4:192.0.2.0/24", "", false},
		{"ip4:192.0.2.0/24", "ip4:192.0.2.1 ip4:192.0.2.0/24", "", true},
		{"ip4:192.0.2.0/24", "-ip4:192.0.3.1 ip4:192.0.2.0/24", "", true},
		{"ip4:192.0.2.1", "include:other.example ip4:192.0.2.1", "-ip4:192.0.2.1 ip4:192.0.2.0/24", true},
		{"ip4:192.0.2.1", "include:other.example", "-ip4:192.0.2.1 ip4:192.0.2.0/24", false},
		{"exists:%{i}.x.example", "exists:%{i}.x.example", "", true},
	} {
		d := DNSSetup{From: "mybank.example", Senders: []string{tt.sender}}
		end := " -all"
		if strings.HasPrefix(tt.record, "redirect=") {
			end = ""
		}
		problems, err := d.Check(t.Context(), zone{
			"mybank.example":        {"v=spf1 " + tt.record + end},
			"other.example":         {"v=spf1 " + tt.included + " -all"},
			"_dmarc.mybank.example": {"v=DMARC1; p=reject"},
		})
		want := ""
		if !tt.listed {
			want = "SPF at mybank.example: not listed: " + tt.sender
		}
		got := ""
		for _, p := range problems {
			got += p.String()
		}
		if err != nil || got != want {
			t.Errorf("%s in %q, %q: %q, %v; want %q", tt.sender, tt.record, tt.included, got, err, want)
		}
	}
}

func TestDNSCheckAbove(t *testing.T) {
	t.Parallel()
	d := newSetup(t)
	d.From = "login.mybank.example"
	for above, want := range map[string]string{
		"v=DMARC1; p=reject":                    "",
		"v=DMARC1; p=reject; sp=none":           "DMARC at _dmarc.login.mybank.example: weak: p=none: others may send in our name",
		"v=DMARC1; p=none; sp=reject":           "",
		"v=DMARC1; p=reject; adkim=s":           "DMARC at _dmarc.login.mybank.example: misaligned: adkim=s, and DKIM signs for mybank.example",
		"v=DMARC1; p=reject; sp=everything; x=": "DMARC at _dmarc.login.mybank.example: malformed",
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
func TestDNSCheckAlignment(t *testing.T) {
	t.Parallel()
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
		{"mybank.example", "bounces.relay.example", "p=reject", false, "misaligned: the return path is at bounces.relay.example: only mail that the relay signs for mybank.example passes"},
		{"mybank.co.uk", "relay.co.uk", "p=reject; aspf=s", false, "misaligned: the return path is at relay.co.uk: only mail that the relay signs for mybank.co.uk passes"},
		{"mybank.example", "bounces.mybank.example", "p=reject; aspf=s", false, "misaligned: aspf=s, and the return path is at bounces.mybank.example"},
	} {
		d := DNSSetup{From: tt.from, ReturnPath: tt.returnPath, Senders: []string{"mx"}}
		if tt.signed {
			d.DKIM = newDKIM(t, testKeys()...)
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

type deadResolver struct{}

func (deadResolver) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
}

func TestDNSCheckWithoutDNS(t *testing.T) {
	t.Parallel()
	problems, err := newSetup(t).Check(t.Context(), deadResolver{})
	var dnsErr *net.DNSError
	if problems != nil || !errors.As(err, &dnsErr) {
		t.Errorf("%v, %v", problems, err)
	}
}

// Anybody's record may be looked at: none may keep us busy or break the check.
func FuzzDNSCheck(f *testing.F) {
	d := newSetup(f)
	f.Add("v=spf1 include:a -all", "v=DKIM1; p=", "v=DMARC1; p=none", "v=spf1 redirect=a")
	f.Add("v=spf1", "p=x;;t=y", "v=DMARC1", "v=spf1 a/24 mx//64 ip4: ip6:x/999 +")
	f.Fuzz(func(t *testing.T, spf, key, dmarc, included string) {
		z := zone{
			"bounces.mybank.example":          {spf},
			"_spf.relay.example":              {included},
			"a":                               {included},
			"r2026._domainkey.mybank.example": {key},
			"_dmarc.mybank.example":           {dmarc},
		}
		problems, err := d.Check(t.Context(), z)
		if err != nil || len(problems) == 0 { // the second key is missing
			t.Errorf("%v, %v", problems, err)
		}
	})
}
