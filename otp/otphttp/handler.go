package otphttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// A Service handles the API's calls: an [otp.Service], or a wrapper of one.
type Service interface {
	Send(context.Context, otp.Request) (*otp.Challenge, error)
	Status(context.Context, otp.Ref) (*otp.Challenge, error)
	Resend(context.Context, otp.ResendRequest) (*otp.Challenge, error)
	Verify(context.Context, otp.Verification) (*otp.Challenge, error)
	Cancel(context.Context, otp.Ref) error
}

var _ Service = (*otp.Service)(nil)

// A Caller is the authenticated caller of a request: a person, or a backend.
type Caller struct {
	// ID names the caller, such as the ID of the API key or of the session. Each ID
	// has its own idempotency keys. Required: a Caller without an ID is answered 401.
	ID string

	// Tenant is the brand of all calls, by otp.Tenant.Name. Default: the Config's own.
	Tenant string

	// Subject is the person, if the caller is the person's own browser or app. Such a
	// caller can name no other person, and may not set the members that only a backend
	// may set: see [CreateBody]. Empty: the caller is a backend, and names the person
	// in each request.
	Subject string

	// To holds the known addresses of the person. If it is set, a request must give no
	// address. Set it for a Subject with an account, since a form that sends a code to
	// any number is a way to pump messages. Default: the request has the addresses.
	To channel.Recipient
}

// String keeps the subject, which may be an address, out of logs.
func (c Caller) String() string { return "otphttp.Caller(" + c.ID + ")" }

// GoString is String.
func (c Caller) GoString() string { return c.String() }

// LogValue is String.
func (c Caller) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is String.
func (c Caller) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Config configures a [Handler]. Service and Authenticate are required. Its
// functions are called by many goroutines at one time.
type Config struct {
	Service Service

	// Authenticate returns the caller of a request. If the error is a *[Problem], it is
	// the answer, such as 403, or 429 for too many failures. Another error is answered
	// 401, and its text is not shown.
	Authenticate func(*http.Request) (Caller, error)

	// Prepare completes a request before it is sent: Proven, after a captcha
	// was checked, a Purpose, or Details. An error is answered as one of the Service; a
	// *Problem is the answer. Default: none.
	Prepare func(*http.Request, *otp.Request) error

	// Verified is called for each right code before the answer is written, and may add
	// a cookie to it. The verification holds only for the Purpose of the Challenge. If
	// the call is repeated with its Idempotency-Key, Verified is called again. If it
	// returns an error, the error is the answer, and the code is used up. Default: none.
	Verified func(http.ResponseWriter, *http.Request, *otp.Challenge) error

	// Path begins the paths of the calls. Default: "/verifications".
	Path string

	// Proxies are the proxies before the Handler. They are used to find the address of
	// a person. Default: none, the address of the connection.
	Proxies Proxies

	// TypeBase is the beginning of Problem.Type, which each reason completes:
	// the address of a page of yours. Default: the constant TypeBase.
	TypeBase string
}

// A Handler serves the API. It is safe for concurrent use.
type Handler struct {
	c   Config
	mux *http.ServeMux
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler, or an error that names the field at fault.
func New(c Config) (*Handler, error) {
	if c.Path == "" {
		c.Path = "/verifications"
	}
	if c.TypeBase == "" {
		c.TypeBase = TypeBase
	}
	s := reflect.ValueOf(c.Service)
	switch {
	case c.Service == nil || s.Kind() == reflect.Pointer && s.IsNil():
		return nil, errors.New("otphttp: Config.Service is required: an otp.Service")
	case c.Authenticate == nil:
		return nil, errors.New("otphttp: Config.Authenticate is required: it says who calls")
	case !strings.HasPrefix(c.Path, "/") || strings.HasSuffix(c.Path, "/") || strings.ContainsAny(c.Path, "{} \t"):
		return nil, fmt.Errorf("otphttp: Config.Path: %q must begin with a slash, end without, and have no wildcard",
			c.Path)
	}
	h := &Handler{c: c, mux: http.NewServeMux()}
	h.route(c.Path, map[string]serve{http.MethodPost: h.create})
	h.route(c.Path+"/{id}", map[string]serve{http.MethodGet: h.status, http.MethodDelete: h.cancel})
	h.route(c.Path+"/{id}/resend", map[string]serve{http.MethodPost: h.resend})
	h.route(c.Path+"/{id}/check", map[string]serve{http.MethodPost: h.check})
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		h.refuse(w, &Problem{Status: http.StatusNotFound, Reason: "not_found", Title: "There is nothing here."})
	})
	return h, nil
}

// serve answers a call, or returns the Problem with it.
type serve func(http.ResponseWriter, *http.Request, *Caller) *Problem

// route has the methods of one pattern served, and others answered 405.
func (h *Handler) route(pattern string, methods map[string]serve) {
	for method, s := range methods {
		h.mux.Handle(method+" "+pattern, h.authenticated(s))
	}
	allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		h.refuse(w, &Problem{Status: http.StatusMethodNotAllowed, Reason: "method_not_allowed",
			Title: "The method must be " + allow + ".", Header: http.Header{"Allow": {allow}}})
	})
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) authenticated(s serve) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := h.c.Authenticate(r)
		p, isProblem := errors.AsType[*Problem](err)
		switch {
		case isProblem:
		case err != nil || caller.ID == "":
			p = &Problem{Status: http.StatusUnauthorized, Reason: "unauthorized", Title: "Please sign in.",
				Header: http.Header{"Www-Authenticate": {"Bearer"}}}
		default:
			p = s(w, r, &caller)
		}
		if p != nil {
			h.refuse(w, p)
		}
	})
}

func (h *Handler) refuse(w http.ResponseWriter, p *Problem) {
	out := *p
	if out.Type == "" {
		out.Type = h.c.TypeBase + out.Reason
	}
	out.Write(w)
}
