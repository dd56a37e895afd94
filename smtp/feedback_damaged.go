package smtp

import (
	"bytes"
	"strings"
)

// withLF returns the mail with LF in place of CR if most of its lines end with CR
// alone, as old systems store it.
func withLF(raw []byte) []byte {
	crlf, lf := bytes.Count(raw, []byte("\r\n")), bytes.Count(raw, []byte("\n"))
	if bytes.Count(raw, []byte("\r"))-crlf <= lf {
		return raw
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
}

// cleanHeader returns the mail without the invalid lines of its header: damage,
// and the "From " line that begins a mail in an mbox, which delivery to a command
// and some gateways add. It also drops empty lines before the header.
func cleanHeader(raw []byte) []byte {
	rest := bytes.TrimLeft(raw, "\r\n")
	clean, damaged := make([]byte, 0, len(rest)), false
	for len(rest) > 0 {
		line, after := cutLine(rest)
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		rest = after
		isFolded := len(clean) > 0 && (line[0] == ' ' || line[0] == '\t')
		if !isField(line) && (!isFolded || damaged) {
			damaged = true // its folded lines belong to it
			continue
		}
		damaged = damaged && isFolded
		clean = append(clean, line...)
	}
	return append(clean, rest...)
}

func cutLine(text []byte) (line, rest []byte) {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return text[:end+1], text[end+1:]
	}
	return text, nil
}

// isField reports whether a line begins a header field (RFC 5322 §2.2).
func isField(line []byte) bool {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return found && len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// salvage looks for the parts of a report in a damaged mail, with an undeclared
// boundary, or with a header that ends too early.
func (rep *report) salvage(raw []byte) {
	if len(raw) > maxSalvage {
		raw = raw[:maxSalvage]
	}
	for rest := raw; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		value, found := strings.CutPrefix(strings.ToLower(string(line[:min(len(line), maxHeader)])), "content-type:")
		if !found {
			continue
		}
		kind, _, _ := strings.Cut(value, ";")
		switch strings.TrimSpace(kind) {
		case "message/delivery-status", "message/global-delivery-status":
			if rep.status == nil {
				rep.status = readGroups(partAt(rest))
			}
		case "message/feedback-report":
			if groups := readGroups(partAt(rest)); rep.complaint == nil && len(groups) > 0 {
				rep.complaint = groups[0]
			}
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
			if rep.original == nil {
				rep.original = headerOf(partAt(rest))
			}
		}
	}
	if rep.isEmpty() {
		if rep.parts == 0 && rep.prose == nil { // a multipart without parts
			rep.prose = partAt(raw)
		}
		return
	}
	top, _, _ := bytes.Cut(raw, []byte("\n--")) // the header, although it may have an empty line
	rep.header = top[:min(len(top), maxReport)]
}

// partAt returns the body of a part, from the rest of its header on.
func partAt(rest []byte) []byte {
	for len(rest) > 0 {
		var line []byte
		if line, rest = cutLine(rest); len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	body, _, _ := bytes.Cut(rest, []byte("\n--"))
	return body[:min(len(body), maxReport)]
}

const maxSalvage = 256 << 10 // octets of a damaged mail to search for parts
