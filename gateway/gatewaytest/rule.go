package gatewaytest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An Action is the effect of a [Rule] apart from its answer.
type Action uint8

// The actions.
const (
	Answer     Action = iota // answer with Status, Header and Body
	Stall                    // send nothing until ClearScript, then continue without the rule
	Disconnect               // close the connection without an answer
)

// A Rule makes the server deviate from serving a request.
type Rule struct {
	Method string // only requests of this method; default: any
	Path   string // only this path, without the prefix, for example "/messages", or a path below it; default: any

	Action Action
	Status int         // for Answer
	Header http.Header // for Answer
	Body   string      // for Answer; as JSON if it begins with "{" or "[", else as plain text

	// Served lets the request take its effect first: only the answer is lost,
	// replaced, or held back. Default: it has no effect. If the rule stalls,
	// the request takes effect when the server continues, unless the client has
	// left by then.
	Served bool

	Times int // how often the rule applies; default: always
}

func (r Rule) check() {
	switch {
	case r.Path != "" && !strings.HasPrefix(r.Path, "/"):
		panic(`gatewaytest: Rule.Path does not begin with "/"`)
	case r.Action > Disconnect:
		panic("gatewaytest: Rule.Action is none of the actions")
	case r.Action == Answer && (r.Status < 200 || r.Status > 599):
		panic("gatewaytest: Rule.Status is not 200 to 599")
	}
}

// Script adds rules. If several apply, the server follows the last added. Rules
// also apply to /health.
func (s *Server) Script(rules ...Rule) {
	for _, r := range rules {
		r.check()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, rules...)
}

// ClearScript removes all rules. Stalled requests continue without their rule.
func (s *Server) ClearScript() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	close(s.release)
	s.release = make(chan struct{})
}

// ruleFor finds the rule for a request and counts its use.
func (s *Server) ruleFor(method, path string) (rule Rule, release <-chan struct{}, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range slices.Backward(s.rules) {
		rule = s.rules[i]
		if !rule.concerns(method, path) {
			continue
		}
		if rule.Times == 1 {
			s.rules = slices.Delete(s.rules, i, i+1)
		} else if rule.Times > 1 {
			s.rules[i].Times--
		}
		return rule, s.release, true
	}
	return Rule{}, nil, false
}

func (r Rule) concerns(method, path string) bool {
	return (r.Method == "" || r.Method == method) &&
		(r.Path == "" || path == r.Path || strings.HasPrefix(path, strings.TrimSuffix(r.Path, "/")+"/"))
}

// follow applies a rule, once the request has been read.
func (s *Server) follow(rule Rule, release <-chan struct{}, w http.ResponseWriter, r *http.Request, body []byte) {
	usual := &answer{header: make(http.Header)}
	if rule.Served {
		s.route(usual, r, body)
	}
	switch rule.Action {
	case Answer:
		rule.answer(w)
		return
	case Stall:
		select {
		case <-release:
			if !rule.Served {
				s.route(usual, r, body)
			}
			usual.copyTo(w)
			return
		case <-s.running.Done():
		case <-r.Context().Done():
		}
	}
	panic(http.ErrAbortHandler)
}

func (r Rule) answer(w http.ResponseWriter) {
	for name, values := range r.Header {
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Type") == "" {
		kind := "text/plain; charset=utf-8"
		if strings.HasPrefix(r.Body, "{") || strings.HasPrefix(r.Body, "[") {
			kind = "application/json"
		}
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write([]byte(r.Body))
}

// A Request is a received request, before any rule.
type Request struct {
	Method string
	Path   string // without the prefix, for example "/messages"
	Query  url.Values
	Header http.Header
	Body   []byte
	At     time.Time
}

// Requests returns every request so far, in the order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// WaitRequests returns the requests once n were read in all, whatever their
// answer. If ctx ends first, it returns the requests so far and ctx's error.
func (s *Server) WaitRequests(ctx context.Context, n int) ([]Request, error) {
	var got []Request
	err := s.wait(ctx, "requests", n, func() int {
		got = s.Requests()
		return len(got)
	})
	return got, err
}
