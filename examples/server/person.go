package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// cookieName is sent back to this host only, over TLS only. Browsers take it from
// 127.0.0.1 without.
const cookieName = "__Host-otp-page"

// person serves the hosted page. Each POST is answered by a redirect, so that to
// reload, to go back, or to click twice sends no message and costs no attempt; no GET
// sends one.
func (s *server) person(mux *http.ServeMux) {
	protected := http.NewCrossOriginProtection()
	handle := func(pattern string, h http.Handler) { mux.Handle(pattern, headers(protected.Handler(h))) }
	handle("GET /p/{link}", http.HandlerFunc(s.openLink))
	handle("GET /verify", http.HandlerFunc(s.showPage))
	handle("GET /verify/status", http.HandlerFunc(s.pageStatus))
	handle("POST /verify/send", s.form(s.sendCode))
	handle("POST /verify/check", s.form(s.checkCode))
	handle("POST /verify/resend", s.form(s.resendCode))
	handle("POST /verify/change", s.form(s.changeNumber))
	handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
}

func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; "+
			"connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		head.Set("Referrer-Policy", "same-origin") // no-referrer makes the Origin of our own forms null
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Permissions-Policy", "otp-credentials=(self)")
		head.Set("Cache-Control", "no-store")
		if strings.HasPrefix(r.URL.Path, "/static/") {
			head.Set("Cache-Control", "max-age=300")
		}
		h.ServeHTTP(w, r)
	})
}

// openLink trades the link for a cookie, once, so that no address has a secret.
func (s *server) openLink(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Sec-Purpose"), "prefetch") || r.Method == http.MethodHead {
		w.WriteHeader(http.StatusServiceUnavailable) // the link works once, and that is for the person
		return
	}
	value := secret()
	if err := s.trade(r.Context(), r.PathValue("link"), value); err != nil {
		s.notShown(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: int(pageLife / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/verify", http.StatusSeeOther)
}

// trade has a cookie open the page of a link, from now on in the link's place.
func (s *server) trade(ctx context.Context, link, cookie string) error {
	var id string
	name := secretName("link", link)
	sealed, err := s.vault.take(ctx, name)
	if err = s.vault.read(name, sealed, err, &id); err != nil {
		return err
	}
	p, err := s.page(ctx, id)
	if err != nil {
		return err
	}
	p.Until = time.Now().UTC().Add(pageLife)
	return errors.Join(s.savePage(ctx, p), s.vault.write(ctx, secretName("cookie", cookie), id, pageLife))
}

// pageOf returns the page of the cookie, and its application. errGone: there is none.
func (s *server) pageOf(r *http.Request) (*page, *app, error) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil, nil, errGone
	}
	var id string
	name := secretName("cookie", c.Value)
	sealed, err := s.vault.get(r.Context(), name)
	if err := s.vault.read(name, sealed, err, &id); err != nil {
		return nil, nil, err
	}
	p, err := s.page(r.Context(), id)
	if err != nil {
		return nil, nil, err
	}
	a := s.apps[p.App]
	if a == nil {
		return nil, nil, errGone
	}
	return p, a, nil
}

// form does what a form asks for, keeps what came of it, and leads back to the page.
func (s *server) form(do func(*http.Request, *page, *app)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
		p, a, err := s.pageOf(r)
		var done *result
		if err == nil {
			done, err = s.result(r.Context(), p.ID)
		}
		if at := r.PostFormValue("at"); err == nil && done == nil && (at == "" || at == p.at()) {
			p.Problem = problem{}
			do(r, p, a)
			err = s.savePage(r.Context(), p)
		}
		if err != nil {
			s.notShown(w, r, err)
			return
		}
		http.Redirect(w, r, "/verify", http.StatusSeeOther)
	})
}

// sendCode sends the first message, to the number that was typed, or to where the
// backend said.
func (s *server) sendCode(r *http.Request, p *page, a *app) {
	if p.Challenge != "" { // a second click: what it asked for is done
		return
	}
	to := channel.Recipient(p.To)
	if to == (channel.Recipient{}) { // else the backend said where to, and the person has no say in it
		n, bad := a.number(r, p)
		if bad != (problem{}) {
			p.Problem = bad
			return
		}
		to.Phone = n
	}
	limit := store.Limit{Key: "page/" + p.ID, Most: pageCodes, Per: pageLife}
	over, refused := s.gate.take(r.Context(), time.Now(), limit)
	switch {
	case over != nil:
		p.Problem = problem{Text: "sends_over"}
		return
	case refused != nil:
		p.Problem = problem{Text: "down"}
		return
	}
	c, err := a.svc.Send(r.Context(), otp.Request{Subject: p.Subject, Purpose: p.Purpose, To: to, Binding: p.Binding,
		Details: p.Details, Language: s.language(r, p), IP: s.gate.proxies.ClientAddr(r), Reference: p.Reference,
		IdempotencyKey: p.ID + r.PostFormValue("click")})
	if c != nil {
		p.Challenge, p.Click = c.ID, secret()
	}
	p.tell(err)
}

