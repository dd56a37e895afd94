package findcode

import (
	_ "embed"
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
	next    map[rune]*node
	whole   []class // if the word ends here
	stem    []class // if it may go on
	capital bool    // only in capitals
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
	n.capital = word == strings.ToUpper(word) && word != strings.ToLower(word)
	if stem || spaceless(m.runes[len(m.runes)-1]) {
		n.stem = append(n.stem, c)
	} else {
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
	for j := i; j < len(m.runes); j++ {
		r := m.runes[j]
		if r == '-' && n.next['-'] == nil {
			r = ' '
		}
		if n = n.next[r]; n == nil {
			return s, ok
		}
		end := j + 1
		if n.capital && !m.upper[j] {
			continue
		}
		over := !isLetter(m.runes[j]) || !isLetter(m.at(end)) || spaceless(m.at(end))
		switch {
		case n.whole != nil && over:
			s, ok = span{i, end, n.whole}, true
			if n.stem != nil {
				s.classes = append(append([]class(nil), n.whole...), n.stem...)
			}
		case n.stem != nil:
			if !spaceless(m.runes[j]) {
				end = m.wordEnd(j)
			}
			s, ok = span{i, end, n.stem}, true
		}
	}
	return s, ok
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
