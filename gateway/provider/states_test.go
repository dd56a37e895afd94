package provider_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What polling tells.
func TestPolls(t *testing.T) {
	t.Parallel()
	canBeAsked := func(p api) bool { return p.pollPath != "" }
	eachProviderThat(t, canBeAsked, func(t *testing.T, p api) {
		inBubble(t, p, nil, func(t *testing.T, b *bubble) {
			if _, err := b.channel.Send(t.Context(), golden()); err != nil {
				t.Fatal(err)
			}
			for _, row := range p.polls {
				b.set(func() { b.state = row.status })
				time.Sleep(31 * time.Second)
				if got := strings.Join(b.receipts(), "; "); got != row.receipt {
					t.Errorf("status %q: heard %q, want %q", row.status, got, row.receipt)
				}
			}
			for _, ids := range b.ids {
				if ids != [2]string{p.id, "golden.1"} {
					t.Errorf("a receipt has ids %q", ids)
				}
			}
		})
	})
}

// Nobody says anything until the code expires: the last that is known is told.
func TestSilent(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "httpsms"), nil, func(t *testing.T, b *bubble) {
		b.set(func() { b.state = "scheduled" })
		if _, err := b.channel.Send(t.Context(), golden()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if d := cmp.Diff([]string{"sent unknown scheduled RESULT_ERROR"}, b.receipts()); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}
