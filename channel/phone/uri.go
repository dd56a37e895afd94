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

// cleanURI reads a tel URI after its scheme (RFC 3966): a number, and
// parameters after semicolons. A phone-context that begins with a plus
// completes a local number. A phone-context that names a domain, and other
// parameters, are ignored.
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
