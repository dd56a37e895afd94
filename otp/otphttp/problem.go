package otphttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// TypeBase is the beginning of Problem.Type unless Config.TypeBase has another.
const TypeBase = "https://pkg.go.dev/github.com/otpcourier/otpcourier/otp/otphttp#"

// A Problem is the answer to a refused request (RFC 9457). It is an error, so that
// Config.Authenticate and Config.Prepare can return one. A client in Go may decode an
// answer into it.
type Problem struct { //nolint:errname // it is RFC 9457's problem, and an error only to be returned
	Type   string `json:"type"`   // TypeBase and the Reason, unless set
	Title  string `json:"title"`  // for the person, in English: the same for each Problem of a Reason
	Status int    `json:"status"` // 400 to 599
	Reason string `json:"reason"` // for programs; the package page has a table
	Detail string `json:"detail,omitempty"`

	RetryAfter   int          `json:"retry_after,omitempty"` // seconds; also the header Retry-After
	AttemptsLeft *int         `json:"attempts_left,omitempty"`
	Alternatives []string     `json:"alternatives,omitempty"` // kinds of address: "email"
	Support      string       `json:"support,omitempty"`
	Errors       []FieldError `json:"errors,omitempty"`
	Verification *Challenge   `json:"verification,omitempty"` // exists, and its message may still come

	Header http.Header `json:"-"` // further header fields of the answer
}

// A FieldError says which part of a request is wrong.
type FieldError struct {
	Pointer string `json:"pointer,omitempty"` // into the body (RFC 6901): "/to/phone"
	Header  string `json:"header,omitempty"`  // or a header field
	Detail  string `json:"detail"`            // for developers; it repeats no address
}

// Error names the reason.
func (p *Problem) Error() string { return "otphttp: " + p.Reason + ": " + p.Title }

// Write answers a request. It ignores errors of the connection.
func (p *Problem) Write(w http.ResponseWriter) {
	out := *p
	if out.Type == "" {
		out.Type = TypeBase + out.Reason
	}
	for name, values := range out.Header {
		w.Header()[name] = values
	}
	if out.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(out.RetryAfter))
	}
	writeJSON(w, out.Status, "application/problem+json", &out)
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(v); err != nil { // no value of this package has one
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client may have gone
}

// Call is one of the calls of the API.
type Call string

// The calls.
const (
	Create Call = "create"
	Status Call = "status"
	Resend Call = "resend"
	Check  Call = "check"
	Cancel Call = "cancel"
)

// kind is a row of the table on the package page.
type kind struct {
	status int
	reason string
	title  string
}

const codeRefused = "The code is wrong or has expired."

var kinds = map[otp.Reason]kind{
	otp.ReasonWrong:     {http.StatusUnprocessableEntity, "code_refused", codeRefused},
	otp.ReasonMalformed: {http.StatusUnprocessableEntity, "code_refused", codeRefused},
	otp.ReasonNotFound:  {http.StatusUnprocessableEntity, "code_refused", codeRefused},
	otp.ReasonExpired:   {http.StatusUnprocessableEntity, "code_refused", codeRefused},
	otp.ReasonClosed:    {http.StatusUnprocessableEntity, "code_refused", codeRefused},
	otp.ReasonAttempts: {http.StatusConflict, "attempts_exhausted",
		"That was the last try. Ask for a new code."},
	otp.ReasonLocked:  {http.StatusTooManyRequests, "locked", "Too many wrong codes. Please come back later."},
	otp.ReasonTooSoon: {http.StatusTooManyRequests, "too_soon", "A new message can be sent in a moment."},
	otp.ReasonSends:   {http.StatusConflict, "sends_exhausted", "No more messages. Use another address."},
	otp.ReasonLimited: {http.StatusTooManyRequests, "limited", "Too many messages. Please come back later."},
	otp.ReasonStepUp:  {http.StatusForbidden, "step_up", "Please show that you are no machine."},
	otp.ReasonGuarded: {http.StatusTooManyRequests, "guarded", "No message can be sent. Use another address."},
	otp.ReasonInvalid: {http.StatusUnprocessableEntity, "invalid", "The request is wrong."},
	otp.ReasonConflict: {http.StatusUnprocessableEntity, "conflict",
		"The Idempotency-Key belongs to another request."},
	otp.ReasonUndelivered: {http.StatusBadGateway, "undelivered", "The message could not be sent."},
	otp.ReasonUnavailable: {http.StatusServiceUnavailable, "unavailable", "Please try again in a moment."},
	otp.ReasonFull:        {http.StatusServiceUnavailable, "unavailable", "Please try again in a moment."},
}

