package main

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/otp/telemetry"
	"github.com/otpcourier/otpcourier/store"
)

//go:embed openapi.yaml
var openAPI []byte

const (
	apiPath = "/v1/verifications"

	// patience is how long each part of the end may take, the HTTP calls and then the
	// messages: a message under way may take 20 s.
	patience = 25 * time.Second
)

// A server is the whole program: applications behind one gate, and two listeners.
type server struct {
	c     *config
	log   *slog.Logger
	state *state
	gate  *gate
	vault *vault
	apps  map[string]*app

	sender  *sender // of webhooks
	metrics *metrics
	tracing *sdktrace.TracerProvider // nil: off
	keys    otp.Keyring
	login   *login // of operators

	public, admin net.Listener
	draining      atomic.Bool

	streams atomic.Int32
	ending  context.Context // ends the streams
	end     context.CancelFunc
}

// newServer starts the applications and listens. Run serves.
func newServer(ctx context.Context, c *config, keys otp.Keyring, open opener, log *slog.Logger) (_ *server, err error) {
	s := &server{c: c, log: log, keys: keys, apps: map[string]*app{}, metrics: newMetrics(), login: newLogin(c)}
	s.ending, s.end = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			s.close(ctx)
		}
	}()
	if s.tracing, err = newTracing(ctx, c.traces); err != nil {
		return nil, err
	}
	if s.tracing != nil {
		log = slog.New(telemetry.LogHandler(log.Handler()))
		s.log = log
	}
	if s.state, err = openState(ctx, c, log); err != nil {
		return nil, err
	}
	limiter, err := s.state.open(gatePrefix, log)
	if err != nil {
		return nil, err
	}
	s.gate = &gate{limiter: limiter, proxies: otphttp.Proxies{Networks: c.Proxies, Header: c.ProxyHeader}}
	s.gate.setKeys(c)
	for _, i := range c.Issuers {
		i.set = newKeySet(i.Keys, log)
		s.gate.issuers = append(s.gate.issuers, &i)
	}
	if s.vault, err = newVault(s.state.cabinet(), keys); err != nil {
		return nil, err
	}
	hooks := func(prefix string) (backend, error) { return s.state.open(prefix, log) }
	if s.sender, err = newSender(c, s.vault, hooks, log); err != nil {
		return nil, err
	}
	for _, a := range c.Applications {
		if s.apps[a.Name], err = s.newApp(a, keys, open); err != nil {
			delete(s.apps, a.Name)
			return nil, err
		}
	}
	if err = s.listen(ctx); err == nil && c.OAuth {
		s.gate.tokens, err = newTokens(keys, s.baseURL())
	}
	return s, err
}

func (s *server) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if s.public, err = lc.Listen(ctx, "tcp", s.c.Listen); err != nil {
		return err
	}
	if s.c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.c.Cert, s.c.Key)
		if err != nil {
			return err
		}
		s.public = tls.NewListener(s.public, &tls.Config{Certificates: []tls.Certificate{pair},
			NextProtos: []string{"h2", "http/1.1"}})
	}
	s.admin, err = lc.Listen(ctx, "tcp", s.c.Admin)
	return err
}

func (s *server) url() string {
	if s.c.Cert != "" {
		return "https://" + s.public.Addr().String()
	}
	return "http://" + s.public.Addr().String()
}

// baseURL is where people's browsers reach the server.
func (s *server) baseURL() string { return cmp.Or(s.c.PublicURL, s.url()) }

// origin is the host to which a browser may hand the code of a message (WebOTP). It is
// this server's only if people type codes here: on the application's own site a browser
// would not offer them. The last line of a message has no place for a port.
func (s *server) origin(a application) string {
	u, err := url.Parse(s.c.PublicURL)
	if a.Origin != "" || len(a.ReturnURLs) == 0 || err != nil || u.Scheme != "https" || u.Port() != "" {
		return a.Origin
	}
	return u.Hostname()
}

func (s *server) adminURL() string { return "http://" + s.admin.Addr().String() }

// run serves until ctx ends, and then ends in order: readiness says no, requests
// end, Work ends, the channels end, the store is closed.
func (s *server) run(ctx context.Context) error {
	defer s.close(ctx)
	public, err := s.publicServer()
	if err != nil {
		return err
	}
	admin := &http.Server{Handler: s.adminHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: public.ErrorLog}
	served := make(chan error, 2)
	go func() { served <- public.Serve(s.public) }()
	go func() { served <- admin.Serve(s.admin) }()
	var failed error
	select {
	case failed = <-served:
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.end()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(failed, public.Shutdown(stopping), admin.Shutdown(stopping))
}

// publicServer serves what clients see.
func (s *server) publicServer() (*http.Server, error) {
	handler, err := s.metrics.timed(s.traced(s.sender.written(s.handler())))
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}, err
}

