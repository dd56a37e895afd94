package gatewaytest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// A State is a message's state, in the API's words.
type State string

// The states.
const (
	Pending    State = "Pending"    // the server has it
	Cancelling State = "Cancelling" // to be cancelled, the phone has not confirmed yet
	Cancelled  State = "Cancelled"
	Processed  State = "Processed" // the phone has it
	Sent       State = "Sent"      // the network has it
	Delivered  State = "Delivered"
	Failed     State = "Failed"
)

// A Message is an accepted message with its progress.
type Message struct {
	ID             string
	DeviceID       string
	Text           string   // as it was sent: encrypted, if Encrypted
	Numbers        []string // likewise
	Encrypted      bool
	SIM            int           // simNumber, 1 to 3; zero: not given
	TTL            time.Duration // zero: not given
	ValidUntil     time.Time     // from the ttl, if there was one; zero: no end
	Priority       int
	DeliveryReport bool

	State  State
	Reason string // the reason for Failed
	At     time.Time
}

// A message is a Message with the server's own data.
type message struct {
	Message
	history  map[State]time.Time
	reported time.Time // when the phone first reported
	taken    bool      // the phone has fetched it
}

// input is the body of POST /messages.
type input struct {
	ID          string  `json:"id"`
	DeviceID    string  `json:"deviceId"`
	Message     *string `json:"message"` // deprecated form of TextMessage
	TextMessage *struct {
		Text string `json:"text"`
	} `json:"textMessage"`
	DataMessage *struct {
		Data string `json:"data"`
		Port int    `json:"port"`
	} `json:"dataMessage"`
	PhoneNumbers       []string   `json:"phoneNumbers"`
	IsEncrypted        bool       `json:"isEncrypted"`
	SIMNumber          *int       `json:"simNumber"`
	WithDeliveryReport *bool      `json:"withDeliveryReport"`
	Priority           int        `json:"priority"`
	TTL                *uint64    `json:"ttl"`
	ValidUntil         *time.Time `json:"validUntil"`
}

// invalid returns the server's objection to an input, or "".
func (in *input) invalid() string {
	contents := 0
	for _, given := range []bool{in.Message != nil && *in.Message != "", in.TextMessage != nil, in.DataMessage != nil} {
		if given {
			contents++
		}
	}
	switch {
	case len(in.ID) > 36:
		return "id must be at most 36 characters"
	case len(in.DeviceID) > 21:
		return "deviceId must be at most 21 characters"
	case len(in.PhoneNumbers) == 0 || len(in.PhoneNumbers) > 100:
		return "phoneNumbers must be 1 to 100"
	case in.SIMNumber != nil && (*in.SIMNumber < 1 || *in.SIMNumber > 3):
		return "simNumber must be 1 to 3"
	case in.Priority < -128 || in.Priority > 127:
		return "priority must be -128 to 127"
	case in.TTL != nil && *in.TTL < 5:
		return "ttl must be at least 5"
	case in.TTL != nil && in.ValidUntil != nil:
		return "conflict fields: ttl and validUntil"
	case contents == 0:
		return "must specify exactly one of: textMessage or dataMessage"
	case contents > 1:
		return "conflict fields: must specify exactly one of: textMessage or dataMessage"
	case in.TextMessage != nil && (in.TextMessage.Text == "" || len(in.TextMessage.Text) > 65535):
		return "text must be 1 to 65535 characters"
	case slices.ContainsFunc(in.PhoneNumbers, func(n string) bool { return n == "" || len(n) > 128 }):
		return "a phone number must be 1 to 128 characters"
	}
	return ""
}

