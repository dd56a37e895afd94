package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
)

//go:embed web
var web embed.FS

// pages are the templates by their names.
var pages = template.Must(template.ParseFS(web, "web/*.html"))

// The one user of this site.
const (
	userName = "ann"
	userID   = "user-42"
	account  = "ann@example.com" // as the app shows it
)

// A site serves the pages.
type site struct {
	auth     *authenticator.Service
	password string
	sessions sessions

	mu     sync.Mutex
	events []authenticator.Event // a real site tells the person by mail
}

// tell keeps the audit trail.
func (s *site) tell(_ context.Context, e authenticator.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) < 1000 {
		s.events = append(s.events, e)
	}
}

// The policy of all pages: no script, no frame, nothing from elsewhere.
const contentPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'"

// handler returns the site. A form is answered by a redirect, so that a reload sends
// nothing twice. A page is never cached.
func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /style.css", http.FileServerFS(must(fs.Sub(web, "web"))))
	for pattern, page := range map[string]func(*http.Request, *session) view{
		"GET /{$}": s.accountPage, "GET /signin": s.signinPage, "GET /code": s.codePage,
		"GET /enroll": s.enrollPage, "GET /recovery": s.recoveryPage,
	} {
		mux.HandleFunc(pattern, s.show(page))
	}
	for pattern, form := range map[string]func(http.ResponseWriter, *http.Request, *session) string{
		"POST /signin": s.signin, "POST /code": s.code, "POST /recover": s.recover, "POST /signout": s.signout,
		"POST /enroll": s.enroll, "POST /confirm": s.confirm, "POST /recovery": s.newCodes, "POST /revoke": s.revoke,
	} {
		mux.HandleFunc(pattern, s.take(form))
	}
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Cache-Control", "no-store") // secrets are on the pages
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, 4096)
		mux.ServeHTTP(w, r)
	}))
}

func must(f fs.FS, err error) fs.FS {
	if err != nil {
		panic(err)
	}
	return f
}

// A view is the data of a template. If To is set, the person is redirected there
// instead.
type view struct {
	To, Template, Title string
	Problem             problem
	Notice              string
	User                string
	Data                any
}

// show returns the handler of a page.
func (s *site) show(page func(*http.Request, *session) view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.sessions.of(w, r)
		c.Lock()
		defer c.Unlock()
		v := page(r, c)
		if v.To != "" {
			http.Redirect(w, r, v.To, http.StatusSeeOther)
			return
		}
		v.Problem, v.Notice, v.User = c.problem, c.notice, c.user
		c.problem, c.notice = problem{}, ""
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, v.Template, v); err != nil {
			http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = b.WriteTo(w)
	}
}

// take returns the handler of a form. The form returns the next page.
func (s *site) take(form func(http.ResponseWriter, *http.Request, *session) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.sessions.of(w, r)
		c.Lock()
		defer c.Unlock()
		http.Redirect(w, r, form(w, r, c), http.StatusSeeOther)
	}
}

// step returns the page that the person must visit before a page that needs a login,
// or "". Fresh pages need a recent second factor.
func (s *site) step(r *http.Request, c *session, fresh bool) string {
	if c.user == "" {
		return "/signin"
	}
	st, err := s.auth.Status(r.Context(), userID)
	switch {
	case err != nil: // an outage must not open the door
		c.problem = explain(err, "")
		return "/signin"
	case st.Enrolled() && (c.verified.IsZero() || fresh && time.Since(c.verified) > freshLogin):
		return "/code"
	}
	return ""
}

// explain words an error for the person. It must not tell which of the reasons made
// a code wrong.
func explain(err error, field string) problem {
	var e *otp.Error
	switch {
	case errors.Is(err, otp.ErrInvalidCode):
		if errors.As(err, &e) && e.AttemptsLeft > 0 && e.AttemptsLeft <= 3 {
			return problem{fmt.Sprintf("The code is not right. You have %d more tries.", e.AttemptsLeft), field}
		}
		return problem{"The code is not right. Codes change every 30 seconds, and each works once: " +
			"wait for the next one.", field}
	case errors.As(err, &e) && e.Reason == otp.ReasonLocked && e.RetryAfter > 0:
		return problem{fmt.Sprintf("There were too many wrong codes. Try again in %.0f minutes, "+
			"or use a recovery code.", math.Ceil(e.RetryAfter.Minutes())), field}
	case errors.As(err, &e) && e.Reason == otp.ReasonLocked:
		return problem{"There were too many wrong codes. Use a recovery code, or call support.", field}
	case errors.Is(err, otp.ErrUnavailable):
		return problem{"We cannot check this at the moment. Try again in a minute.", ""}
	}
	return problem{"That did not work.", field}
}

// sameText compares a password in constant time. A real site compares hashes.
func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
