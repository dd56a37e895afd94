package gateway

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
	"github.com/otpcourier/otpcourier/gateway/internal/message"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const (
	opState  = "gateway: state"
	opCancel = "gateway: cancel"
)

// smsgateState is the answer to GET /messages/{id}. Its number and text are
// hashed some time after the message has left, so the id alone tells whose it is.
type smsgateState struct {
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
func (g *SMSGate) state(ctx context.Context, op, method, id string) (smsgateState, int, error) {
	resp, err := g.call(ctx, call{op: op, method: method, path: "messages", id: id})
	if err != nil {
		return smsgateState{}, 0, err
	}
	if !resp.OK() {
		return smsgateState{}, resp.Status, refusal(op, resp, time.Now())
	}
	var s smsgateState
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
func (g *SMSGate) exists(ctx context.Context, id string) (bool, error) {
	_, status, err := g.state(ctx, opState, http.MethodGet, id)
	if status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, web.NotSent(err)
}

// poll is asked by the follower.
func (g *SMSGate) poll(ctx context.Context, id string) (follow.Update, error) {
	s, status, err := g.state(ctx, opState, http.MethodGet, id)
	if status == http.StatusNotFound {
		return follow.Update{}, &channel.Error{Class: channel.Temporary, Op: opState, Code: "404", Err: errUnknown}
	}
	if err != nil {
		return follow.Update{}, err
	}
	word, reason := s.State, ""
	for _, r := range s.Recipients { // there is one
		reason = r.Error
		if _, known := smsgateStates[word]; !known {
			word = r.State
		}
	}
	u := g.update(id, word, reason)
	u.At = s.States[word]
	return u, nil
}

// smsgateStates are the words of the API. What is before Sent may come to
// nothing, and is told at the message's expiry only.
var smsgateStates = map[string]channel.State{
	"Pending": 0, "Cancelling": 0, "Processed": 0,
	"Sent": channel.Sent, "Delivered": channel.Delivered,
	"Failed": channel.Failed, "Cancelled": channel.Failed,
}

func (g *SMSGate) update(id, word, reason string) follow.Update {
	state, known := smsgateStates[word]
	u := follow.Update{ProviderID: id, MessageID: id, State: state}
	if known {
		u.Code = word
	}
	if state == channel.Failed {
		u.Class, u.Code = failure(word, reason)
	}
	u.Final = state == channel.Sent && g.config.NoDeliveryReport
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
	{"NO_SERVICE", channel.Temporary}, {"RADIO_", channel.Temporary}, {"NETWORK_", channel.Temporary}, {"MODEM_", channel.Temporary},
	{"INVALID_ADDRESS", channel.InvalidRecipient}, {"INVALID_NUMBER", channel.InvalidRecipient},
	{"SHORT_CODE", channel.Misconfigured}, {"FDN", channel.Misconfigured}, {"SMSC", channel.Misconfigured}, {"SIM_", channel.Misconfigured},
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

// Cancel asks the server to withdraw a message that no phone has taken yet. A
// nil error means that the server gives it to none any more, and tells one that
// has fetched it in the same moment to drop it. The error's class is Unknown
// where a phone has it already, and Misconfigured, with [errors.ErrUnsupported]
// in its tree, on servers before version 1.45, which cannot do this, and for
// messages that the server does not know.
func (g *SMSGate) Cancel(ctx context.Context, m *channel.Message, _ channel.Submission) error {
	if !message.ValidID(m.ID) {
		return &channel.Error{Class: channel.Misconfigured, Op: opCancel, Err: errUnknown}
	}
	ctx, end, err := g.life.Begin(ctx, opCancel, time.Time{})
	if err != nil {
		return err
	}
	defer end()
	s, status, err := g.state(ctx, opCancel, http.MethodDelete, m.ID)
	if status == http.StatusConflict || status == http.StatusInternalServerError { // 500: servers before 1.47
		if now, _, failed := g.state(ctx, opCancel, http.MethodGet, m.ID); failed == nil && withdrawn(now.State) {
			s, status, err = now, http.StatusOK, nil // by an earlier call
		}
	}
	switch {
	case status == http.StatusConflict:
		return &channel.Error{Class: channel.Unknown, Op: opCancel, Code: "409", Err: errNotPending}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		code := refusedCode(err)
		return &channel.Error{Class: channel.Misconfigured, Op: opCancel, Code: code, Err: errNoCancel}
	case err != nil:
		return err
	case s.State != "" && !withdrawn(s.State):
		return &channel.Error{Class: channel.Unknown, Op: opCancel, Err: errNotPending}
	}
	g.life.Follower.Forget(m.ID)
	return nil
}

func withdrawn(word string) bool { return word == "Cancelling" || word == "Cancelled" }

func refusedCode(err error) string {
	if e, ok := errors.AsType[*channel.Error](err); ok {
		return e.Code
	}
	return ""
}