// number reads the form of a number.
func (a *app) number(r *http.Request, p *page) (string, problem) {
	p.Country, p.Typed = r.PostFormValue("country"), r.PostFormValue("phone")
	if p.Typed == "" {
		return "", problem{Text: "phone_title", Field: "phone"}
	}
	n, err := phone.Parse(p.Typed, p.Country)
	bad, _ := errors.AsType[*phone.Error](err)
	switch {
	case bad != nil && bad.Reason == phone.MissingRegion:
		return "", problem{Text: "country_empty", Field: "country"}
	case err != nil:
		return "", problem{Text: "phone_wrong", Field: "phone"}
	case !a.serves(n.Region):
		return "", problem{Text: "phone_type", Field: "phone"}
	}
	return n.E164, problem{}
}

// tell keeps what is wrong for the next view. A wrong code is not told here.
func (p *page) tell(err error) {
	e, ok := errors.AsType[*otp.Error](err)
	minutes := 0
	if ok {
		minutes = int((e.RetryAfter + time.Minute - 1) / time.Minute)
	}
	switch {
	case err == nil:
	case !ok:
		p.Problem = problem{Text: "down"}
	case errors.Is(err, otp.ErrInvalidRequest):
		p.Problem = problem{Text: "phone_type", Field: "phone"}
	case e.Reason == otp.ReasonLocked:
		p.Problem = problem{Text: "locked", Count: minutes}
	case e.Reason == otp.ReasonTooSoon:
		p.Problem = problem{Text: "wait", Count: int((e.RetryAfter + time.Second - 1) / time.Second)}
	case errors.Is(err, otp.ErrWait):
		p.Problem = problem{Text: "sends_over"}
	case errors.Is(err, otp.ErrUndelivered):
		p.Problem = problem{Text: "undelivered"}
	case errors.Is(err, otp.ErrInvalidCode): // of a Resend: the challenge is over
		p.Problem = problem{Text: "expired"}
	default:
		p.Problem = problem{Text: "down"}
	}
}

// checkCode compares what was typed. The same code twice is one attempt.
func (s *server) checkCode(r *http.Request, p *page, a *app) {
	typed := strings.TrimSpace(r.PostFormValue("code"))
	switch {
	case p.Challenge == "":
		return
	case typed == "":
		p.Problem = problem{Text: "code_title", Field: "code"}
		return
	}
	c, err := a.svc.Verify(r.Context(), otp.Verification{ID: p.Challenge, Subject: p.Subject, Purpose: p.Purpose,
		Binding: p.Binding, Code: typed, IdempotencyKey: p.ID})
	if err == nil {
		err = s.finish(r.Context(), p, c)
	}
	e, _ := errors.AsType[*otp.Error](err)
	switch {
	case e == nil:
		p.tell(err)
	case e.Reason == otp.ReasonMalformed:
		p.Problem = problem{Text: "code_title", Field: "code"}
	case e.Reason == otp.ReasonWrong && e.AttemptsLeft > 0:
		p.Problem = problem{Text: "code_wrong", Field: "code", Count: e.AttemptsLeft}
	case errors.Is(err, otp.ErrInvalidCode), e.Reason == otp.ReasonAttempts:
		p.Problem = problem{Text: "expired", Field: "code"}
	default:
		p.tell(err)
	}
}

// resendCode sends the code once more, or by e-mail.
func (s *server) resendCode(r *http.Request, p *page, a *app) {
	if p.Challenge == "" {
		return
	}
	q := otp.ResendRequest{ID: p.Challenge, Subject: p.Subject, IP: s.gate.proxies.ClientAddr(r),
		IdempotencyKey: p.ID + r.PostFormValue("click")}
	if r.PostFormValue("by") == "email" {
		q.Route = a.mailRoute
	}
	_, err := a.svc.Resend(r.Context(), q)
	if err == nil {
		p.Click = secret()
	}
	p.tell(err)
}

// changeNumber goes back to the start. The code that is out is made worthless.
func (s *server) changeNumber(r *http.Request, p *page, a *app) {
	if p.Challenge != "" {
		_ = a.svc.Cancel(r.Context(), otp.Ref{ID: p.Challenge, Subject: p.Subject}) // else it expires by itself
		p.Challenge, p.Click = "", secret()
	}
}

// pageStatus is what the script asks for while a message is on its way.
func (s *server) pageStatus(w http.ResponseWriter, r *http.Request) {
	out := struct {
		State string   `json:"state"`
		Next  otp.Next `json:"next"`
	}{"", otp.NextRestart}
	if p, a, err := s.pageOf(r); err == nil && p.Challenge != "" {
		if c, err := a.svc.Status(r.Context(), otp.Ref{ID: p.Challenge, Subject: p.Subject}); err == nil {
			out.State, out.Next = c.State.String(), c.Next
		}
	}
	writeJSON(w, http.StatusOK, out)
}
