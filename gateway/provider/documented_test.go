package provider_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

// Each provider that comes with the package reads its documented answers and
// webhooks rightly, and lets no webhook pass that is forged.
func TestDocumented(t *testing.T) {
	t.Parallel()
	var answers, rightAnswers, signatures, rightSignatures atomic.Int32
	t.Run("providers", func(t *testing.T) {
		eachProviderThat(t, func(p api) bool { return p.file == "" }, func(t *testing.T, p api) {
			for _, row := range p.documentedAnswers() {
				answers.Add(1)
				if got := sendTo(t, p, row.answer); got != row.want {
					t.Errorf("%s: %s, want %s", row.name, got, row.want)
					continue
				}
				rightAnswers.Add(1)
			}
			if p.hook.sign == nil {
				return
			}
			signatures.Add(1)
			inBubble(t, p, nil, func(t *testing.T, b *bubble) {
				report := b.hook.report(b.hook.news().status)
				w := b.serve(b.hook.request(report, hookSecret))
				genuine, forged := w.Code, b.post(report, hookSecret+"x")
				unsigned := b.post(report, "")
				if w.Body.String() != b.hook.reply {
					t.Errorf("a webhook is answered %q, want %q", w.Body, b.hook.reply)
				}
				if genuine != http.StatusOK || forged != http.StatusUnauthorized ||
					unsigned != http.StatusUnauthorized {
					t.Errorf("a webhook: status %d, forged %d, not signed %d", genuine, forged, unsigned)
					return
				}
				rightSignatures.Add(1)
			})
		})
	})
	figures := fmt.Sprintf("%d of %d answers, %d of %d signatures", rightAnswers.Load(), answers.Load(),
		rightSignatures.Load(), signatures.Load())
	t.Log(figures)
	page, err := os.ReadFile("PROVIDERS.md")
	if err != nil || !strings.Contains(strings.ReplaceAll(string(page), "\n", " "), figures) {
		t.Errorf("PROVIDERS.md has other figures: %v", err)
	}
	if answers.Load() < 89 || rightAnswers.Load() != answers.Load() || rightSignatures.Load() != signatures.Load() {
		t.Error("some are read wrong, or are missing")
	}
}

// documentedAnswers are all answers of which the tests know, the first of a success.
func (p api) documentedAnswers() []documented {
	var all []documented
	if p.idHeader == "" {
		first := answer{max(p.status, http.StatusOK), strings.ReplaceAll(p.accept, "%d", "1"), nil}
		all = append(all, documented{"accepted", first, fmt.Sprintf("[%s]", p.id)})
	}
	return append(all, p.documented...)
}

// sendTo sends a message to a provider that gives an answer, and says how it ended.
func sendTo(t *testing.T, p api, a answer) (got string) {
	t.Helper()
	inBubble(t, p, nil, func(t *testing.T, b *bubble) {
		b.set(func() { b.fakeProvider.refuse = &a })
		s, err := b.channel.Send(t.Context(), golden())
		got = fmt.Sprint(s.ProviderIDs)
		if e, ok := errors.AsType[*channel.Error](err); ok {
			got = e.Class.String() + " " + e.Code
		}
		for _, secret := range append(b.secrets(), "447700900123", "58203719") {
			if shown := fmt.Sprint(err) + b.log.String(); strings.Contains(shown, secret) {
				t.Errorf("%q is shown: %s", secret, shown)
			}
		}
	})
	return got
}

// A message is withdrawn where the provider can, and else that is an error.
func TestCancels(t *testing.T) {
	t.Parallel()
	can := func(p api) bool { return p.cancelPath != "" }
	eachProviderThat(t, can, func(t *testing.T, p api) {
		inBubble(t, p, nil, func(t *testing.T, b *bubble) {
			s, err := b.channel.Send(t.Context(), golden())
			if err != nil {
				t.Fatal(err)
			}
			canceler, ok := channel.As[channel.Canceler](b.channel)
			if !ok {
				t.Fatal("no Canceler")
			}
			b.set(func() { b.fakeProvider.refuse = &b.tooLate })
			if err := canceler.Cancel(t.Context(), golden(), s); err == nil || channel.ClassOf(err) != channel.Unknown {
				t.Errorf("too late: %v, want class %v", err, channel.Unknown)
			}
			b.set(func() { b.fakeProvider.refuse = nil })
			if err := canceler.Cancel(t.Context(), golden(), s); err != nil {
				t.Error(err)
			}
		})
	})
}

// Every profile that comes with the package and can cancel is held to TestCancels,
// and others make no Canceler.
func TestCancelsAreTested(t *testing.T) {
	t.Parallel()
	eachProvider(t, func(t *testing.T, p api) {
		ch := newChannel(t, p.config(t, "https://provider.example", nil))
		if _, ok := channel.As[channel.Canceler](ch); ok != (p.cancelPath != "") {
			t.Errorf("a Canceler: %t, a path to cancel: %q", ok, p.cancelPath)
		}
	})
}
