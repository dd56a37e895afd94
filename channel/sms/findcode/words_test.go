package findcode

import (
	"slices"
	"strings"
	"testing"
)

// TestWords: each line of the list is of a class that the rules know, and each word is one.
func TestWords(t *testing.T) {
	t.Parallel()
	classes := []class{
		keyWord, otpWord, weakWord, verbWord, goalWord, notWord, unitWord, coinWord, oldWord, voidWord, newWord, isWord,
		taleWord, saleWord, sendWord, orWord, timeWord, yearWord, fillWord,
	}
	for line := range strings.Lines(wordList) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		head, list, ok := strings.Cut(line, " | ")
		name, _, _ := strings.Cut(head, " ")
		if !ok || !slices.Contains(classes, class(name)) {
			t.Errorf("the line %.40q has no class", line)
		}
		for word := range strings.SplitSeq(list, ",") {
			word = strings.TrimSpace(word)
			inner := strings.TrimSuffix(strings.TrimPrefix(word, "*"), "*")
			if m := normalize(inner); len(m.runes) == 0 || len(m.runes) > reach || strings.Contains(inner, "*") {
				t.Errorf("%s: %q is no word", head, word)
			}
		}
	}
}
