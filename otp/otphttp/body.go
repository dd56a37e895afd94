package otphttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/store"
)

// maxBody is the most octets of a body: a binding of 64 KiB is 86 KiB in base64.
const maxBody = 96 << 10

// CreateBody is the body of create. Its members are the fields of [otp.Request]. If the
// Caller is a person, only the first five may be set: with Details, for example, people
// could put their own text into a message of the brand.
type CreateBody struct {
	Purpose  string `json:"purpose,omitempty"`
	To       *To    `json:"to,omitempty"`
	Language string `json:"language,omitempty"`
	Route    string `json:"route,omitempty"`
	Binding  []byte `json:"binding,omitempty"` // base64

	Subject   string            `json:"subject,omitempty"`
	Details   string            `json:"details,omitempty"`
	Reference string            `json:"reference,omitempty"`
	ClientIP  string            `json:"client_ip,omitempty"`
	Priority  string            `json:"priority,omitempty"` // low, normal or high
	Known     bool              `json:"known,omitempty"`
	Proven    bool              `json:"proven,omitempty"`
	Decoy     bool              `json:"decoy,omitempty"`
	Signals   map[string]string `json:"signals,omitempty"`
}

// ResendBody is the body of resend. Its members are fields of [otp.ResendRequest]. If the
// Caller is a person, only Route may be set.
type ResendBody struct {
	Route string `json:"route,omitempty"`

	Subject  string `json:"subject,omitempty"`
	ClientIP string `json:"client_ip,omitempty"`
	Proven   bool   `json:"proven,omitempty"`
}

// CheckBody is the body of check. Its members are fields of [otp.Verification]. If the
// Caller is a person, Subject must be empty.
type CheckBody struct {
	Code    string `json:"code"`
	Purpose string `json:"purpose,omitempty"`
	Binding []byte `json:"binding,omitempty"` // base64

	Subject string `json:"subject,omitempty"`
}

// ReadBody reads the body of a request, a JSON object of at most 96 KiB, into v. Members
// that v lacks are refused. The Problem is nil if the body was read. It is for further
// calls of an embedder.
func ReadBody(w http.ResponseWriter, r *http.Request, v any) *Problem {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Reason: "unsupported_media_type",
			Title: "The body must be application/json."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &Problem{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Title: "The body is too large."}
	}
	if err != nil {
		return malformed("the body ended early")
	}
	if !utf8.Valid(body) {
		return malformed("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed(whatIsWrong(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("something follows the JSON object")
	}
	return nil
}

func malformed(detail string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Reason: "malformed", Detail: detail,
		Title: "The body must be a JSON object of the members that this call has."}
}

// whatIsWrong names the member, and repeats no value.
func whatIsWrong(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return "/" + strings.ReplaceAll(wrong.Field, ".", "/") + " is of another type"
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok && isMember(strings.Trim(name, `"`)) {
		return "there is no member " + name
	}
	return "it is no JSON of the expected form"
}

// isMember reports whether a name could be meant as a member's.
func isMember(name string) bool {
	return len(name) <= 32 && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// subjectOf returns the person that a call is about: the Caller, or whom a backend
// names.
func (c *Caller) subjectOf(named string, at FieldError) (string, *Problem) {
	switch {
	case c.Subject == "" && strings.ContainsRune(named, utf8.RuneError): // from invalid UTF-8
		at.Detail = "it is not Unicode"
		return "", wrong(at)
	case c.Subject == "":
		return named, nil
	case named != "":
		at.Detail = "the session says who the person is"
		return "", wrong(at)
	}
	return c.Subject, nil
}

// subjectHeader reads the header Otp-Subject, percent-encoded.
func subjectHeader(r *http.Request) (string, *Problem) {
	at := FieldError{Header: subjectField, Detail: "it must be UTF-8, percent-encoded (RFC 3986 §2.1)"}
	values := r.Header.Values(subjectField)
	if len(values) > 1 {
		return "", wrong(at)
	}
	raw := r.Header.Get(subjectField)
	if strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return "", wrong(at)
	}
	subject, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(subject) {
		return "", wrong(at)
	}
	return subject, nil
}

// ofBackend returns a Problem if a person gave a member that only backends may
// give.
func (c *Caller) ofBackend(pointer string, given bool) *Problem {
	if c.Subject == "" || !given {
		return nil
	}
	return wrong(FieldError{Pointer: pointer, Detail: "only a backend may say so"})
}

// addrIn reads client_ip.
func addrIn(s string) (netip.Addr, *Problem) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, wrong(FieldError{Pointer: "/client_ip", Detail: "it is no IP address"})
	}
	return plain(a), nil
}

// priorityIn reads priority.
func priorityIn(s string) (p store.Priority, _ *Problem) {
	if s != "" && p.UnmarshalText([]byte(s)) != nil {
		return p, wrong(FieldError{Pointer: "/priority", Detail: "it must be low, normal or high"})
	}
	return p, nil
}
