package provider

import (
	"strconv"
	"strings"
)

// codes maps a provider's codes to their meanings. A key is a code, "500-599" for
// a range of numbers, or "REJECTED*" for a prefix. A code goes before a range,
// a range before a prefix, and a long prefix before a short one.
type codes[T any] struct {
	exact    map[string]T
	ranges   []codeRange[T]
	prefixes map[string]T
}

type codeRange[T any] struct {
	from, to int64
	meaning  T
}

func (c *codes[T]) add(key string, meaning T) {
	if c.exact == nil {
		c.exact, c.prefixes = map[string]T{}, map[string]T{}
	}
	if prefix, ok := strings.CutSuffix(key, "*"); ok && prefix != "" {
		c.prefixes[prefix] = meaning
		return
	}
	if from, to, ok := parseRange(key); ok {
		c.ranges = append(c.ranges, codeRange[T]{from, to, meaning})
		return
	}
	c.exact[key] = meaning
}

func parseRange(key string) (from, to int64, ok bool) {
	low, high, ok := strings.Cut(key, "-")
	if !ok {
		return 0, 0, false
	}
	from, err := strconv.ParseInt(low, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	to, err = strconv.ParseInt(high, 10, 64)
	return from, to, err == nil && from <= to
}

// of returns the meaning of a code, if there is one.
func (c *codes[T]) of(code string) (meaning T, ok bool) {
	if meaning, ok = c.exact[code]; ok || code == "" {
		return meaning, ok
	}
	if n, err := strconv.ParseInt(code, 10, 64); err == nil {
		for _, r := range c.ranges {
			if r.from <= n && n <= r.to {
				return r.meaning, true
			}
		}
	}
	for length := len(code); length > 0; length-- {
		if meaning, ok = c.prefixes[code[:length]]; ok {
			return meaning, ok
		}
	}
	return meaning, false
}
