package wording

import (
	"errors"
	"fmt"
	"strings"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// Warning is what an SMS in a language costs beyond one segment of GSM-7.
type Warning struct {
	Language string
	UCS2     bool // it is not GSM-7: a segment holds 70 units instead of 160
	Char     rune // the first character that GSM-7 lacks, if UCS2
	Units    int  // its length: UTF-16 units if UCS2, else septets
	Segments int
}

func (w Warning) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", w.Language)
	if w.UCS2 {
		fmt.Fprintf(&b, "needs UCS-2 for %q, ", w.Char)
	}
	fmt.Fprintf(&b, "%d units in %d segment", w.Units, w.Segments)
	if w.Segments > 1 {
		b.WriteByte('s')
	}
	return b.String()
}

// Lint returns a Warning for each language whose SMS is not GSM-7 or needs more
// than one segment, with a code of 6 digits, the longest life of up to half an
// hour, the last line that is configured and none of the optional parts. The
// default language comes first, then the built-in ones in the order of
// [Languages], then the others by tag.
func (s *Set) Lint() []Warning {
	var warnings []Warning
	for _, name := range s.names {
		text := s.longest(s.words[name])
		n := sms.Measure(text)
		if n.Encoding == sms.GSM7 && n.Segments == 1 {
			continue
		}
		w := Warning{Language: name, UCS2: n.Encoding == sms.UCS2, Units: n.Units, Segments: n.Segments}
		_, err := sms.Encode(text, sms.GSM7)
		if lacking := (*sms.Error)(nil); errors.As(err, &lacking) {
			w.Char = lacking.Char
		}
		warnings = append(warnings, w)
	}
	return warnings
}

// widest has, for every rule of pluralRule and each form it takes up to 30, a
// number of as many digits as that form gets.
var widest = [...]int{1, 2, 3, 10, 21, 22, 25, 30}

// longest returns the longest SMS that w makes for a life of up to 30 minutes.
func (s *Set) longest(w *words) string {
	var longest string
	most := 0
	for _, minutes := range widest {
		// New has rendered w: it cannot fail but for the number of minutes,
		// and then Render will say so.
		t, err := s.render(w, &Data{Language: w.language, Code: "482910", Minutes: minutes})
		if n := sms.Measure(t.SMS); err == nil && n.Units > most {
			longest, most = t.SMS, n.Units
		}
	}
	return longest
}
