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
	maxWanted   = 16  // items of it to read
)

// Language chooses the language of a message and returns its tag, for [Data].
// It takes the first of:
//
//   - explicit, the person's or their program's choice: one BCP 47 tag, or the
//     value of an Accept-Language header (RFC 9110 section 12.5.4), best first;
//   - the main language of readers in region, the ISO 3166-1 code of the phone
//     number's country (for India it is English, whose users there read more
//     scripts than one);
//   - the default.
//
// Either may be "". A language without wording is never replaced by a similar
// one. For Estonian the result is the language of the number or the default,
// not Finnish. A variant may be replaced by its language in the same script
// ("de-AT" by "de"). A regional wording, such as "en-IN" in Config.Wordings, is
// chosen for numbers of its country, also if explicit names the language alone
// ("en").
//
// If explicit is a single malformed or unregistered tag, such as "klingon" or
// "xx", the error is [ErrLanguage], and so it is if explicit has more than 512
// bytes. A well-formed tag without wording is no error: a browser set to one
// language sends just that tag, and its user is better served in the language
// of their country than not at all. In a list, malformed and unknown tags are
// skipped. An unknown region counts as "".
func (s *Set) Language(explicit, region string) (string, error) {
	if len(explicit) > maxExplicit {
		return "", &Error{Field: "Language", Reason: "is over 512 bytes long", Err: ErrLanguage}
	}
	explicit = strings.TrimSpace(explicit)
	if _, ok := s.words[explicit]; ok {
		if !s.hasRegional {
			return explicit, nil
		}
		return s.regional(explicit, region), nil
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
	for _, tag := range wanted {
		if name, ok := s.find(tag); ok {
			return s.regional(name, region), nil
		}
	}
	for _, tag := range readIn(countryOf(region)) {
		if name, ok := s.find(tag); ok {
			return name, nil
		}
	}
	return s.fallback, nil
}

// find returns the wording for a tag: its language's, or else its
// macrolanguage's.
func (s *Set) find(tag language.Tag) (string, bool) {
	base, script, region := tag.Raw()
	if base == (language.Base{}) {
		return "", false
	}
	tag, err := language.Compose(base, script, region) // without extensions
	if err != nil {
		return "", false
	}
	if name, ok := s.nearest(tag); ok {
		return name, true
	}
	macro, ok := macrolanguages[base.String()]
	if !ok {
		return "", false
	}
	tag, err = language.Compose(language.MustParseBase(macro), script, region)
	if err != nil {
		return "", false
	}
	return s.nearest(tag)
}

// nearest returns the wording of the nearest parent of a tag ("es-MX",
// "es-419", "es"), or else the first of the same language and script.
func (s *Set) nearest(tag language.Tag) (string, bool) {
	for t := tag; t != language.Und; t = t.Parent() {
		if name, ok := s.named(t); ok {
			return name, true
		}
	}
	base, _ := tag.Base()
	for i, t := range s.tags {
		if b, _ := t.Base(); b == base && sameScript(t, tag) {
			return s.names[i], true
		}
	}
	return "", false
}

// named returns the wording of exactly that tag, with its script ("zh-Hant-HK")
// or without ("zh-HK").
func (s *Set) named(tag language.Tag) (string, bool) {
	name := tag.String()
	if _, ok := s.words[name]; ok {
		return name, true
	}
	if !s.hasRegional {
		return "", false
	}
	base, script, region := tag.Raw()
	if region == (language.Region{}) || script != (language.Script{}) {
		return "", false
	}
	script, _ = tag.Script()
	long, err := language.Compose(base, script, region)
	if err != nil {
		return "", false
	}
	name = long.String()
	_, ok := s.words[name]
	return name, ok
}

// macrolanguages are languages whose readers read the standard language of
// their macrolanguage (ISO 639-3). "yue" alone is the language of Guangdong,
// which writes simplified Chinese. Hong Kong's is "yue-HK".
var macrolanguages = func() map[string]string {
	members := map[string]string{
		"ar": "aao abh abv acm acq acw acx acy adf aeb aec afb ajp apc apd arb arq ars ary arz auz avl ayh ayl ayn " +
			"ayp bbz pga shu ssh",
		"zh": "cdo cjy cmn cpx czh czo gan hak hsn mnp nan wuu yue",
		"fa": "pes prs",
		"ms": "zlm zsm",
		"sw": "swc swh",
		"nb": "nn no",
	}
	t := map[string]string{}
	for macro, list := range members {
		for member := range strings.FieldsSeq(list) {
			t[member] = macro
		}
	}
	return t
}()

func sameScript(a, b language.Tag) bool {
	base, _ := a.Base()
	as, _ := a.Script()
	bs, _ := b.Script()
	return as == bs || base.String() == "sr" // read in both
}

// regional returns the wording of the same language for the number's country,
// if there is one and name is not for another country.
func (s *Set) regional(name, region string) string {
	if !s.hasRegional {
		return name
	}
	country := countryOf(region)
	if country == (language.Region{}) {
		return name
	}
	found := language.Make(name)
	base, script, own := found.Raw()
	if own != (language.Region{}) {
		return name
	}
	tag, err := language.Compose(base, script, country)
	if err != nil {
		return name
	}
	if better, ok := s.named(tag); ok && sameScript(found, tag) {
		return better
	}
	return name
}

// accepted reads an Accept-Language value item by item, because
// ParseAcceptLanguage drops the whole list for one unknown tag.
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

// countryOf returns the country of an ISO 3166-1 code, or the zero Region.
func countryOf(code string) language.Region {
	if len(code) != 2 || !isAlphanumeric(code[0]) || !isAlphanumeric(code[1]) {
		return language.Region{}
	}
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return language.Region{}
	}
	return region
}

// readers are the countries in which CLDR's main language is not the main
// language of readers: another language with wording is, or none (""). The list
// was reviewed by literacy and language of schooling. Second choices follow the
// first, for programs that add wordings for them.
var readers = map[string]string{
	"AD": "ca es", "BY": "be ru", "CD": "fr", "FO": "fo da", "GH": "en", "GW": "", "IN": "en", "KM": "", "KZ": "kk ru",
	"ML": "fr", "MT": "mt en", "NA": "en", "PY": "es", "TL": "", "UG": "en", "ZW": "en",
}

// readIn returns the languages of a country's readers, with the country.
func readIn(country language.Region) []language.Tag {
	if country == (language.Region{}) {
		return nil
	}
	var tags []language.Tag
	if list, ok := readers[country.String()]; ok {
		for name := range strings.FieldsSeq(list) {
			if tag, err := language.Compose(language.MustParseBase(name), country); err == nil {
				tags = append(tags, tag)
			}
		}
		return tags
	}
	und, err := language.Compose(country)
	if err != nil {
		return nil
	}
	base, confidence := und.Base()
	tag, err := language.Compose(base, country)
	if err != nil || confidence < language.High {
		return nil
	}
	return append(tags, tag)
}

// direction returns the direction of a language, for the dir attribute.
func direction(tag language.Tag) string {
	switch script, _ := tag.Script(); script.String() {
	case "Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg":
		return "rtl"
	}
	return "ltr"
}
