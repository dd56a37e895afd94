package pull

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

const maxPoll = 256 << 10 // octets, before and after decompression

// poll is the body of a phone's POST. SMS that it has received are ignored.
type poll struct {
	Updates []pollUpdate `json:"updates"`
}

type pollUpdate struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// pollStates are the states of CHT Gateway's README. UNSENT means that the phone
// has the message and will try it, for the first time or again. PENDING means that
// the phone has handed the message to its radio. Neither is more than Send has
// promised already.
var pollStates = map[string]channel.State{
	"UNSENT": 0, "PENDING": 0,
	"SENT": channel.Sent, "DELIVERED": channel.Delivered, "FAILED": channel.Failed,
}

// pollMessage is a message in the answer.
type pollMessage struct {
	ID      string `json:"id"`
	To      string `json:"to"`
	Content string `json:"content"`
}

// ServeHTTP answers a phone. GET confirms to the app that the URL is right. POST
// takes the phone's reports and hands out messages.
func (c *Channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil && !c.config.DangerouslyPlaintext {
		refusePoll(w, http.StatusForbidden, "TLS is required")
		return
	}
	phone, ok := c.authenticate(w, r)
	if !ok {
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		_ = answerPoll(w, http.StatusOK, map[string]bool{"medic-gateway": true})
	case http.MethodPost:
		c.serve(w, r, phone.ID)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refusePoll(w, http.StatusMethodNotAllowed, "GET or POST")
	}
}

func (c *Channel) serve(w http.ResponseWriter, r *http.Request, phone string) {
	updates, status := readPoll(w, r)
	if status != 0 {
		refusePoll(w, status, "the request cannot be read")
		return
	}
	for _, u := range updates {
		if err := c.report(r, phone, u); err != nil {
			// The phone keeps all of its updates and takes no messages from
			// such an answer.
			c.warn(r, "a phone's report was not stored", "phone", phone, "error", err)
			refusePoll(w, http.StatusServiceUnavailable, "the reports cannot be stored now")
			return
		}
	}
	if c.life.Closed() {
		refusePoll(w, http.StatusServiceUnavailable, "closed")
		return
	}
	c.handOut(w, r, phone)
}

// handOut answers with messages.
func (c *Channel) handOut(w http.ResponseWriter, r *http.Request, phone string) {
	batch, messages := c.take(phone, time.Now())
	written := false
	defer func() { c.recordWrite(batch, written) }() // also where writing panics
	err := answerPoll(w, http.StatusOK, map[string][]pollMessage{"messages": messages})
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
	written = err == nil && r.Context().Err() == nil
}

// readPoll reads a request's body; a status other than zero refuses it.
func readPoll(w http.ResponseWriter, r *http.Request) (updates []pollUpdate, status int) {
	b, status := inbound.Body(w, r, maxPoll)
	if status != 0 {
		return nil, status
	}
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		if b, status = gunzip(b); status != 0 {
			return nil, status
		}
	}
	updates, err := parsePoll(b)
	if err != nil {
		return nil, http.StatusBadRequest
	}
	return updates, 0
}

// gunzip decompresses a body; a status other than zero refuses it.
func gunzip(b []byte) (plain []byte, status int) {
	zip, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, http.StatusBadRequest
	}
	plain, err = io.ReadAll(io.LimitReader(zip, maxPoll+1))
	switch {
	case err != nil:
		return nil, http.StatusBadRequest
	case len(plain) > maxPoll:
		return nil, http.StatusRequestEntityTooLarge
	}
	return plain, 0
}

// parsePoll reads the body of a POST. It must be an object; lists may be null
// or missing.
func parsePoll(b []byte) ([]pollUpdate, error) {
	var in *poll
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, errors.New("pull: the poll is not JSON as expected")
	}
	if in == nil {
		return nil, errors.New("pull: the poll is no JSON object")
	}
	return in.Updates, nil
}

// report passes one of a phone's updates to Receipt. An update that makes no sense
// is logged and dropped: after an error the phone would repeat it forever.
func (c *Channel) report(r *http.Request, phone string, u pollUpdate) error {
	state, known := pollStates[u.Status]
	if !known || !message.ValidID(u.ID) {
		c.warn(r, "a phone's report makes no sense", "phone", phone)
		return nil
	}
	unlock, err := c.lockReports(r.Context(), u.ID)
	if err != nil {
		return err
	}
	defer unlock() // also where the callback panics
	news, ours := c.acknowledge(phone, u.ID, state)
	if !ours {
		c.warn(r, "a phone reports on a message that it was not given", "phone", phone, "id", u.ID)
	}
	if !news || c.config.Receipt == nil {
		return nil
	}
	receipt := channel.Receipt{ProviderID: u.ID, MessageID: u.ID, State: state, Code: u.Status, At: time.Now()}
	if state == channel.Failed {
		receipt.Class, receipt.Code = channel.Unreachable, pollFailure(u.Reason)
	}
	if err := c.config.Receipt(r.Context(), receipt); err != nil {
		return err
	}
	c.recordReceipt(u.ID, state)
	return nil
}

func (c *Channel) warn(r *http.Request, what string, args ...any) {
	c.config.Logger.WarnContext(r.Context(), "pull: "+what, args...)
}

const (
	pollDigits  = "0123456789"
	pollLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// pollFailure is the phone's reason, if it is a word or a few, such as
// "no-service" or "generic; errorCode=38", that hold no number longer than an
// error code.
func pollFailure(reason string) string {
	numbers := strings.Trim(reason, pollLetters+" -_=;:,.()")
	plain := strings.Trim(reason, pollLetters+pollDigits+" -_=;:,.()") == ""
	if reason == "" || len(reason) > 64 || !plain || len(numbers) > 3 {
		return "FAILED"
	}
	return reason
}

// answerPoll writes JSON, which no proxy may store.
func answerPoll(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}

// refusePoll writes an error in the form that the phone shows to its owner.
func refusePoll(w http.ResponseWriter, status int, message string) {
	_ = answerPoll(w, status, map[string]any{"error": true, "message": message})
}
