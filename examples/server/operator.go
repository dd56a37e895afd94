package main

import (
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
)

const (
	operatorCookie = "__Host-otp-operator"
	operatorLife   = 8 * time.Hour // then the operator signs in again
)

// A session is what the vault has of an operator who signed in.
type session struct {
	Key   string // its ID
	Until time.Time
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
	handle("GET /dashboard/events", s.operator(func(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) {
		if p := s.follow(w, r, a, matching("", "", "")); p != nil {
			s.refuse(w, p)
		}
	}))
	handle("POST /dashboard/search", s.operator(func(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) {
		q := url.Values{"application": {a.name}, "find": {a.searched(r, s.keys)}}
		backTo(w, r, "/dashboard", q)
	}))
	handle("GET /dashboard/failures", s.operator(s.showFailures))
	handle("POST /dashboard/cancel", s.operate(s.cancelVerification))
	handle("POST /dashboard/replay", s.operate(s.replayWebhook))
	mux.Handle("GET /static/", headers(http.StripPrefix("/static/", http.FileServerFS(static))))
}

// signIn trades an operator's key for a cookie. Wrong keys block an address as those of
// the API do.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(r.PostFormValue("key")))
	k, p := s.gate.admit(r, scopeDashboard)
	value := secret()
	if p == nil {
		err := s.vault.write(r.Context(), secretName("operator", value),
			session{k.ID, time.Now().Add(operatorLife)}, operatorLife)
		if err != nil {
			p = s.unavailable(r, err)
		}
	}
	if p != nil {
		text := p.Title
		if p.RetryAfter > 0 {
			text += fmt.Sprintf(" Try again in %d seconds.", p.RetryAfter)
		}
		s.askKey(w, r, p.Status, text)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: operatorCookie, Value: value, Path: "/",
		MaxAge: int(operatorLife / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	backTo(w, r, "/dashboard", url.Values{"application": {r.FormValue("application")}})
}

// askKey answers the form for the key, which then leads to the application asked for.
func (s *server) askKey(w http.ResponseWriter, r *http.Request, status int, problem string) {
	s.execute(w, status, "sign-in.html", "en", struct{ Problem, Application string }{problem,
		r.FormValue("application")})
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(operatorCookie); err == nil {
		s.seen.drop(secretName("operator", c.Value))
		_, _ = s.vault.take(r.Context(), secretName("operator", c.Value)) // else it ends by itself
	}
	http.SetCookie(w, &http.Cookie{Name: operatorCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/dashboard", http.StatusSeeOther)
}

// signedIn returns the key of a request's cookie if it is still an operator's, else nil.
func (s *server) signedIn(r *http.Request) *apiKey {
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
		s.seen.put(name, kept, now)
	case errors.Is(err, errGone):
		s.seen.drop(name)
		return nil
	default:
		kept = s.seen.get(name)
	}
	k := (*s.gate.keys.Load())[kept.Key]
	if k == nil || !k.may(scopeDashboard) || !now.Before(kept.Until) || !k.Expires.IsZero() && !now.Before(k.Expires) {
		return nil
	}
	return k
}

// operator has a request served for the application that it names, by default the first.
func (s *server) operator(do func(http.ResponseWriter, *http.Request, *app, *apiKey)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		k := s.signedIn(r)
		if k == nil {
			s.askKey(w, r, http.StatusUnauthorized, "")
			return
		}
		a := s.apps[r.FormValue("application")]
		if a == nil {
			a = s.apps[s.c.Applications[0].Name]
		}
		do(w, r, a, k)
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
