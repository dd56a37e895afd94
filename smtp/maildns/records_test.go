package maildns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecords(t *testing.T) {
	t.Parallel()
	records, err := newSetup(t).Records()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		text := r.Text
		if head, _, cut := strings.Cut(text, "; p="); cut && r.Kind == DKIM {
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
	if !strings.HasPrefix(line, `r2026._domainkey.mybank.example. IN TXT "v=DKIM1; k=rsa; p=M`) ||
		strings.Count(line, `"`) != 4 {
		t.Errorf("zone file line %s", line)
	}
	for part := range strings.SplitSeq(line, `"`) {
		if len(part) > 255 {
			t.Errorf("a string of %d octets", len(part))
		}
	}
	if joined := strings.ReplaceAll(strings.TrimSuffix(line[strings.Index(line, `"`)+1:], `"`), `" "`,
		""); joined != records[1].Text {
		t.Errorf("strings join to %s", joined)
	}
}
