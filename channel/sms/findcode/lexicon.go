package findcode

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// A class is the meaning of a listed word for a number near it; words.txt explains the classes.
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
	saleWord class = "sale"
	sendWord class = "send"
	orWord   class = "or"
	timeWord class = "time"
	yearWord class = "year"
	fillWord class = "fill"
)

// A span is a listed word in a message: the characters from start up to end.
type span struct {
	start, end int
	classes    []class
}

// is reports whether the word is of one of the classes.
func (s span) is(any ...class) bool {
	return slices.ContainsFunc(s.classes, func(c class) bool { return slices.Contains(any, c) })
}

// A node of the trie of words. A listed word ends at a node with classes.
type node struct {
	next     []branch // ordered by rune
	whole    []class  // classes if the word of the message ends here
	stem     []class  // classes if the word may go on
	capitals []class  // classes if the word ends here and is in capitals
}

type branch struct {
	rune rune
	node *node
}

// child returns the node behind r, or nil.
func (n *node) child(r rune) *node {
	if k, ok := n.search(r); ok {
		return n.next[k].node
	}
	return nil
}

func (n *node) search(r rune) (int, bool) {
	return slices.BinarySearchFunc(n.next, r, func(b branch, r rune) int { return int(b.rune - r) })
}

// A lexicon is the list of words.
type lexicon struct {
	begin  node // words by their beginning
	inside node // words that may begin within another
}

//go:embed words.txt
var wordList string

// words is read at first use, which takes some milliseconds.
var words = sync.OnceValue(load)

func load() *lexicon {
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
}

// add adds a word of the list.
func (l *lexicon) add(c class, word string) {
	n := &l.begin
	if strings.HasPrefix(word, "*") {
		n = &l.inside
	}
	m := normalize(strings.Trim(word, "*"))
	for _, r := range m.runes {
		k, ok := n.search(r)
		if !ok {
			n.next = slices.Insert(n.next, k, branch{r, &node{}})
		}
		n = n.next[k].node
	}
	switch {
	case word != strings.ToLower(word):
		n.capitals = append(n.capitals, c)
	case strings.HasSuffix(word, "*"), m.is(len(m.runes)-1, spaceless):
		n.stem = append(n.stem, c)
	default:
		n.whole = append(n.whole, c)
	}
}

// mark finds the listed words in m, the longest of several that begin at one place.
func (l *lexicon) mark(m *message) {
	for i := 0; i < len(m.runes); {
		if !m.begins(i) {
			i++
			continue
		}
		s, ok := l.begin.longest(m, i)
		if m.is(i, letter) && !m.is(i, spaceless) && (!ok || s.is(goalWord)) { // "code" may end a longer word
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

// begins reports whether a word may begin at i.
func (m *message) begins(i int) bool {
	switch {
	case m.runes[i] == ' ', m.runes[i] == '\n', m.is(i, digit) && m.is(i-1, digit):
		return false
	}
	return !m.is(i, letter) || !m.is(i-1, letter) || m.is(i, spaceless) || m.is(i-1, spaceless)
}

// longest returns the longest word that begins at i.
func (n *node) longest(m *message, i int) (s span, ok bool) {
	capitals := true
	for j := i; j < len(m.runes); j++ {
		r := m.runes[j]
		capitals = capitals && (m.is(j, capital) || !m.is(j, letter))
		if r == '-' && n.child('-') == nil {
			r = ' '
		}
		if n = n.child(r); n == nil {
			return s, ok
		}
		whole := !m.is(j, letter) || !m.is(j+1, letter) || m.is(j+1, spaceless)
		if c := n.classes(whole, capitals); len(c) > 0 {
			s, ok = span{i, j + 1, c}, true
			if !whole {
				s.end = max(j+1, m.wordEnd(j))
			}
		}
	}
	return s, ok
}

// classes returns the classes of a word that ends at a node.
func (n *node) classes(whole, capitals bool) []class {
	switch {
	case whole && capitals && n.capitals != nil:
		return slices.Concat(n.whole, n.stem, n.capitals)
	case whole && n.whole != nil:
		return slices.Concat(n.whole, n.stem)
	}
	return n.stem
}

// within looks for listed words inside the word at i, and for the spellings of "code" in many
// languages.
func (l *lexicon) within(m *message, i int) (s span, ok bool) {
	end := m.wordEnd(i)
	for j := i; j < end; j++ {
		if s, ok := l.inside.longest(m, j); ok {
			return span{i, max(end, s.end), s.classes}, true
		}
		if m.isCode(i, j, end) {
			return span{i, end, []class{keyWord}}, true
		}
	}
	return span{}, false
}

// isCode reports whether the word from start to end has "code" at i: c or k, perhaps h, one o or
// more, d, in Latin or Cyrillic letters. It must begin the word or follow three letters or more, as
// in "passcode". Zulu's "khod" may stand anywhere in a word.
func (m *message) isCode(start, i, end int) bool {
	first, o := m.runes[i], i+1
	if first != 'c' && first != 'k' && first != 'к' {
		return false
	}
	if m.at(o) == 'h' {
		o++
	}
	d := o
	for d < end && (m.runes[d] == 'o' || m.runes[d] == 'о') {
		d++
	}
	if d == o || d == end || m.runes[d] != 'd' && m.runes[d] != 'д' {
		return false
	}
	return i == start || i-start >= 3 || o == i+2
}

// wordEnd returns the end of the word at i. It is i outside words, and in scripts without spaces
// between words.
func (m *message) wordEnd(i int) int {
	for i < len(m.runes) && m.is(i, letter) && !m.is(i, spaceless) {
		i++
	}
	return i
}
