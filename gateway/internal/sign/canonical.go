package sign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A canonical is the form of a request that all three clouds sign: its parts, a line
// each.
type canonical struct {
	method, path, query string
	headers             map[string]string // by name in lower case
	digest              string            // of the body
}

func (c canonical) signedHeaders() string {
	return strings.Join(slices.Sorted(maps.Keys(c.headers)), ";")
}

// hash returns the SHA-256 of the canonical request in hex.
func (c canonical) hash() string {
	lines := []string{c.method, c.path, c.query}
	for _, name := range slices.Sorted(maps.Keys(c.headers)) {
		lines = append(lines, name+":"+c.headers[name])
	}
	lines = append(lines, "", c.signedHeaders(), c.digest)
	return sha256Hex([]byte(strings.Join(lines, "\n")))
}

// canonicalHeaders returns the headers of a request that are to be signed, and host.
// White space in a value is reduced to one space.
func canonicalHeaders(req *http.Request, signed func(name string) bool) map[string]string {
	headers := map[string]string{"host": host(req)}
	for name, values := range req.Header {
		if name = strings.ToLower(name); !signed(name) {
			continue
		}
		trimmed := make([]string, 0, len(values))
		for _, v := range values {
			trimmed = append(trimmed, strings.Join(strings.Fields(v), " "))
		}
		headers[name] = strings.Join(trimmed, ",")
	}
	return headers
}

// host makes a request name its host without a port that is the scheme's own, as the
// providers do before they verify, and returns the host.
func host(req *http.Request) string {
	name := req.Host
	if name == "" {
		name = req.URL.Host
	}
	port := map[string]string{"https": ":443", "http": ":80"}[req.URL.Scheme]
	name = strings.TrimSuffix(strings.TrimSuffix(name, port), ":")
	req.Host = name
	return name
}

var errQuery = errors.New("the query of the URL is malformed")

// canonicalQuery sorts the query of a request's URL, encodes it as RFC 3986 has it, so
// that it is sent as it is signed, and returns it.
func canonicalQuery(req *http.Request) (string, error) {
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return "", errQuery // err quotes it
	}
	escaped := make(url.Values, len(query))
	for name, values := range query {
		for _, v := range values {
			escaped.Add(escape(name), escape(v))
		}
	}
	req.URL.RawQuery = join(escaped)
	return req.URL.RawQuery, nil
}

// join returns "name=value" of each parameter, sorted by name and then by value, and
// joined by "&".
func join(parameters url.Values) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		for _, v := range slices.Sorted(slices.Values(parameters[name])) {
			pairs = append(pairs, name+"="+v)
		}
	}
	return strings.Join(pairs, "&")
}

// path returns the path of a request's URL as it is sent.
func path(req *http.Request) string {
	if p := req.URL.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

// escape encodes all octets but the unreserved ones (RFC 3986 §2.3).
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}

// derive makes a signing key of a secret: the HMAC of each text in turn.
func derive(secret string, texts ...string) []byte {
	key := []byte(secret)
	for _, text := range texts {
		key = hmacSHA256(key, text)
	}
	return key
}
