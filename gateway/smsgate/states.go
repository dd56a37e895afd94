package smsgate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opState  = "smsgate: state"
	opCancel = "smsgate: cancel"
)

// stateBody is the answer to GET /messages/{id}. Its number and text are
// hashed some time after the message has left, so the id alone tells whose it is.
type stateBody struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	Recipients []struct {
		State string `json:"state"`
		Error string `json:"error"`
	} `json:"recipients"`
	States map[string]time.Time `json:"states"`
}

var (
	errOther      = errors.New("the server's answer is about another message")
	errNotPending = errors.New("the phone has the message already")
	errUnknown    = errors.New("the server does not know the message")
	errNoCancel   = fmt.Errorf("the server does not know the message, or cannot cancel: %w", errors.ErrUnsupported)
)

// state asks for a message.
func (c *Channel) state(ctx context.Context, op, method, id string) (stateBody, int, error) {
	resp, err := c.call(ctx, request{op: op, method: method, path: "messages", id: id})
	if err != nil {
		return stateBody{}, 0, err
	}
	if !resp.OK() {
		return stateBody{}, resp.Status, refusal(op, resp, time.Now())
	}
	var s stateBody
	if method == http.MethodDelete && len(resp.Body) == 0 {
		return s, resp.Status, nil
	}
	if err := decode(op, resp, &s); err != nil {
		return s, resp.Status, err
	}
	if s.ID != "" && s.ID != id {
		return s, resp.Status, &channel.Error{Class: channel.Temporary, Op: op, Err: errOther}
	}
	return s, resp.Status, nil
}

// exists reports whether the server has a message.
func (c *Channel) exists(ctx context.Context, id string) (bool, error) {
	_, status, err := c.state(ctx, opState, http.MethodGet, id)
	if status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, web.NotSent(err)
}

// poll is asked by the follower.
func (c *Channel) poll(ctx context.Context, id string) (follow.Update, error) {
	s, status, err := c.state(ctx, opState, http.MethodGet, id)
	if status == http.StatusNotFound {
		return follow.Update{}, &channel.Error{Class: channel.Temporary, Op: opState, Code: "404", Err: errUnknown}
	}
	if err != nil {
		return follow.Update{}, err
	}
	word, reason := s.State, ""
	for _, r := range s.Recipients { // there is one
		reason = r.Error
		if _, known := states[word]; !known {
			word = r.State
		}
	}
	u := c.update(id, word, reason)
	u.At = s.States[word]
	return u, nil
}

// states are the words of the API. A word before Sent becomes a receipt at the
// message's expiry only, because the message may still fail.
var states = map[string]channel.State{
	"Pending": 0, "Cancelling": 0, "Processed": 0,
	"Sent": channel.Sent, "Delivered": channel.Delivered,
	"Failed": channel.Failed, "Cancelled": channel.Failed,
}

func (c *Channel) update(id, word, reason string) follow.Update {
	state, known := states[word]
	u := follow.Update{ProviderID: id, MessageID: id, State: state}
	if known {
		u.Code = word
	}
	if state == channel.Failed {
		u.Class, u.Code = failure(word, reason)
	}
	u.Final = state == channel.Sent && c.config.NoDeliveryReport
	return u
}

// constant finds Android's own words in an error, "RESULT_ERROR_NO_SERVICE". The
// rest is prose, perhaps about the number, and stays out of receipts.
var constant = regexp.MustCompile(`\b[A-Z]{2,}(?:_[A-Z]+)+\b`)

// failures maps parts of such words to classes; the first that fits counts.
var failures = []struct {
	part  string
	class channel.Class
}{
	{"LIMIT_EXCEEDED", channel.Throttled},
	{"NO_SERVICE", channel.Temporary}, {"RADIO_", channel.Temporary}, {"NETWORK_", channel.Temporary},
	{"MODEM_", channel.Temporary},
	{"INVALID_ADDRESS", channel.InvalidRecipient}, {"INVALID_NUMBER", channel.InvalidRecipient},
	{"SHORT_CODE", channel.Misconfigured}, {"FDN", channel.Misconfigured}, {"SMSC", channel.Misconfigured},
	{"SIM_", channel.Misconfigured},
}

// failure tells why a phone did not send a message.
func failure(word, reason string) (class channel.Class, code string) {
	class, code = channel.Unreachable, word
	switch {
	case word == "Cancelled":
		return channel.Expired, word
	case strings.Contains(strings.ToLower(reason), "expired"): // "TTL expired"
		class = channel.Expired
	}
	found := constant.FindString(reason)
	if found == "" {
		return class, code
	}
	for _, f := range failures {
		if strings.Contains(found, f.part) {
			return f.class, found
		}
	}
	return class, found
}
