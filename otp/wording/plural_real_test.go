package wording

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// cardinals prints, for each language of make-plural, the categories of the
// numbers from 1 to the longest life in minutes.
const cardinals = `
const rules = require("make-plural/cardinals"), all = {};
for (const language in rules) {
	all[language] = [];
	for (let n = 1; n <= 10080; n++) all[language].push(rules[language](n));
}
console.log(JSON.stringify(all));`

// unknownRules are the languages of CLDR whose numbers this package counts as
// English does: none of them has a country whose numbers it is chosen for.
var unknownRules = map[string]bool{"br": true, "gv": true, "kw": true, "sgs": true, "shi": true, "tzm": true}

// aliases are the languages of CLDR that a BCP 47 tag does not end up with.
var aliases = map[string]string{"jw": "jv", "mo": "ro", "no": "nb", "sh": "sr"}

// TestRealMakePlural compares each rule with the npm package make-plural.
func TestRealMakePlural(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "node", "-e", cardinals).Output()
	if err != nil {
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatalf("no make-plural (npm install make-plural, NODE_PATH): %v", err)
		}
		t.Skipf("no make-plural (npm install make-plural, NODE_PATH): %v", err)
	}
	var theirs map[string][]string
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	compared, numbers := 0, 0
	for lang, want := range theirs {
		if lang == "und" || unknownRules[lang] {
			continue
		}
		base := lang
		if alias, ok := aliases[lang]; ok {
			base = alias
		}
		rule := pluralRule(base)
		for i, category := range want {
			if got := rule(i + 1).String(); got != category {
				t.Errorf("%s: %d is %s, want %s", lang, i+1, got, category)
				break
			}
			numbers++
		}
		compared++
	}
	t.Logf("%d languages, %d numbers", compared, numbers)
	if compared < 200 {
		t.Errorf("only %d languages were compared", compared)
	}
}
