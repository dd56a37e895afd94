package provider

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	// maxProviderID bounds an id, in octets; the longest known has some 60.
	maxProviderID = 256

	// maxProviderIDs bounds the ids of one message, one for each part.
	maxProviderIDs = 32

	// anyOther is the class of a refusal inside a 2xx whose code is not listed.
	anyOther = "*"
)

var (
	errNoID    = errors.New("the answer holds no id of the message")
	errPartial = errors.New("a part of the message was taken, another refused")
)

// A verdict is what an answer says of a message.
type verdict int

const (
	silent  verdict = iota // nothing: the answer is not as documented
	taken                  // a success
	refused                // no success
	partly                 // some of several results are a success
)

// judge reads an answer whose status is right.
func (s *successSpec) judge(d document) verdict {
	if !s.ok.set() {
		return taken
	}
	good, bad := 0, 0
	for _, text := range s.ok.texts(d) {
		if _, ok := s.is.of(text); ok {
			good++
		} else {
			bad++
		}
	}
	switch {
	case good > 0 && bad > 0:
		return partly
	case good > 0:
		return taken
	case bad > 0:
		return refused
	}
	return silent
}

// right reports whether the status of an answer is one of a success.
func (s *successSpec) right(r web.Response) bool {
	return slices.Contains(s.Statuses, r.Status) || s.Statuses == nil && r.OK()
}

// read reads an answer to a message for paths.
func (a *answerSpec) read(r web.Response, m *channel.Message) document {
	d := document{header: r.Header, to: &m.To}
	if a.pattern != nil {
		d.root = parseText(a.pattern, r.Body)
	} else {
		d.root, _ = parseDocument(r.Body) // one that cannot be read says nothing
	}
	return d
}

// accepted reads the answer to a message, and returns the provider's ids.
func (c *Channel) accepted(r web.Response, m *channel.Message, now time.Time) ([]string, error) {
	a := &c.spec.Answer
	d := a.read(r, m)
	v := refused
	if a.right(r) {
		v = a.judge(d)
	}
	if v != taken {
		return nil, c.refused(r, d, v, now)
	}
	switch {
	case a.OwnID:
		return []string{m.ID}, nil
	case !a.id.set():
		return nil, nil
	}
	var ids []string
	for _, id := range a.id.texts(d) {
		id = trimID(id)
		if id != "" && isProviderID(id) && !slices.Contains(ids, id) && len(ids) < maxProviderIDs {
			ids = append(ids, id)
		}
	}
	if ids == nil && !a.IDOptional && r.Status != http.StatusConflict { // which says that it has the message
		return nil, c.refused(r, d, silent, now)
	}
	return ids, nil
}

// trimID leaves out the angle brackets that an id of an e-mail has here and
// there (RFC 5322 §3.6.4).
func trimID(id string) string {
	if strings.HasPrefix(id, "<") && strings.HasSuffix(id, ">") {
		return id[1 : len(id)-1]
	}
	return id
}

func isProviderID(id string) bool {
	return len(id) <= maxProviderID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// refused is the error for an answer that is no success.
func (c *Channel) refused(r web.Response, d document, v verdict, now time.Time) error {
	refusal := web.Refusal(opSend, r, now)
	if r.Status == http.StatusBadRequest || r.Status == http.StatusUnprocessableEntity {
		// More often than not it is about this one message, its number above all:
		// that is no reason to take the route from everybody.
		refusal.Class = channel.Unreachable
	}
	if class, ok := c.spec.classes.of("http " + strconv.Itoa(r.Status)); ok {
		refusal.Class = class
	}
	code := c.refusedCode(d)
	class, listed := c.spec.classes.of(code)
	switch other, has := c.spec.classes.of(anyOther); {
	case listed:
		refusal.Class = class
	case has && r.OK() && (v == refused || code != ""):
		refusal.Class = other
	}
	switch {
	case v == partly:
		refusal.Class, refusal.Err = channel.Unknown, errPartial
	case v == silent && !listed:
		refusal.Err = errNoID
	}
	if code = shownCode(code, c.spec.lists(code)); code != "" {
		refusal.Code = code
	}
	return refusal
}

// refusedCode returns the first code of an answer that is not one of a success.
func (c *Channel) refusedCode(d document) string {
	a := &c.spec.Answer
	if !a.code.set() {
		return ""
	}
	for _, code := range a.code.texts(d) {
		if _, success := a.is.of(code); !success {
			return code
		}
	}
	return ""
}

// lists reports whether the profile lists a code as it is, not by a prefix or
// range, so that it is no number or code of a person's.
func (s *profileSpec) lists(code string) bool {
	_, ok := s.classes.exact[code]
	return ok
}

// shownCode returns a provider's code if it can be shown: one that the profile
// lists, or one that is a short word and has no room for a number or a code.
func shownCode(code string, listed bool) string {
	if listed {
		return code
	}
	digits := 0
	for _, r := range code {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r != '-' && r != '_' && r != '.' && (r|0x20 < 'a' || r|0x20 > 'z'):
			return ""
		}
	}
	if len(code) > 40 || digits > 6 || digits == 6 && strings.Trim(code, "0123456789") == "" {
		return ""
	}
	return code
}
