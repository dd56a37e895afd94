package wording

import (
	"strings"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// sms returns the SMS, and its content before folding and without the last
// line.
func (r *scratch) sms(s *Set) (said, text string) {
	last := s.lastLine(r.code)
	if r.words.sms != nil {
		said = directed(r.words.dir, strings.TrimSpace(r.execute("SMS", r.words.sms)))
		text, _ = s.fit(said, last)
		return said, text
	}
	say := &r.f.Say
	said = directed(r.words.dir, join(say.Code, say.Details, say.Life, say.Secret, say.Requested, say.Try))
	if s.appHash == "" && r.words.general == nil { // nothing may be left out
		return said, s.folded(said) + last
	}
	text, segments := s.fit(said, last)
	if segments > 1 {
		return r.shorter(s, said, text, segments)
	}
	return said, text
}

// shorter returns the first SMS with fewer sentences that takes one segment. It
// drops a purpose that costs a segment. It drops the rest only for an app,
// whose SMS Retriever reads one segment. If none fits, the SMS is unchanged.
func (r *scratch) shorter(s *Set, said, text string, segments int) (string, string) {
	last, say := s.lastLine(r.code), r.f.Say
	fits := func() bool {
		less := directed(r.words.dir, join(say.Code, say.Details, say.Life, say.Secret, say.Requested, say.Try))
		lessText, n := s.fit(less, last)
		if n == 1 || s.appHash == "" && n < segments {
			said, text = less, lessText
		}
		return n == 1
	}
	if r.words.general != nil {
		say.Code = r.sentence(&r.words.general.say[sayCode])
		if fits() {
			return said, text
		}
	}
	if s.appHash == "" {
		return said, text
	}
	for _, sentence := range []*string{&say.Try, &say.Requested, &say.Life, &say.Secret} {
		*sentence = ""
		if fits() {
			break
		}
	}
	return said, text
}

// lastLine returns the last line of every SMS, with the line break before it.
func (s *Set) lastLine(code string) string {
	switch {
	case s.origin == "" && s.appHash == "":
		return ""
	case s.origin == "":
		return "\n" + s.appHash
	case s.appHash == "":
		return "\n@" + s.origin + " #" + code
	}
	return "\n@" + s.origin + " #" + code + " " + s.appHash
}

// folded folds the content of an SMS if the Config says so.
func (s *Set) folded(said string) string {
	if s.fold {
		return sms.Fold(said)
	}
	return said
}

// fit adds the last line to the content of an SMS, and returns the number of
// segments. SMS Retriever reads one segment, so for it fit folds a longer
// content.
func (s *Set) fit(said, last string) (text string, segments int) {
	text = s.folded(said) + last
	segments = sms.Measure(text).Segments
	if s.appHash == "" || s.fold || segments == 1 {
		return text, segments
	}
	folded := sms.Fold(said) + last
	if sms.Measure(folded).Segments == 1 {
		return folded, 1
	}
	return text, segments
}
