package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opProfileSend = "gateway: send"
	opProfilePoll = "gateway: poll"

	// maxProviderID bounds an id, in octets; the longest known has some 60.
	maxProviderID = 256
)

// sendable are the requirements of a message, besides those of the profile's
// templates.
var sendable2 = message.Rules{Op: opProfileSend, Life: time.Second}

// Send submits m as an SMS, or what else the profile makes of it, to m.To.Phone,
// and returns when the provider has answered. It makes one try: whether another
// is safe depends on whether the provider knows m.ID, and is for whoever routes
// to decide. The exception is a token that has expired, which the provider has
// refused before it looked at the message.
//
// The error is an *[channel.Error] whose Code is the provider's own, or else the
// HTTP status. Its class is Unknown once the request was written and not
// answered, Temporary before.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	id, err := c.send(ctx, m)
	if err != nil {
		c.life.NotSent(ctx, err)
		return channel.Submission{State: channel.Failed}, err
	}
	s := channel.Submission{State: channel.Sent}
	if id != "" {
		s.ProviderIDs = []string{id}
		c.life.Follower.Follow(follow.Message{ProviderID: id, MessageID: m.ID, Expires: m.Expires})
	}
	return s, nil
}

func (c *Channel) send(ctx context.Context, m *channel.Message) (string, error) {
	now := time.Now()
	if err := sendable2.Check(m, now); err != nil {
		return "", err
	}
	ctx, end, err := c.life.Begin(ctx, opProfileSend, m.Expires)
	if err != nil {
		return "", err
	}
	defer end()
	answer, err := c.request(ctx, opProfileSend, &c.spec.Send, messageLookup(m, now, c.spec.Languages, c.values))
	if err != nil {
		return "", err
	}
	return c.accepted(answer, time.Now())
}

// request makes a request, and makes it again with a new token if the one that
// was kept is refused; once, however many tokens others fetch meanwhile.
func (c *Channel) request(ctx context.Context, op string, spec *requestSpec, get lookup) (web.Response, error) {
	for try := 0; ; try++ {
		req, err := c.build(ctx, spec, get)
		if err != nil {
			return web.Response{}, &channel.Error{Class: channel.Misconfigured, Op: op, Err: err}
		}
		kept, err := c.authorize(ctx, req)
		if err != nil {
			return web.Response{}, err
		}
		if op == opProfileSend && req.Body == http.NoBody {
			web.Once(req) // a second GET would be a second SMS
		}
		answer, err := c.life.Web.Do(ctx, op, req)
		if err != nil {
			return answer, err
		}
		if try > 0 || kept == "" || answer.Status != http.StatusUnauthorized && answer.Status != http.StatusForbidden {
			return answer, nil
		}
		c.tokens.Drop(kept)
	}
}

// build makes a request of a profile's description. The error holds no value.
func (c *Channel) build(ctx context.Context, spec *requestSpec, get lookup) (*http.Request, error) {
	address, err := c.address(spec, get)
	if err != nil {
		return nil, err
	}
	body, contentType, err := spec.body(get)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, spec.Method, address, body)
	if err != nil {
		return nil, errors.New("the URL is malformed") // err quotes it
	}
	for _, headers := range []map[string]template{c.spec.headers, spec.headers} {
		rendered, err := renderAll(headers, get)
		if err != nil {
			return nil, err
		}
		for name, value := range rendered {
			if !headerValue(value) {
				return nil, fmt.Errorf("the value of header %s has a control character, or white space at an end", name)
			}
			req.Header.Set(name, value)
		}
	}
	if contentType != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

func (c *Channel) address(spec *requestSpec, get lookup) (string, error) {
	address, err := renderURL(spec.url, get)
	if err != nil || spec.query == nil {
		return address, err
	}
	query, err := encodeForm(spec.query, get)
	return address + "?" + query, err
}

