package findcode

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// A class is what a word of the list says about a number near it; words.txt explains them.
type class string

const (
	keyWord  class = "key"
	otpWord  class = "otp"
	weakWord class = "weak"
	verbWord class = "verb"
	goalWord class = "goal"
	notWord  class = "not"
	unitWord class = "unit"
	coinWord class = "coin"
	oldWord  class = "old"
	voidWord class = "void"
	newWord  class = "new"
	isWord   class = "is"
	taleWord class = "tale"
	sendWord class = "send"
	saleWord class = "sale"
	timeWord class = "time"
	yearWord class = "year"
	fillWord class = "fill"
)

// A span is a word of the list in a message: the characters from start up to end.
type span struct {
	start, end int
	classes    []class
}

func (s span) is(c ...class) bool {
	for _, have := range s.classes {
		for _, want := range c {
			if have == want {
				return true
			}
		}
	}
	return false
}

// A node of the trie of words. An entry ends at a node that has classes.
type node struct {
	next     map[rune]*node
	whole    []class // if the word ends here
	stem     []class // if it may go on
	capitals []class // if the word ends here and is in capitals
}

// A lexicon is the list of words.
type lexicon struct {
	begin  node // words by their beginning
	inside node // parts that may stand anywhere in a word
}

//go:embed words.txt
var wordList string

var words = sync.OnceValue(func() *lexicon {
	l := &lexicon{}
	for line := range strings.Lines(wordList) {
		head, list, ok := strings.Cut(line, " | ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(head, " ")
		for word := range strings.SplitSeq(list, ",") {
			l.add(class(name), strings.TrimSpace(word))
		}
	}
	return l
})

// add adds a word as the list has it.
func (l *lexicon) add(c class, word string) {
	root := &l.begin
	anywhere, stem := strings.HasPrefix(word, "*"), strings.HasSuffix(word, "*")
	if anywhere {
		root = &l.inside
	}
	word = strings.Trim(word, "*")
	m := normalize(word)
	n := root
	for _, r := range m.runes {
		if n.next == nil {
			n.next = make(map[rune]*node)
		}
		if n.next[r] == nil {
			n.next[r] = &node{}
		}
		n = n.next[r]
	}
	switch {
	case word != strings.ToLower(word):
		n.capitals = append(n.capitals, c)
	case stem || spaceless(m.runes[len(m.runes)-1]):
		n.stem = append(n.stem, c)
	default:
		n.whole = append(n.whole, c)
	}
}

// mark finds the words of the list in m, the longest where several begin.
func (l *lexicon) mark(m *message) {
	for i := 0; i < len(m.runes); {
		r := m.runes[i]
		before := m.at(i - 1)
		if r == ' ' || r == '\n' || isDigit(r) && isDigit(before) || isLetter(r) && isLetter(before) &&
			!spaceless(r) && !spaceless(before) {
			i++
			continue
		}
		s, ok := l.begin.longest(m, i)
		if isLetter(r) && !spaceless(r) && (!ok || s.is(goalWord)) { // "code" may be at the end of a longer word
			if inner, found := l.within(m, i); found {
				s, ok = inner, true
			}
		}
		if !ok {
			i = max(i+1, m.wordEnd(i))
			continue
		}
		m.words = append(m.words, s)
		i = s.end
	}
}

// longest returns the longest word that begins at i.
func (n *node) longest(m *message, i int) (s span, ok bool) {
	capitals := true
	for j := i; j < len(m.runes); j++ {
		r := m.runes[j]
		capitals = capitals && (m.upper[j] || !isLetter(r))
		if r == '-' && n.next['-'] == nil {
			r = ' '
		}
		if n = n.next[r]; n == nil {
			return s, ok
		}
		whole := !isLetter(m.runes[j]) || !isLetter(m.at(j+1)) || spaceless(m.at(j+1))
		if c := n.classes(whole, capitals); len(c) > 0 {
			s, ok = span{i, j + 1, c}, true
			if !whole && !spaceless(m.runes[j]) {
				s.end = m.wordEnd(j)
			}
		}
	}
	return s, ok
}

// classes returns the classes of what ends at a node.
func (n *node) classes(whole, capitals bool) []class {
	switch {
	case whole && capitals && n.capitals != nil:
		return slices.Concat(n.whole, n.stem, n.capitals)
	case whole && n.whole != nil:
		return slices.Concat(n.whole, n.stem)
	}
	return n.stem
}

// within looks for parts of the list in the word at i, and for the word "code" as half the world writes it.
func (l *lexicon) within(m *message, i int) (s span, ok bool) {
	end := m.wordEnd(i)
	for j := i; j < end; j++ {
		if s, ok := l.inside.longest(m, j); ok {
			return span{i, max(end, s.end), s.classes}, true
		}
		if isCode(m, i, j, end) {
			return span{i, end, codeClasses}, true
		}
	}
	return span{}, false
}

var codeClasses = []class{keyWord}

// isCode reports whether the word from start to end has "code" at i: in Latin letters c or k, perhaps h, o, d; in
// Cyrillic and Greek letters likewise. Within a word it needs three letters before it, as in "passcode".
func isCode(m *message, start, i, end int) bool {
	first := m.runes[i]
	if first != 'c' && first != 'k' && first != 'к' {
		return false
	}
	j := i + 1
	if m.at(j) == 'h' {
		j++
	}
	o := j
	for j < end && (m.runes[j] == 'o' || m.runes[j] == 'о') {
		j++
	}
	if j == o || j >= end || m.runes[j] != 'd' && m.runes[j] != 'д' {
		return false
	}
	return i == start || i-start >= 3 || first == 'k' && o == i+2
}

// wordEnd returns where the word that i is in ends.
func (m *message) wordEnd(i int) int {
	for i < len(m.runes) && isLetter(m.runes[i]) && !spaceless(m.runes[i]) {
		i++
	}
	return i
}
