package gatewaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody is the default limit of Fiber, which the real server uses.
const maxBody = 4 << 20

// handle serves one request: it reads and records it, and applies the script.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.wg.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		plain(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	path, ours := strings.CutPrefix(r.URL.Path, s.prefix)
	if !ours || path == "" {
		path = "/"
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: path, Query: r.URL.Query(), Header: r.Header.Clone(), Body: body, At: time.Now(),
	})
	s.announce()
	s.mu.Unlock()
	if rule, release, found := s.ruleFor(r.Method, path); found {
		s.follow(rule, release, w, r, body)
		return
	}
	s.route(w, r, body)
}

// A call is a request on its way through the API.
type call struct {
	method string
	query  map[string][]string
	body   []byte
	id     string // the last element of paths such as /messages/{id}
	bearer string // the token, if there is one
	scopes []string
}

// An endpoint is the API's function for one method of one path.
type endpoint struct {
	scope string
	exact bool // all:any, the scope of Basic authentication, is not enough
	serve func(*Server, *call) reply
}

// A reply is a status with a body as JSON; nil writes no body.
type reply struct {
	status int
	body   any
	header http.Header
}

// refuse returns an error of the API.
func refuse(status int, message string) reply {
	return reply{status: status, body: map[string]string{"message": message}}
}

const allScopes = "all:any"

// endpoints of the API; "*" stands for an id.
var endpoints = map[string]map[string]endpoint{
	"/messages": {
		http.MethodPost: {scope: "messages:send", serve: (*Server).send},
	},
	"/messages/*": {
		http.MethodGet:    {scope: "messages:read", serve: (*Server).getMessage},
		http.MethodDelete: {scope: "messages:cancel", serve: (*Server).cancel},
	},
	"/devices": {
		http.MethodGet: {scope: "devices:list", serve: (*Server).listDevices},
	},
	"/webhooks": {
		http.MethodGet:  {scope: "webhooks:list", serve: (*Server).listWebhooks},
		http.MethodPost: {scope: "webhooks:write", serve: (*Server).putWebhook},
	},
	"/webhooks/*": {
		http.MethodDelete: {scope: "webhooks:delete", serve: (*Server).deleteWebhook},
	},
	"/auth/token": {
		http.MethodPost: {scope: "tokens:manage", serve: (*Server).issueToken},
	},
	"/auth/token/refresh": {
		http.MethodPost: {scope: refreshScope, exact: true, serve: (*Server).refreshToken},
	},
	"/auth/token/*": {
		http.MethodDelete: {scope: "tokens:manage", serve: (*Server).revokeToken},
	},
}

// find returns the methods of a path, and its id.
func (s *Server) find(path string) (methods map[string]endpoint, id string) {
	path = strings.TrimSuffix(path, "/")
	// The older names of paths still work; a phone knows its device only by the
	// older one.
	for _, old := range []string{"/message", "/webhook", "/device"} {
		if path == old || strings.HasPrefix(path, old+"/") {
			path = old + "s" + path[len(old):]
			break
		}
		if old == "/device" && s.config.Kind == OnPhone && path == "/devices" {
			return nil, ""
		}
	}
	if methods = endpoints[path]; methods != nil {
		return methods, ""
	}
	i := strings.LastIndexByte(path, '/')
	return endpoints[path[:max(i, 0)]+"/*"], path[i+1:]
}

// route authenticates and serves a request.
func (s *Server) route(w http.ResponseWriter, r *http.Request, body []byte) {
	path, ours := strings.CutPrefix(r.URL.Path, s.prefix)
	if ours && path == "/health" && r.Method == http.MethodGet {
		s.reply(w, reply{
			status: http.StatusOK,
			body:   map[string]any{"status": "pass", "version": "1.47.1", "checks": map[string]any{}},
		})
		return
	}
	methods, id := s.find(path)
	if !ours || methods == nil {
		plain(w, http.StatusNotFound, "Cannot "+r.Method+" "+r.URL.Path)
		return
	}
	c := &call{method: r.Method, query: r.URL.Query(), body: body, id: id}
	if !s.authenticate(c, r) {
		s.reply(w, refuse(http.StatusUnauthorized, "Unauthorized"))
		return
	}
	e, ok := methods[r.Method]
	if !ok || r.Method == http.MethodDelete && strings.HasPrefix(path, "/message") && s.config.NoCancel {
		plain(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	if !slices.Contains(c.scopes, e.scope) && (e.exact || !slices.Contains(c.scopes, allScopes)) {
		s.reply(w, refuse(http.StatusForbidden, "scope required: "+e.scope))
		return
	}
	s.mu.Lock()
	answer := e.serve(s, c)
	s.mu.Unlock()
	s.reply(w, answer)
}

// authenticate accepts Basic and Bearer. The scheme is compared without case.
func (s *Server) authenticate(c *call, r *http.Request) bool {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "basic":
		user, password, ok := r.BasicAuth()
		known := s.config.Username == "" && s.config.Password == ""
		c.scopes = []string{allScopes}
		return ok && (known || user == s.config.Username && password == s.config.Password)
	case "bearer":
		c.bearer = credentials
		c.scopes = s.scopesOf(credentials)
		return c.scopes != nil
	}
	return false
}

func (s *Server) reply(w http.ResponseWriter, a reply) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
