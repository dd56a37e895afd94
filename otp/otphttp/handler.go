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

// A Service is what the API calls: an [otp.Service], or a wrapper of one.
type Service interface {
	Send(context.Context, otp.Request) (*otp.Challenge, error)
	Status(context.Context, otp.Ref) (*otp.Challenge, error)
	Resend(context.Context, otp.ResendRequest) (*otp.Challenge, error)
	Verify(context.Context, otp.Verification) (*otp.Challenge, error)
	Cancel(context.Context, otp.Ref) error
}

var _ Service = (*otp.Service)(nil)

// A Caller is who makes a request, as the embedder's authentication knows them.
type Caller struct {
	// ID names the caller: of the API key, or of the session. Each has
	// idempotency keys of its own. Required: a Caller without one is answered
	// 401.
	ID string

	// Tenant is the brand that all calls are for.
	Tenant string

	// Subject is the person, if the caller is the person's own browser or app.
	// Such a caller cannot name another one, nor what the Service trusts a
	// backend to tell: see [CreateBody]. Empty: the caller is a backend, which
	// names the person in each request.
	Subject string

	// To are the addresses that messages go to, if they are known; the request
	// must then give none. Set it for a Subject that has an account: a form
	// that sends a code to any number is a way to pump messages.
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

	// Authenticate returns who makes a request. A *[Problem] as error is the
	// answer: 403, or 429 for too many failures. Another error is answered 401,
	// and not shown.
	Authenticate func(*http.Request) (Caller, error)

	// Prepare completes a request before it is sent: Proven, after a captcha
	// was checked, a Purpose, or Details. An error is answered as one of the Service; a
	// *Problem is the answer. Default: none.
	Prepare func(*http.Request, *otp.Request) error

	// Verified is called for each right code before the answer is written, and
	// may add a cookie to it: that the person is verified is for the Purpose of
	// the Challenge only. It is called again if the call is repeated with its
	// Idempotency-Key. An error is answered in place of 200, though the code is
	// used up. Default: none.
	Verified func(http.ResponseWriter, *http.Request, *otp.Challenge) error

	// Path is where the calls are. Default: "/verifications".
	Path string

	// Proxies finds the address of a Caller that is a person.
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

// serve answers a call, or returns what is wrong with it.
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