// renderURL renders a URL, whose beginning may be a value that was checked.
func renderURL(t template, get lookup) (string, error) {
	base := ""
	if t.parts[0].names != nil {
		value, err := t.parts[0].value(get)
		if err != nil {
			return "", err
		}
		base, t.parts = strings.TrimSuffix(value, "/"), t.parts[1:]
	}
	rest, err := t.renderWith(get, pathSegment)
	return base + rest, err
}

// body renders what is sent. The reader is in memory, so that net/http can
// rewind it.
func (r *requestSpec) body(get lookup) (io.Reader, string, error) {
	switch {
	case r.json != nil:
		v, err := r.json.render(get)
		if err != nil {
			return nil, "", err
		}
		encoded, err := json.Marshal(v)
		return strings.NewReader(string(encoded)), "application/json", err
	case r.form != nil:
		encoded, err := encodeForm(r.form, get)
		return strings.NewReader(encoded), "application/x-www-form-urlencoded", err
	}
	return http.NoBody, "", nil
}

// accepted reads the answer to a message, and returns the provider's id.
func (c *Channel) accepted(r web.Response, now time.Time) (string, error) {
	a := &c.spec.Answer
	document, _ := parseDocument(r.Body) // one that cannot be read says nothing
	success := slices.Contains(a.Statuses, r.Status) || a.Statuses == nil && r.OK()
	if a.ok.set() {
		success = success && slices.Contains(a.Is, a.ok.find(document))
	}
	if !success {
		return "", c.refused(r, document, now)
	}
	id := a.id.find(document)
	if !isProviderID(id) {
		id = "" // nothing will be heard of it, but it is sent
	}
	return id, nil
}

func isProviderID(id string) bool {
	return len(id) <= maxProviderID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// refused is the error for an answer that is no success.
func (c *Channel) refused(r web.Response, document any, now time.Time) error {
	refusal := web.Refusal(opProfileSend, r, now) // Unknown if only the body says that it is none
	if r.Status == http.StatusBadRequest || r.Status == http.StatusUnprocessableEntity {
		// More often than not it is about this one message, its number above all:
		// that is no reason to take the route from everybody.
		refusal.Class = channel.Unreachable
	}
	if class, ok := c.spec.classes["http "+strconv.Itoa(r.Status)]; ok {
		refusal.Class = class
	}
	code := c.spec.Answer.code.find(document)
	class, listed := c.spec.classes[code]
	if listed {
		refusal.Class = class
	}
	if code = shownCode(code, listed); code != "" {
		refusal.Code = code
	}
	return refusal
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

// poll asks for a message's state.
func (c *Channel) poll(ctx context.Context, providerID string) (follow.Update, error) {
	r, err := c.request(ctx, opProfilePoll, &c.spec.Poll.requestSpec, func(name string) (string, error) {
		if name == fieldProviderID {
			return providerID, nil
		}
		return c.value(name)
	})
	if err != nil {
		return follow.Update{}, err
	}
	if !r.OK() {
		return follow.Update{}, web.Refusal(opProfilePoll, r, time.Now())
	}
	document, err := parseDocument(r.Body)
	if err != nil {
		return follow.Update{}, &channel.Error{Op: opProfilePoll, Err: errors.New("the answer cannot be read")}
	}
	update, _ := c.update(providerID, c.spec.Poll.status.find(document), c.spec.Poll.code.find(document))
	return update, nil
}

// update says what a status means, and whether the profile lists it.
func (c *Channel) update(providerID, status, code string) (follow.Update, bool) {
	u := follow.Update{ProviderID: providerID}
	state, ok := c.spec.states[status]
	if !ok {
		return u, false
	}
	switch state {
	case stateEnded:
		u.Final = true
	default:
		u.State = state
	}
	class, listed := c.spec.classes[code]
	if !listed {
		class = c.spec.classes[status]
	}
	u.Code = strings.TrimSpace(status + " " + shownCode(code, listed))
	if u.State == channel.Failed {
		u.Class = class
	}
	return u, true
}