// send serves POST /messages. s.mu is held.
func (s *Server) send(c *call) reply {
	query := url.Values(c.query)
	skip, skipErr := parse(query.Get("skipPhoneValidation"), strconv.ParseBool)
	within, withinErr := parse(query.Get("deviceActiveWithin"),
		func(v string) (uint64, error) { return strconv.ParseUint(v, 10, 32) })
	if skipErr != nil || withinErr != nil {
		return refuse(http.StatusBadRequest, "failed to parse query")
	}
	in := &input{}
	if err := json.Unmarshal(c.body, in); err != nil {
		return refuse(http.StatusBadRequest, "failed to parse body: "+err.Error())
	}
	if wrong := in.invalid(); wrong != "" {
		return refuse(http.StatusBadRequest, "failed to validate: "+wrong)
	}
	if s.config.Kind == OnPhone {
		within = 0
	}
	p := s.chooseDevice(in.DeviceID, time.Duration(within)*time.Hour)
	if p == nil {
		return refuse(http.StatusBadRequest, "record not found")
	}
	if s.config.QueueLimit > 0 && s.config.Kind != OnPhone {
		if n := s.pending(p.config.ID); n >= s.config.QueueLimit {
			return refuse(http.StatusServiceUnavailable,
				fmt.Sprintf("queue limits exceeded: too many pending messages: %d / %d", n, s.config.QueueLimit))
		}
	}
	numbers, wrong := cleanNumbers(in.PhoneNumbers, skip || in.IsEncrypted)
	if wrong != "" {
		return refuse(http.StatusBadRequest, wrong)
	}
	if in.ID == "" {
		in.ID = s.newID()
	}
	if s.find1(in.ID, p.config.ID) != nil {
		return refuse(http.StatusConflict, "message with the same ID already exists")
	}
	m := in.accept(p.config.ID, numbers, time.Now())
	s.messages = append(s.messages, m)
	s.announce()
	p.wakeUp()
	a := reply{status: http.StatusAccepted, body: s.describe(m)}
	if s.config.Kind != OnPhone {
		a.header = http.Header{"Location": {s.prefix + "/messages/" + url.PathEscape(m.ID)}}
	}
	return a
}

// parse reads a query parameter that may be missing.
func parse[T any](v string, read func(string) (T, error)) (T, error) {
	if v == "" {
		var zero T
		return zero, nil
	}
	return read(v)
}

func (in *input) accept(device string, numbers []string, now time.Time) *message {
	m := &message{Message: Message{
		ID: in.ID, DeviceID: device, Numbers: numbers, Encrypted: in.IsEncrypted, Priority: in.Priority,
		DeliveryReport: in.WithDeliveryReport == nil || *in.WithDeliveryReport, State: Pending, At: now,
	}, history: map[State]time.Time{Pending: now}}
	switch {
	case in.TextMessage != nil:
		m.Text = in.TextMessage.Text
	case in.DataMessage != nil:
		m.Text = in.DataMessage.Data
	default:
		m.Text = *in.Message
	}
	if in.SIMNumber != nil {
		m.SIM = *in.SIMNumber
	}
	if in.TTL != nil {
		m.TTL = time.Duration(*in.TTL) * time.Second
		m.ValidUntil = now.Add(m.TTL)
	}
	if in.ValidUntil != nil {
		m.ValidUntil = *in.ValidUntil
	}
	return m
}

