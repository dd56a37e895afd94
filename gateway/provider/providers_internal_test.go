package provider

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
)

// A row is a provider in PROVIDERS.md.
type row struct{ values, states, webhooks string }

// rows are the providers in PROVIDERS.md, by name.
func rows(t *testing.T) map[string]row {
	t.Helper()
	page, err := os.ReadFile("PROVIDERS.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]row{}
	for line := range strings.SplitSeq(string(page), "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 5 && strings.HasPrefix(line, "| `") {
			all[strings.Trim(cells[0], "| `")] = row{cells[1], cells[2], strings.TrimSpace(cells[3])}
		}
	}
	return all
}

// PROVIDERS.md has each profile of the package, with its values, its states, whether it is
// polled and cancels, and how its webhooks are signed.
func TestPageListsProviders(t *testing.T) {
	t.Parallel()
	page := rows(t)
	for _, name := range builtIns() {
		entry, ok := page[name]
		if !ok {
			t.Errorf("%s is not on the page", name)
			continue
		}
		delete(page, name)
		p, err := builtIn(name)
		if err != nil {
			t.Fatal(err)
		}
		for value, dflt := range p.spec.Values {
			optional := regexp.MustCompile(`\([^)]*\b` + value + `\b[^)]*\)`).MatchString(entry.values)
			named := regexp.MustCompile(`\b` + value + `\b`).MatchString(entry.values)
			switch {
			case value == "url" && dflt != nil:
			case !named:
				t.Errorf("%s: the value %s is not on the page", name, value)
			case dflt == nil && optional:
				t.Errorf("%s: the value %s is required, but in parentheses", name, value)
			}
		}
		if want := p.describeStates(); entry.states != want {
			t.Errorf("%s: the page has states %q, want %q", name, entry.states, want)
		}
		if want, signed := p.signs(), strings.HasPrefix(entry.webhooks, "Signed"); signed != want {
			t.Errorf("%s: the page says that webhooks are signed: %t, want %t", name, signed, want)
		}
		if named := p.spec.Webhook != nil; named != (entry.webhooks != "") {
			t.Errorf("%s: it has a webhook: %t", name, named)
		}
	}
	for name := range page {
		t.Errorf("%s is on the page, but there is no profile", name)
	}
}

// describeStates names the states that become receipts, and what else there is.
func (p *Profile) describeStates() string {
	var has [8]bool
	for _, state := range p.spec.States {
		if s := stateNames[state]; s != stateEnded {
			has[s] = true
		}
	}
	var all []string
	for _, s := range []channel.State{channel.Sent, channel.Delivered, channel.Failed} {
		if has[s] {
			all = append(all, s.String())
		}
	}
	text := strings.Join(all, ", ")
	if text == "" {
		text = "none"
	}
	if p.spec.Poll != nil {
		text += "; polled"
	}
	if p.spec.Cancel != nil {
		text += "; cancelled"
	}
	return text
}

// signs reports whether the provider signs its webhooks.
func (p *Profile) signs() bool {
	w := p.spec.Webhook
	return w != nil && w.Verify.Token == nil && !w.Verify.DangerouslyNone
}

// A profile whose answers say in the body whether they are a success has a class
// for the codes that it does not list.
func TestUnlistedCodes(t *testing.T) {
	t.Parallel()
	for _, name := range builtIns() {
		p, err := builtIn(name)
		if err != nil {
			t.Fatal(err)
		}
		_, has := p.spec.Classes[anyOther]
		byCode := p.spec.Answer.OK != "" && p.spec.Answer.Code != "" && !p.spec.Answer.IDOptional
		if byCode && !has && !slices.Contains([]string{"routee"}, name) {
			t.Errorf("%s: classes has no %q", name, anyOther)
		}
	}
}
