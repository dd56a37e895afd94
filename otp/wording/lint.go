package wording

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// Warning is the cost of an SMS in a language beyond one segment of GSM-7, and
// the systems that cannot fill in its code.
type Warning struct {
	Language string
	Purpose  string // a key of Wording.Purposes, if the warning concerns only that purpose
	UCS2     bool   // it is not GSM-7: a segment has 70 units instead of 160
	Char     rune   // the first character that GSM-7 lacks, if UCS2
	Units    int    // its length: UTF-16 units if UCS2, else septets
	Segments int
	// NoAutofill are the systems that cannot fill in the code:
	//
	//   - "SMS Retriever": more than 140 octets, if Config.AppHash is set.
	//   - "SMS User Consent": the code does not have 4 to 10 letters and
	//     digits, or it has no digit.
	//   - "iOS": the code has signs, which iOS leaves out.
	//   - "Android 15": the code does not have 4 digits, or 5 to 9 letters and
	//     digits with a digit; it may be a year or a date; or a digit follows
	//     it.
	//   - "Android 16": the same, or the text is not English with a word for
	//     "code".
	NoAutofill []string
}

func (w Warning) String() string {
	var b strings.Builder
	b.WriteString(w.Language)
	if w.Purpose != "" {
		fmt.Fprintf(&b, ", %s", w.Purpose)
	}
	b.WriteString(": ")
	if w.UCS2 {
		fmt.Fprintf(&b, "needs UCS-2 for %q, ", w.Char)
	}
	fmt.Fprintf(&b, "%d units in %d segment", w.Units, w.Segments)
	if w.Segments > 1 {
		b.WriteByte('s')
	}
	if len(w.NoAutofill) > 0 {
		b.WriteString(", no autofill by " + strings.Join(w.NoAutofill, ", "))
	}
	return b.String()
}

// Lint returns a Warning for each language whose SMS is not GSM-7, needs more
// than one segment, or has a code that a system cannot fill in. A purpose of
// Config.Wordings has a Warning of its own if it differs in this from its
// language. The text has the longest life of up to half an hour, the configured
// last line and no optional parts. The default language comes first, then the
// built-in ones in the order of [Languages], then the others by tag.
//
// The codes must be examples from the generator: their length and characters
// decide whether a system can fill one in. Default: "482910".
func (s *Set) Lint(codes ...string) []Warning {
	if len(codes) == 0 {
		codes = []string{"482910"}
	}
	var warnings []Warning
	for _, name := range s.names {
		w := s.words[name]
		general := s.lint(w, codes)
		if general.worthwhile() {
			warnings = append(warnings, general)
		}
		for _, purpose := range slices.Sorted(maps.Keys(w.purposes)) {
			found := s.lint(w.purposes[purpose], codes)
			if found.worthwhile() && !found.like(general) {
				found.Purpose = purpose
				warnings = append(warnings, found)
			}
		}
	}
	return warnings
}

func (w Warning) worthwhile() bool { return w.UCS2 || w.Segments > 1 || len(w.NoAutofill) > 0 }

func (w Warning) like(other Warning) bool {
	return w.UCS2 == other.UCS2 && w.Segments == other.Segments && slices.Equal(w.NoAutofill, other.NoAutofill)
}

// lint returns the warning about w, for the code with the most problems.
func (s *Set) lint(w *words, codes []string) Warning {
	found := Warning{Language: w.language}
	for _, code := range codes {
		text := s.longest(w, code)
		if n := sms.Measure(text); n.Units > found.Units {
			found.UCS2, found.Units, found.Segments = n.Encoding == sms.UCS2, n.Units, n.Segments
			_, err := sms.Encode(text, sms.GSM7)
			if lacking := (*sms.Error)(nil); errors.As(err, &lacking) {
				found.Char = lacking.Char
			}
		}
		for _, system := range s.noAutofill(w, text, code) {
			if !slices.Contains(found.NoAutofill, system) {
				found.NoAutofill = append(found.NoAutofill, system)
			}
		}
	}
	return found
}

// widest has, for every rule of pluralRule and each form up to 30, a number of
// as many digits as that form gets.
var widest = [...]int{1, 2, 3, 6, 10, 11, 12, 21, 22, 24, 25, 30}

// longest returns the longest SMS of w for a life of up to 30 minutes.
func (s *Set) longest(w *words, code string) string {
	var longest string
	most := 0
	for _, minutes := range widest {
		// New has rendered w. Only the number of minutes can fail, and Render
		// will report that.
		t, err := s.render(w, &Data{Language: w.language, Code: code, Minutes: minutes, ChallengeID: "c1"})
		if n := sms.Measure(t.SMS); err == nil && n.Units > most {
			longest, most = t.SMS, n.Units
		}
	}
	return longest
}