// chooseDevice picks the requested device, or any. s.mu is held.
func (s *Server) chooseDevice(id string, within time.Duration) *Phone {
	var fit []*Phone
	now := time.Now()
	for _, p := range s.phones {
		if (id == "" || id == p.config.ID) && (within == 0 || now.Sub(p.lastSeen(now)) <= within) {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[rand.IntN(len(fit))]
}

// pending returns the number of messages that wait for a device. s.mu is held.
func (s *Server) pending(device string) (n int) {
	for _, m := range s.messages {
		if m.DeviceID == device && m.State == Pending {
			n++
		}
	}
	return n
}

// cleanNumbers reads numbers as the real server does: a national number counts
// as Russian.
func cleanNumbers(given []string, skip bool) (clean []string, wrong string) {
	for i, text := range given {
		if !skip {
			n, err := phone.Parse(text, "RU")
			switch {
			case err != nil, n.UnknownRange:
				return nil, fmt.Sprintf("failed to use phone in row %d: invalid phone number", i+1)
			case n.Type != phone.Mobile && n.Type != phone.FixedLineOrMobile:
				return nil, fmt.Sprintf("failed to use phone in row %d: not mobile phone number", i+1)
			}
			text = n.E164
		}
		if slices.Contains(clean, text) {
			return nil, "phone numbers must be unique"
		}
		clean = append(clean, text)
	}
	return clean, ""
}

// find1 returns the message with an id on a device. s.mu is held.
func (s *Server) find1(id, device string) *message {
	for _, m := range s.messages {
		if m.ID == id && m.DeviceID == device {
			return m
		}
	}
	return nil
}

// findAll returns the messages with an id, on any device. s.mu is held.
func (s *Server) findAll(id string) (all []*message) {
	for _, m := range s.messages {
		if m.ID == id {
			all = append(all, m)
		}
	}
	return all
}

// getMessage serves GET /messages/{id}. s.mu is held.
func (s *Server) getMessage(c *call) reply {
	found := s.findAll(c.id)
	switch {
	case len(found) == 0:
		return s.notFound()
	case len(found) > 1: // the id is ambiguous
		return refuse(http.StatusInternalServerError, "failed to get message state")
	}
	return reply{status: http.StatusOK, body: s.describe(found[0])}
}

// cancel serves DELETE /messages/{id}. s.mu is held.
func (s *Server) cancel(c *call) reply {
	found := s.findAll(c.id)
	switch {
	case len(found) == 0:
		return s.notFound()
	case len(found) > 1:
		return refuse(http.StatusBadRequest, "multiple messages found")
	case found[0].State != Pending && s.config.Kind == OnPhone:
		return refuse(http.StatusBadRequest, "message is not pending")
	case found[0].State != Pending:
		return refuse(http.StatusConflict, "message is not pending")
	}
	m := found[0]
	m.set(Cancelling, "", time.Now())
	for _, p := range s.phones {
		if p.config.ID == m.DeviceID {
			p.wakeUp()
		}
	}
	return reply{status: http.StatusOK, body: s.describe(m)}
}

// notFound returns an empty answer for a phone's API.
func (s *Server) notFound() reply {
	if s.config.Kind == OnPhone {
		return reply{status: http.StatusNotFound}
	}
	return refuse(http.StatusNotFound, "message not found")
}

func (m *message) set(state State, reason string, now time.Time) {
	m.State, m.Reason = state, reason
	if _, known := m.history[state]; !known {
		m.history[state] = now
	}
}

// describe returns a message's state in the API's form. s.mu is held.
func (s *Server) describe(m *message) map[string]any {
	hashed := s.config.Kind != OnPhone && !m.Encrypted && m.State != Pending && m.State != Cancelling &&
		!m.reported.IsZero() && time.Since(m.reported) >= s.config.HashAfter
	var recipients []map[string]any
	for _, number := range m.Numbers {
		if hashed {
			number = hash(number)[:16]
		}
		r := map[string]any{"phoneNumber": number, "state": m.State}
		if m.Reason != "" {
			r["error"] = m.Reason
		}
		recipients = append(recipients, r)
	}
	d := map[string]any{
		"id": m.ID, "deviceId": m.DeviceID, "state": m.State, "isHashed": hashed, "isEncrypted": m.Encrypted,
		"recipients": recipients, "states": maps.Clone(m.history),
	}
	if hashed {
		d["hashedMessage"] = map[string]string{"hash": hash(m.Text)}
	}
	return d
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Messages returns the messages accepted so far, oldest first, in their present
// state.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, len(s.messages))
	for i, m := range s.messages {
		all[i] = m.Message
		all[i].Numbers = slices.Clone(m.Numbers)
	}
	return all
}

// Wait returns the messages once n of them were accepted in all. If ctx ends
// first, it returns the messages so far and ctx's error.
func (s *Server) Wait(ctx context.Context, n int) ([]Message, error) {
	var got []Message
	err := s.wait(ctx, "messages", n, func() int {
		got = s.Messages()
		return len(got)
	})
	return got, err
}
