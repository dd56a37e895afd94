package maildns

import (
	"strings"
	"testing"
)

// A network is let in by itself or a wider one.
func TestNetworkIsListed(t *testing.T) {
	t.Parallel()
	d := Setup{From: "mybank.example", Senders: []string{"ip4:192.0.2.0/24", "ip6:2001:db8::/48", "mx"}}
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
func TestSenderIsListed(t *testing.T) {
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
		d := Setup{From: "mybank.example", Senders: []string{tt.sender}}
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
