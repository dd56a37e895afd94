package phone

import (
	"net/url"
	"strings"
)

// cutScheme cuts "tel:" from a URI.
func cutScheme(text string) (string, bool) {
	const scheme = "tel:"
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimPrefix(text[len(scheme):], "//"), true
}

// cleanURI reads what follows the scheme of a tel URI (RFC 3966): a number, and
// parameters behind semicolons. A phone-context that begins with a plus
// completes a local number; one that is a domain, and other parameters, say
// nothing that a number needs.
func cleanURI(uri string) (written, bool) {
	uri, err := url.PathUnescape(uri)
	if err != nil {
		return written{}, false
	}
	number, parameters, _ := strings.Cut(visible(uri), ";")
	var context string
	var w written
	for parameter := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(parameter, "=")
		switch strings.ToLower(key) {
		case "ext":
			w.extension = value != ""
		case "phone-context":
			context = value
		}
	}
	if strings.HasPrefix(context, "+") && !strings.HasPrefix(number, "+") {
		number = context + number
	}
	var ok bool
	w.number, ok = digits(number)
	return w, ok
}
