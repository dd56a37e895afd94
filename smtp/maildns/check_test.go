package maildns

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	const spf, rsaName, edName, dmarc = "bounces.mybank.example", "r2026._domainkey.mybank.example",
		"e2026._domainkey.mybank.example", "_dmarc.mybank.example"
	const rua = "; rua=mailto:dmarc@mybank.example"
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
		"as suggested": {func(zone) {}, nil},
		"nothing": {func(z zone) { clear(z) },
			[]string{"SPF missing", "DKIM missing", "DKIM missing", "DMARC missing"}},
		"other text beside": {func(z zone) { z[spf] = append(z[spf], "site-verification=1", "v=spf10 x") }, nil},
		"spf missing":       {remove(spf), []string{"SPF missing"}},
		"spf twice":         {set(spf, "v=spf1 -all", "V=SPF1 ~all"), []string{"SPF ambiguous"}},
		"spf other": {set(spf, "v=spf1 mx -all"),
			[]string{"SPF not listed: include:_spf.relay.example", "SPF not listed: ip4:192.0.2.1"}},
		"spf network": {set(spf, "v=spf1 ip4:192.0.2.0/24 +include:_SPF.relay.example -all"), nil},
		"spf narrow": {set(spf, "v=spf1 ip4:192.0.2.0/32 include:_spf.relay.example -all"),
			[]string{"SPF not listed: ip4:192.0.2.1"}},
		"spf denied": {set(spf, "v=spf1 -ip4:192.0.2.1 include:_spf.relay.example -all"),
			[]string{"SPF not listed: ip4:192.0.2.1"}},
		"spf behind all": {set(spf, "v=spf1 ip4:192.0.2.1 -all include:_spf.relay.example"),
			[]string{"SPF not listed: include:_spf.relay.example"}},
		"spf in include": {func(z zone) {
			z[spf] = []string{"v=spf1 include:all.example ~all"}
			z["all.example"] = []string{"v=spf1 ip4:192.0.2.1 include:_spf.relay.example -all"}
		}, nil},
		"spf redirect": {func(z zone) {
			z["all.example"] = z[spf]
			z[spf] = []string{"v=spf1 redirect=all.example"}
		}, nil},
		"spf open":    {replace(spf, "~all", "+all"), []string{"SPF weak"}},
		"spf endless": {replace(spf, " ~all", ""), []string{"SPF weak"}},
		"spf neutral": {replace(spf, "~all", "?all"), []string{"SPF weak"}},
		"spf loop":    {set(spf, "v=spf1 include:"+spf+" -all"), []string{"SPF too many look-ups"}},
		"spf eleven": {set(spf, "v=spf1 "+strings.Repeat("a mx exists:x.example ", 4)+"-all"),
			[]string{"SPF too many look-ups"}},
		"spf ten": {set(spf,
			"v=spf1 ip4:192.0.2.1 "+strings.Repeat("a ", 9)+"include:_spf.relay.example -all"), nil},
		"spf unknown": {set(spf, "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"),
			[]string{"SPF malformed: ipv4:192.0.2.2"}},
		"spf bad address": {set(spf, "v=spf1 ip4:192.0.2 -all"), []string{"SPF malformed: ip4:192.0.2"}},
		"spf dead include": {remove("_spf.relay.example"),
			[]string{"SPF malformed: _spf.relay.example has no single SPF record"}},
		"spf macro": {set(spf,
			"v=spf1 ip4:192.0.2.1 include:_spf.relay.example include:%{d}.x.example exp=why.example -all"), nil},
		"key missing": {remove(rsaName), []string{"DKIM missing"}},
		"key twice": {func(z zone) { z[edName] = append(z[edName], z[edName][0]) },
			[]string{"DKIM ambiguous"}},
		"key revoked":       {set(edName, "v=DKIM1; p="), []string{"DKIM different: the key is revoked"}},
		"key of another":    {replace(edName, "p=", "p=A"), []string{"DKIM different: the key is not ours"}},
		"key of other kind": {replace(edName, "k=ed25519", "k=rsa"), []string{"DKIM different: the key is not ours"}},
		"key without kind":  {replace(rsaName, "k=rsa; ", ""), nil},
		"key bare":          {replace(rsaName, "v=DKIM1; ", ""), nil},
		"key folded":        {replace(rsaName, "p=MIIB", "p=MI IB"), nil},
		"key of other hash": {replace(rsaName, "k=rsa", "k=rsa; h=sha1"),
			[]string{"DKIM different: it is not for mail signed with SHA-256"}},
		"key for sha256":      {replace(rsaName, "k=rsa", "k=rsa; h=sha1 : sha256; s=*; t=s"), nil},
		"key in test":         {replace(rsaName, "k=rsa", "k=rsa; t=s:y"), []string{"DKIM weak"}},
		"key without value":   {set(rsaName, "v=DKIM1; k=rsa"), []string{"DKIM malformed"}},
		"key in prose":        {set(rsaName, "hello"), []string{"DKIM malformed"}},
		"key tag twice":       {replace(rsaName, "k=rsa", "k=rsa; k=rsa"), []string{"DKIM malformed"}},
		"dmarc missing":       {remove(dmarc), []string{"DMARC missing"}},
		"dmarc reject":        {set(dmarc, "v=DMARC1;p=reject"+rua), nil},
		"dmarc for others":    {set(dmarc, "v=DMARC1; p=reject; sp=none"+rua), nil},
		"dmarc none":          {set(dmarc, "v=DMARC1; p=none"+rua), []string{"DMARC weak"}},
		"dmarc of nothing":    {set(dmarc, "v=DMARC1; p=reject; pct=0"+rua), []string{"DMARC weak"}},
		"dmarc of half":       {set(dmarc, "v=DMARC1; p=reject; pct=50"+rua), nil},
		"dmarc no policy":     {set(dmarc, "v=DMARC1"+rua), []string{"DMARC weak"}},
		"dmarc nothing":       {set(dmarc, "v=DMARC1"), []string{"DMARC malformed"}},
		"dmarc twice":         {set(dmarc, "v=DMARC1; p=reject", "v=DMARC1; p=none"), []string{"DMARC ambiguous"}},
		"dmarc strict of spf": {set(dmarc, "v=DMARC1; p=reject; adkim=s; aspf=s"+rua), []string{"DMARC misaligned"}},
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
			if p.Fault == NotListed || p.Fault == Different || p.Fault == Malformed && p.Detail != "" {
				s += ": " + p.Detail
			}
			got = append(got, s)
			if p.String() == "" || (p.Found == "") != (p.Fault == Missing || p.Fault == Ambiguous) {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

type deadResolver struct{}

func (deadResolver) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
}

func TestLookupFails(t *testing.T) {
	t.Parallel()
	problems, err := newSetup(t).Check(t.Context(), deadResolver{})
	var dnsErr *net.DNSError
	if problems != nil || !errors.As(err, &dnsErr) {
		t.Errorf("%v, %v", problems, err)
	}
}

// Anybody's record may be looked at: none may keep us busy or break the check.
func FuzzCheck(f *testing.F) {
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
