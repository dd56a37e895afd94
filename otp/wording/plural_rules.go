package wording

import "strings"

// rules are the cardinal rules of CLDR for whole numbers from 1 to a million,
// with their languages. Languages without a rule use germanic.
var rules = []struct {
	languages string
	rule      func(int) category
}{
	{"bm bo dz hnj id ig ii ja jbo jv kde kea km ko lkt lo ms my nqo osa sah ses sg su th to tpi vi wo yo yue zh",
		invariable},
	{"be ru uk", eastSlavic},
	{"bs hr sr", southSlavic},
	{"pl", polish},
	{"cs sk", czech},
	{"dsb hsb sl", slovenian},
	{"lt", lithuanian},
	{"lv prg", latvian},
	{"ro", romanian},
	{"is mk", icelandic},
	{"ar ars", arabic},
	{"mt", maltese},
	{"he iu naq sat se sma smi smj smn sms", dual},
	{"ga", irish},
	{"gd", gaelic},
	{"cy", welsh},
	{"ceb fil tl", filipino},
}

// pluralRule returns the cardinal rule of a language.
func pluralRule(base string) func(int) category {
	if rule, ok := ruleOf[base]; ok {
		return rule
	}
	return germanic
}

var ruleOf = func() map[string]func(int) category {
	t := map[string]func(int) category{}
	for _, r := range rules {
		for base := range strings.FieldsSeq(r.languages) {
			t[base] = r.rule
		}
	}
	return t
}()

func invariable(int) category { return other }

// germanic is also the rule of the Romance languages except Romanian (below a
// million), of Finnish, Bulgarian, Turkish, Hindi, Swahili and Hausa.
func germanic(n int) category {
	if n == 1 {
		return one
	}
	return other
}

func eastSlavic(n int) category {
	switch {
	case n%10 == 1 && n%100 != 11:
		return one
	case paucal(n):
		return few
	}
	return many
}

func southSlavic(n int) category {
	if c := eastSlavic(n); c != many {
		return c
	}
	return other
}

func polish(n int) category {
	switch {
	case n == 1:
		return one
	case paucal(n):
		return few
	}
	return many
}

// paucal reports whether a number ends in 2 to 4, except 12 to 14.
func paucal(n int) bool {
	return n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14)
}

func czech(n int) category {
	switch {
	case n == 1:
		return one
	case n >= 2 && n <= 4:
		return few
	}
	return other
}

func slovenian(n int) category {
	switch n % 100 {
	case 1:
		return one
	case 2:
		return two
	case 3, 4:
		return few
	}
	return other
}

func lithuanian(n int) category {
	teens := n%100 >= 11 && n%100 <= 19
	switch {
	case n%10 == 1 && !teens:
		return one
	case n%10 >= 2 && !teens:
		return few
	}
	return other
}

func romanian(n int) category {
	switch {
	case n == 1:
		return one
	case n%100 >= 1 && n%100 <= 19:
		return few
	}
	return other
}

func icelandic(n int) category {
	if n%10 == 1 && n%100 != 11 {
		return one
	}
	return other
}

func arabic(n int) category {
	switch r := n % 100; {
	case n == 1:
		return one
	case n == 2:
		return two
	case r >= 3 && r <= 10:
		return few
	case r >= 11:
		return many
	}
	return other
}

func maltese(n int) category {
	switch r := n % 100; {
	case n == 1:
		return one
	case n == 2:
		return two
	case r >= 3 && r <= 10:
		return few
	case r >= 11 && r <= 19:
		return many
	}
	return other
}

// dual is the rule of Hebrew and of the languages of the Sami.
func dual(n int) category {
	switch n {
	case 1:
		return one
	case 2:
		return two
	}
	return other
}

func latvian(n int) category {
	switch {
	case n%10 == 0 || n%100 >= 11 && n%100 <= 19:
		return zero
	case n%10 == 1:
		return one
	}
	return other
}

func irish(n int) category {
	switch {
	case n <= 2:
		return dual(n)
	case n <= 6:
		return few
	case n <= 10:
		return many
	}
	return other
}

// gaelic is the rule of Scotland's.
func gaelic(n int) category {
	switch {
	case n == 1 || n == 11:
		return one
	case n == 2 || n == 12:
		return two
	case n <= 19:
		return few
	}
	return other
}

func welsh(n int) category {
	switch n {
	case 3:
		return few
	case 6:
		return many
	}
	return dual(n)
}

// filipino tells the numbers with a linker from the others.
func filipino(n int) category {
	if n <= 3 || n%10 != 4 && n%10 != 6 && n%10 != 9 {
		return one
	}
	return other
}
