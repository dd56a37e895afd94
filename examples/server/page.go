package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
)

const (
	pagesPath = "/v1/pages"
	linkLife  = 10 * time.Minute // until the person opens the page
	pageLife  = 30 * time.Minute // from then on, and until the backend has asked

	// pageCodes is how often a page may begin with a new code, so that nobody can
	// send to one number after another by one link.
	pageCodes = 5
)

// A page is one person's way through the hosted page, as the vault has it.
type page struct {
	ID, App, Key                string
	Subject, Purpose, Reference string
	Binding                     []byte
	Details, ReturnURL          string
	Language                    string // as the backend said; empty: the browser's
	To                          otphttp.To
	Begun                       time.Time

	Country, Typed   string // as the person gave them, so that a mistake can be mended
	Challenge, Click string // Click is the idempotency key of the next form
	Problem          problem
}

// A problem is what the person is told: the name of a text and the field that it is
// about, "" for the page.
type problem struct {
	Text, Field string
	Count       int
}

// A result is what the backend asks for. It has a name of its own in the vault, so
// that no other form that is sent at the same time can overwrite it.
type result struct {
	Verification string
	To           otphttp.To // masked
	Used         []string
	At           time.Time
}

// newPage is the body of POST /v1/pages.
type newPage struct {
	Subject   string     `json:"subject"`
	Purpose   string     `json:"purpose,omitempty"`
	To        otphttp.To `json:"to,omitzero"`
	Language  string     `json:"language,omitempty"`
	Reference string     `json:"reference,omitempty"`
	Details   string     `json:"details,omitempty"`
	Binding   []byte     `json:"binding,omitempty"`
	ReturnURL string     `json:"return_url"`
}

// pageState is the answer to both calls.
type pageState struct {
	ID           string      `json:"id"`
	Status       string      `json:"status"` // open, verified
	URL          string      `json:"url,omitempty"`
	Expires      *time.Time  `json:"expires,omitempty"` // of the URL, which works once
	Reference    string      `json:"reference,omitempty"`
	Verification string      `json:"verification,omitempty"`
	To           *otphttp.To `json:"to,omitempty"`
	Used         []string    `json:"used,omitempty"`
	VerifiedAt   *time.Time  `json:"verified_at,omitempty"`
}

// createPage makes a page and the link to it, which works once.
func (s *server) createPage(w http.ResponseWriter, r *http.Request, a *app, k *apiKey) *otphttp.Problem {
	var in newPage
	if p := otphttp.ReadBody(w, r, &in); p != nil {
		return p
	}
	if p := in.validate(a); p != nil {
		return p
	}
	link, now := secret(), time.Now().UTC()
	p := &page{ID: secret(), App: a.name, Key: k.ID, Subject: in.Subject, Purpose: in.Purpose, Reference: in.Reference,
		Binding: in.Binding, Details: in.Details, ReturnURL: in.ReturnURL, Language: in.Language, To: in.To, Begun: now,
		Click: secret()}
	err := errors.Join(s.vault.write(r.Context(), "page/"+p.ID, p, pageLife),
		s.vault.write(r.Context(), secretName("link", link), p.ID, linkLife))
	if err != nil {
		return s.unavailable(r, err)
	}
	expires := now.Add(linkLife)
	w.Header().Set("Location", pagesPath+"/"+p.ID)
	writeJSON(w, http.StatusCreated, pageState{ID: p.ID, Status: "open", URL: s.baseURL() + "/p/" + link,
		Expires: &expires, Reference: p.Reference})
	return nil
}

// validate refuses what the Service would refuse later, in front of the person.
func (in *newPage) validate(a *app) *otphttp.Problem {
	switch {
	case in.Subject == "" || len(in.Subject) > 256:
		return wrong("/subject", "it must have 1 to 256 octets")
	case len(in.Purpose) > 64:
		return wrong("/purpose", "it is longer than 64 octets")
	case len(in.Reference) > 128:
		return wrong("/reference", "it is longer than 128 octets")
	case in.To.Push != "" || in.To.Chat != "":
		return wrong("/to", "a page knows phone and email only")
	case !a.mayReturn(in.ReturnURL):
		return wrong("/return_url", "it is none of the application's return_urls")
	}
	if in.To.Email != "" && (channel.Recipient{Email: in.To.Email}).Validate() != nil {
		return wrong("/to/email", "it is no e-mail address")
	}
	return nil
}

// mayReturn reports whether the person may be led to an address: the origin and the
// beginning of the path must be those of the file.
func (a *app) mayReturn(to string) bool {
	u, err := url.Parse(to)
	if err != nil || u.User != nil || strings.Contains(u.Path, "..") {
		return false
	}
	for _, allowed := range a.config.ReturnURLs {
		w, err := url.Parse(allowed)
		if err == nil && u.Scheme == w.Scheme && u.Host == w.Host && strings.HasPrefix(u.Path, w.Path) {
			return true
		}
	}
	return false
}

// getPage tells the backend what has come of a page. What the browser brings back
// proves nothing.
func (s *server) getPage(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
	p, err := s.page(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, errGone) || err == nil && p.App != a.name:
		return refusal(http.StatusNotFound, "not_found", "There is no such page.", "")
	case err != nil:
		return s.unavailable(r, err)
	}
	out := pageState{ID: p.ID, Status: "open", Reference: p.Reference}
	done, err := s.result(r.Context(), p.ID)
	switch {
	case err != nil:
		return s.unavailable(r, err)
	case done != nil:
		out.Status, out.Verification, out.To, out.Used, out.VerifiedAt = "verified", done.Verification, &done.To,
			done.Used, &done.At
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// page reads a page. errGone: there is none.
func (s *server) page(ctx context.Context, id string) (*page, error) {
	p := &page{}
	sealed, err := s.vault.get(ctx, "page/"+id)
	return p, s.vault.read("page/"+id, sealed, err, p)
}

// result returns nil if the person is not verified yet.
func (s *server) result(ctx context.Context, id string) (*result, error) {
	out := &result{}
	sealed, err := s.vault.get(ctx, "done/"+id)
	if err = s.vault.read("done/"+id, sealed, err, out); errors.Is(err, errGone) {
		return nil, nil
	}
	return out, err
}

// finish records that the person is verified.
func (s *server) finish(ctx context.Context, p *page, c *otp.Challenge) error {
	shown := otphttp.ChallengeOf(c, time.Now())
	return s.vault.write(ctx, "done/"+p.ID, result{Verification: c.ID, To: shown.To, Used: shown.Used,
		At: time.Now().UTC()}, pageLife)
}

func wrong(pointer, detail string) *otphttp.Problem {
	p := refusal(http.StatusBadRequest, "invalid", "The request is wrong.", "")
	p.Errors = []otphttp.FieldError{{Pointer: pointer, Detail: detail}}
	return p
}

// unavailable logs why the store failed.
func (s *server) unavailable(r *http.Request, err error) *otphttp.Problem {
	s.log.ErrorContext(r.Context(), "the store failed", "error", err)
	p := refusal(http.StatusServiceUnavailable, "unavailable", "Please try again in a moment.", "")
	p.RetryAfter = 5
	return p
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