// close ends what newServer started.
func (s *server) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	s.end()
	for _, l := range []net.Listener{s.public, s.admin} {
		if l != nil {
			_ = l.Close() // it may be closed
		}
	}
	for _, a := range s.apps {
		a.close(ctx)
	}
	if s.sender != nil {
		s.sender.close(ctx)
	}
	if s.gate != nil {
		s.gate.close()
	}
	s.metrics.close(ctx)
	s.closeTracing(ctx)
	if s.state != nil {
		s.state.close()
	}
}

// reload takes the API keys, the secrets of webhooks and the operators from the file. The rest of it is read at the
// start only.
func (s *server) reload(path string, env func(string) string) {
	c, err := readConfig(path, env)
	if err != nil {
		s.log.Error("the API keys, secrets and operators stay as they are", "error", err)
		return
	}
	s.gate.setKeys(c)
	s.sender.setSecrets(c)
	s.login.set(c)
	s.log.Info("the API keys, secrets and operators were read", "keys", len(*s.gate.keys.Load()))
}

// handler is what clients see.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openAPI) // the client may have gone
	})
	verifications := s.admitted(scopeVerifications,
		func(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
			a.api.ServeHTTP(w, r)
			return nil
		})
	for _, pattern := range []string{"", "/", "/{id}", "/{id}/resend", "/{id}/check"} { // as metrics name them
		mux.Handle(apiPath+pattern, verifications)
	}
	mux.Handle("POST "+pagesPath, s.admitted(scopePages, s.createPage))
	mux.Handle("GET "+pagesPath+"/{id}", s.admitted(scopePages, s.getPage))
	s.hookCalls(mux)
	mux.HandleFunc("/hooks/{application}/{route}", s.receipts)
	s.authenticatorCalls(mux)
	mux.Handle("GET /v1/stats", s.admitted(scopeStats, s.getStats))
	mux.Handle("GET /v1/events", s.admitted(scopeEvents, s.getEvents))
	if s.gate.tokens != nil {
		mux.HandleFunc("POST /oauth/token", s.token)
	}
	s.person(mux)
	mux.Handle("/", s.elsewhere(mux))
	return mux
}

// elsewhere refuses requests that no pattern of mux serves: 405 if another method would be
// served, else 404.
func (s *server) elsewhere(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPost} {
			q := &http.Request{Method: method, Host: r.Host, URL: r.URL}
			if _, pattern := mux.Handler(q); pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			s.refuse(w, refusal(http.StatusNotFound, "not_found", "There is nothing here.", ""))
			return
		}
		p := refusal(http.StatusMethodNotAllowed, "method_not_allowed",
			"The method must be "+strings.Join(allowed, " or ")+".", "")
		p.Header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
		s.refuse(w, p)
	})
}

// refuse answers a Problem with the types of the file.
func (s *server) refuse(w http.ResponseWriter, p *otphttp.Problem) {
	p.Type = cmp.Or(s.c.ProblemTypes, otphttp.TypeBase) + p.Reason
	p.Write(w)
}

// admitted has a request served for the application of its API key.
func (s *server) admitted(scope string, do func(http.ResponseWriter, *http.Request, *app, *apiKey) *otphttp.Problem,
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, p := s.gate.admit(r, scope)
		if p == nil {
			w.Header().Set("RateLimit-Policy", k.policy())
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, otphttp.Caller{ID: k.ID}))
			if a := s.apps[k.app]; a != nil {
				p = do(w, r, a, k)
			} else { // a key that SIGHUP brought, of an application that does not run yet
				p = refusal(http.StatusUnauthorized, "unauthorized", "The API key is not valid.", `Bearer realm="otp"`)
			}
		}
		if p != nil {
			s.refuse(w, p)
		}
	})
}

type callerKey struct{}

// callerOf returns whom the gate let in.
func callerOf(r *http.Request) (otphttp.Caller, error) {
	c, ok := r.Context().Value(callerKey{}).(otphttp.Caller)
	if !ok {
		return c, errors.New("the request did not come through the gate")
	}
	return c, nil
}

// adminHandler is for operators, and for machines that watch: /healthz says that the
// process lives, /readyz that it can serve; /metrics is for Prometheus.
func (s *server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	s.operators(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state := s.ready(r.Context())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state) // the client may have gone
	})
	mux.Handle("/", s.elsewhere(mux))
	return mux
}

// readiness says which part is missing.
type readiness struct {
	Ready    bool            `json:"ready"`
	Draining bool            `json:"draining,omitempty"` // SIGTERM has come
	Store    bool            `json:"store"`
	Routes   map[string]bool `json:"routes"` // by application: whether one is up
}

func (s *server) ready(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := s.gate.limiter.Take(ctx, time.Now(), store.Limit{Key: "ready", Most: 1, Per: time.Second, Peek: true})
	out := readiness{Draining: s.draining.Load(), Store: err == nil, Routes: map[string]bool{}}
	out.Ready = out.Store && !out.Draining
	for name, a := range s.apps {
		out.Routes[name] = a.up()
		out.Ready = out.Ready && out.Routes[name]
	}
	return out
}
