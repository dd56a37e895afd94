package wording

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

const (
	maxTag      = 64  // bytes of one tag
	maxExplicit = 512 // bytes of an Accept-Language value
	maxWanted   = 16  // items of it that are looked at
)

// Language chooses the language of a message and returns its tag, for
// [Data]. In this order:
//
//   - explicit, which is what the person or their program asked for: one BCP 47
//     tag, or the value of an Accept-Language header (RFC 9110 section 12.5.4),
//     best first;
//   - the main language of region, the ISO 3166-1 code of the phone number's
//     country (India: English, whose users there read more scripts than one);
//   - the default.
//
// Either may be "". A language that the Set has no wording for may still be
// served by one its readers know (Afrikaans by Dutch, after CLDR), but only if
// the list names none that has its own.
//
// A single tag that is not a tag of BCP 47, as "klingon" or "xx", is an
// [ErrLanguage], and so is a value of more than 512 bytes. A well-formed tag
// without wording is not: a browser set to one language sends just that tag,
// and its user is better served in the language of their country than not at
// all. In a list, what is malformed or unknown is passed over. An unknown
// region counts as "".
func (s *Set) Language(explicit, region string) (string, error) {
	if len(explicit) > maxExplicit {
		return "", &Error{Field: "Language", Reason: "is over 512 bytes long", Err: ErrLanguage}
	}
	explicit = strings.TrimSpace(explicit)
	if _, ok := s.words[explicit]; ok {
		return explicit, nil
	}
	var wanted []language.Tag
	if strings.ContainsAny(explicit, ",;* \t") {
		wanted = accepted(explicit)
	} else if explicit != "" {
		tag, _, err := canonical(explicit)
		if err != nil {
			return "", &Error{Field: "Language", Reason: "is not a BCP 47 tag", Err: ErrLanguage}
		}
		wanted = []language.Tag{tag}
	}
	if name, ok := s.match(wanted); ok {
		return name, nil
	}
	if tag, ok := spoken(region); ok {
		if name, ok := s.match([]language.Tag{tag}); ok {
			return name, nil
		}
	}
	return s.fallback, nil
}

// match returns the first of wanted that has wording of its own, or else the
// first that another language can serve.
func (s *Set) match(wanted []language.Tag) (string, bool) {
	var second string
	for _, tag := range wanted {
		base, _ := tag.Base()
		// The Matcher's tag carries extensions of what was wanted; its index
		// is what says which of ours it means.
		_, i, confidence := s.matcher.Match(tag)
		found, _ := s.tags[i].Base()
		switch {
		case confidence == language.No:
		// Low is what Chinese of Taiwan and Hong Kong gets from simplified
		// Chinese, which its readers can read; it is too low for the rest.
		case confidence == language.Exact,
			base == found && (confidence == language.High || base.String() == "zh"),
			base.String() == "nn" && found.String() == "nb":
			return s.names[i], true
		case second == "" && confidence >= language.High:
			second = s.names[i]
		}
	}
	return second, second != ""
}

// accepted reads an Accept-Language value item by item: ParseAcceptLanguage
// drops the whole list for one tag it does not know.
func accepted(header string) []language.Tag {
	type want struct {
		tag language.Tag
		q   float32
	}
	var wants []want
	items := 0
	for item := range strings.SplitSeq(header, ",") {
		if items++; items > maxWanted {
			break
		}
		tags, q, err := language.ParseAcceptLanguage(strings.TrimSpace(item))
		if err == nil && len(tags) == 1 {
			wants = append(wants, want{tags[0], q[0]})
		}
	}
	slices.SortStableFunc(wants, func(a, b want) int { return cmp.Compare(b.q, a.q) })
	tags := make([]language.Tag, len(wants))
	for i, w := range wants {
		tags[i] = w.tag
	}
	return tags
}

// spoken returns the main language of a country, with the country.
func spoken(region string) (language.Tag, bool) {
	if len(region) != 2 || !isAlphanumeric(region[0]) || !isAlphanumeric(region[1]) {
		return language.Und, false
	}
	if strings.EqualFold(region, "IN") {
		return language.English, true
	}
	und, err := language.Parse("und-" + region)
	if err != nil {
		return language.Und, false
	}
	base, confidence := und.Base()
	country, _ := und.Region()
	tag, err := language.Compose(base, country)
	return tag, err == nil && confidence >= language.High
}

// direction is the way a language is written, for the dir attribute.
func direction(tag language.Tag) string {
	switch script, _ := tag.Script(); script.String() {
	case "Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg":
		return "rtl"
	}
	return "ltr"
}
