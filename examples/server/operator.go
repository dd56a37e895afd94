package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/store"
)

const (
	operatorCookie = "__Host-otp-ops"
	operatorLife   = 8 * time.Hour // then the operator signs in again
)

// A session is what the vault has of an operator who signed in.
type session struct {
	Name    string
	Version []byte // of the password
	Until   time.Time
}

// sessions are copies of those that this process has read. While the store is down the
// dashboard opens by them. Its methods are safe for concurrent use.
type sessions struct {
	mu   sync.Mutex
	kept map[string]session // by name in the vault
}

func (s *sessions) put(name string, k session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]session{}
	}
	maps.DeleteFunc(s.kept, func(_ string, k session) bool { return !now.Before(k.Until) })
	s.kept[name] = k
}

func (s *sessions) get(name string) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[name]
}

func (s *sessions) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, name)
}

// operators serves the dashboard. Each call but that of signing in needs the cookie.
func (s *server) operators(mux *http.ServeMux) {
	protected := http.NewCrossOriginProtection()
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, headers(protected.Handler(h))) }
	handle("POST /dashboard/sign-in", s.signIn)
	handle("POST /dashboard/sign-out", s.signOut)
	handle("GET /dashboard", s.operator(s.showBoard))
	handle("GET /dashboard/events", s.operator(func(w http.ResponseWriter, r *http.Request, a *app, _ *operator) {
		if p := s.follow(w, r, a, matching("", "", "")); p != nil {
			s.refuse(w, p)
		}
	}))
	handle("POST /dashboard/search", s.operator(func(w http.ResponseWriter, r *http.Request, a *app, _ *operator) {
		q := url.Values{"application": {a.name}, "find": {a.searched(r, s.keys)}}
		backTo(w, r, "/dashboard", q)
	}))
	handle("GET /dashboard/failures", s.operator(s.showFailures))
	handle("POST /dashboard/cancel", s.operate(s.cancelVerification))
	handle("POST /dashboard/replay", s.operate(s.replayWebhook))
	mux.Handle("GET /static/", headers(http.StripPrefix("/static/", http.FileServerFS(static))))
}

// signIn trades a name and its password for the cookie of a new session. The former
// session of the browser ends.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	o, p := s.authenticate(r, strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("password"))
	value := secret()
	if p == nil {
		err := s.vault.write(r.Context(), secretName("operator", value),
			session{o.Name, o.version(), time.Now().Add(operatorLife)}, operatorLife)
		if err != nil {
			p = s.unavailable(r, err)
		}
	}
	if p != nil {
		text := p.Title
		if p.RetryAfter > 0 {
			text += fmt.Sprintf(" Try again in %d seconds.", p.RetryAfter)
		}
		s.askSignIn(w, r, p.Status, text)
		return
	}
	s.endSession(r)
	s.log.InfoContext(r.Context(), "an operator signed in", "operator", o.Name)
	http.SetCookie(w, &http.Cookie{Name: operatorCookie, Value: value, Path: "/",
		MaxAge: int(operatorLife / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	backTo(w, r, "/dashboard", url.Values{"application": {r.FormValue("application")}})
}

// authenticate returns the operator of a name and password. A try counts as a failure
// before the password is hashed, so that tries at one time are bounded, too. Wrong passwords
// block an address as wrong API keys do.
func (s *server) authenticate(r *http.Request, name, password string) (*operator, *otphttp.Problem) {
	wrong := refusal(http.StatusUnauthorized, "unauthorized", "The name or the password is wrong.", "")
	tag, _, err := s.keys.Subject("", "", name) // people also type passwords here
	if err != nil {
		return nil, wrong
	}
	now := time.Now()
	limits := []store.Limit{
		{Key: "auth/" + network(s.gate.proxies.ClientAddr(r)), Most: maxFailures, Per: blockFor},
		{Key: "operator/" + tag, Most: maxSignIns, Per: blockFor},
	}
	if over, p := s.gate.take(r.Context(), now, limits...); p != nil {
		if len(over) > 0 {
			p.Title = "Too many failures to sign in."
		}
		return nil, p
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	o, err := s.login.check(ctx, name, password)
	if err == nil && o == nil {
		if known := s.login.find(name); known != nil {
			s.log.WarnContext(ctx, "an operator's password was wrong", "operator", known.Name)
		}
		return nil, wrong
	}
	if failed := s.gate.limiter.Give(r.Context(), now, time.Now(), limits...); failed != nil {
		s.log.WarnContext(ctx, "a right password counts as a failure", "error", failed)
	}
	if err != nil {
		return nil, s.unavailable(r, err)
	}
	return o, nil
}

// askSignIn answers the form to sign in, which then leads to the application asked for.
func (s *server) askSignIn(w http.ResponseWriter, r *http.Request, status int, problem string) {
	s.execute(w, status, "sign-in.html", "en", struct{ Problem, Application, Name string }{problem,
		r.FormValue("application"), r.PostFormValue("name")})
}

// endSession ends the session of the browser's cookie.
func (s *server) endSession(r *http.Request) {
	if c, err := r.Cookie(operatorCookie); err == nil {
		s.login.sessions.drop(secretName("operator", c.Value))
		_, _ = s.vault.take(r.Context(), secretName("operator", c.Value)) // else it ends by itself
	}
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request) {
	s.endSession(r)
	http.SetCookie(w, &http.Cookie{Name: operatorCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/dashboard", http.StatusSeeOther)
}

// signedIn returns the operator of a request's cookie, nil if there is none or the file has
// another password.
func (s *server) signedIn(r *http.Request) *operator {
	c, err := r.Cookie(operatorCookie)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var kept session
	name, now := secretName("operator", c.Value), time.Now()
	sealed, err := s.vault.get(ctx, name)
	err = s.vault.read(name, sealed, err, &kept)
	switch {
	case err == nil:
		s.login.sessions.put(name, kept, now)
	case errors.Is(err, errGone):
		s.login.sessions.drop(name)
		return nil
	default:
		kept = s.login.sessions.get(name)
	}
	o := s.login.find(kept.Name)
	if o == nil || !now.Before(kept.Until) || !bytes.Equal(o.version(), kept.Version) {
		return nil
	}
	return o
}

// operator has a request served for the application that it names, by default the first.
func (s *server) operator(do func(http.ResponseWriter, *http.Request, *app, *operator)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		o := s.signedIn(r)
		if o == nil {
			s.askSignIn(w, r, http.StatusUnauthorized, "")
			return
		}
		a := s.apps[r.FormValue("application")]
		if a == nil {
			a = s.apps[s.c.Applications[0].Name]
		}
		do(w, r, a, o)
	}
}

// searched returns what entries of the log have in place of what the operator typed, so
// that no address of a page has a whole number or a subject.
func (a *app) searched(r *http.Request, keys otp.Keyring) string {
	typed := strings.TrimSpace(r.PostFormValue("text"))
	switch r.PostFormValue("kind") {
	case "address":
		if n, err := phone.Parse(typed, a.config.Region); err == nil {
			typed = n.E164
		}
		if !strings.Contains(typed, "*") { // it was copied from the log
			typed = channel.Mask(typed)
		}
	case "subject":
		tag, _, err := keys.Subject(a.name, "", typed)
		if err == nil {
			typed = tag
		}
	}
	return typed
}