// named are the answers to calls that name a challenge to look at.
var named = map[otp.Reason]kind{
	otp.ReasonNotFound: {http.StatusNotFound, "not_found", "There is no such verification."},
	otp.ReasonExpired:  {http.StatusNotFound, "not_found", "There is no such verification."},
	otp.ReasonClosed:   {http.StatusConflict, "closed", "It was verified or cancelled."},
}

// unavailableFor is the Retry-After of an outage.
const unavailableFor = 5 * time.Second

// ProblemOf returns the answer to an error of a call, by the table of the package
// page. A [Problem] in err's tree is returned as it is. An error of neither kind is
// answered 500 and not shown.
func ProblemOf(call Call, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	e, ok := errors.AsType[*otp.Error](err)
	if !ok {
		return &Problem{Status: http.StatusInternalServerError, Reason: "internal", Title: "Something is wrong here."}
	}
	k, ok := named[e.Reason]
	if !ok || call == Check {
		k = kinds[e.Reason]
	}
	p := &Problem{Status: k.status, Reason: k.reason, Title: k.title, RetryAfter: roundUp(e.RetryAfter),
		Support: e.Support, Alternatives: names(e.Alternatives)}
	switch e.Reason {
	case otp.ReasonWrong:
		p.AttemptsLeft = &e.AttemptsLeft
	case otp.ReasonInvalid:
		return wrong(fieldError(e))
	case otp.ReasonUnavailable, otp.ReasonFull:
		p.RetryAfter = roundUp(unavailableFor)
	}
	return p
}

// roundUp returns whole seconds, never fewer than there are.
func roundUp(d time.Duration) int { return int(max(0, (d+time.Second-1)/time.Second)) }

// names lists a set of kinds of address.
func names(a channel.Address) []string {
	if a == 0 {
		return nil
	}
	return strings.Split(a.String(), "+")
}

// fields are the parts of a request by the names that otp has for them.
var fields = map[string]FieldError{
	"Subject": {Pointer: "/subject"}, "Purpose": {Pointer: "/purpose"}, "To": {Pointer: "/to"},
	"To.Phone": {Pointer: "/to/phone"}, "To.Email": {Pointer: "/to/email"}, "Language": {Pointer: "/language"},
	"Route": {Pointer: "/route"}, "Details": {Pointer: "/details"}, "Binding": {Pointer: "/binding"},
	"Reference": {Pointer: "/reference"}, "Priority": {Pointer: "/priority"}, "Signals": {Pointer: "/signals"},
	"RequestID": {Header: requestID}, "IdempotencyKey": {Header: idempotencyKey},
}

func fieldError(e *otp.Error) FieldError {
	f := fields[e.Field] // of neither kind: the Tenant, which Authenticate sets
	f.Detail = e.Field + " is wrong"
	if e.Err != nil {
		f.Detail = e.Err.Error()
	}
	return f
}

// wrong is the answer to a request a part of which is wrong: 400 if it is a header field.
func wrong(f FieldError) *Problem {
	k := kinds[otp.ReasonInvalid]
	if f.Header != "" {
		k.status = http.StatusBadRequest
	}
	return &Problem{Status: k.status, Reason: k.reason, Title: k.title, Errors: []FieldError{f}}
}
