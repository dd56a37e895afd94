package provider

import (
	"context"
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
	opSend = "provider: send"
	opPoll = "provider: poll"

	// maxProviderID bounds an id, in octets; the longest known has some 60.
	maxProviderID = 256
)

// sendable are the requirements of a message, besides those of the profile's
// templates.
var sendable = message.Rules{Op: opSend, Life: time.Second}

// Send submits m to m.To.Phone, as an SMS or as the profile describes, and returns
// when the provider has answered. Send makes one try: whether another is safe
// depends on whether the provider knows m.ID, and is the caller's decision. The
// exception is a token that has expired, which the provider refuses before it
// looks at the message.
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
	switch {
	case id != "":
		s.ProviderIDs = []string{id}
		c.life.Follower.Follow(follow.Message{ProviderID: id, MessageID: m.ID, Expires: m.Expires})
	case c.spec.Answer.id.set():
		c.noID.Do(func() {
			c.config.Logger.WarnContext(ctx, "provider: the account returns no message id: "+
				"no state of its messages will be known")
		})
	}
	return s, nil
}

func (c *Channel) send(ctx context.Context, m *channel.Message) (string, error) {
	now := time.Now()
	if err := sendable.Check(m, now); err != nil {
		return "", err
	}
	ctx, end, err := c.life.Begin(ctx, opSend, m.Expires)
	if err != nil {
		return "", err
	}
	defer end()
	answer, err := c.request(ctx, opSend, &c.spec.Send, messageLookup(m, now, c.spec.Languages, c.values))
	if err != nil {
		return "", err
	}
	return c.accepted(answer, time.Now())
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
	refusal := web.Refusal(opSend, r, now) // Unknown if only the body says that it is none
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
