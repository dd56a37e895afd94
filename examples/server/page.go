package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/otp/wording"
)

const (
	pagesPath = "/v1/pages"
	linkLife  = 10 * time.Minute // until the person opens the page
	pageLife  = 30 * time.Minute // from then on
	askedLife = 24 * time.Hour   // until the backend has asked what came of it

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
	Until                       time.Time // the person's time is over then

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

// A ticket is what outlives a page, so that its backend can ask for it. It has no address.
type ticket struct{ App, Reference string }

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
	Status       string      `json:"status"` // open, verified, expired
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
		Binding: in.Binding, Details: in.Details, ReturnURL: in.ReturnURL, Language: in.Language, To: in.To,
		Until: now.Add(linkLife), Click: secret()}
	err := errors.Join(s.savePage(r.Context(), p),
		s.vault.write(r.Context(), ticketName(p.ID), ticket{p.App, p.Reference}, askedLife),
		s.vault.write(r.Context(), secretName("link", link), p.ID, linkLife))
	if err != nil {
		return s.unavailable(r, err)
	}
	w.Header().Set("Location", pagesPath+"/"+p.ID)
	writeJSON(w, http.StatusCreated, pageState{ID: p.ID, Status: "open", URL: s.baseURL() + "/p/" + link,
		Expires: &p.Until, Reference: p.Reference})
	return nil
}

// validate refuses what the Service would refuse later, in front of the person.
func (in *newPage) validate(a *app) *otphttp.Problem {
	switch {
	case in.Subject == "" || len(in.Subject) > 256:
		return wrong("/subject", "it must have 1 to 256 octets")
	case !asciiLine(in.Purpose, 64):
		return wrong("/purpose", "it must be at most 64 printable ASCII characters")
	case !asciiLine(in.Reference, 128):
		return wrong("/reference", "it must be at most 128 printable ASCII characters")
	case len(in.Binding) > 64<<10:
		return wrong("/binding", "it is longer than 64 KiB")
	case in.To.Push != "" || in.To.Chat != "":
		return wrong("/to", "a page knows phone and email only")
	case !a.mayReturn(in.ReturnURL):
		return wrong("/return_url", "it is none of the application's return_urls")
	}
	if in.To.Email != "" && (channel.Recipient{Email: in.To.Email}).Validate() != nil {
		return wrong("/to/email", "it is no e-mail address")
	}
	if _, err := phone.Parse(in.To.Phone, a.config.Region); in.To.Phone != "" && err != nil {
		return wrong("/to/phone", "it is no phone number")
	}
	if _, err := a.words.Language(in.Language, ""); err != nil {
		return wrong("/language", "it is no BCP 47 tag")
	}
	if _, err := a.words.Render(wording.Data{Code: "000000", Minutes: 1, Details: in.Details}); err != nil {
		return wrong("/details", "it must be a line of at most 200 characters")
	}
	return nil
}

func asciiLine(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// mayReturn reports whether the person may be led to an address: the origin and the first
// segments of the path must be those of the file.
func (a *app) mayReturn(to string) bool {
	u, err := url.Parse(to)
	if err != nil || u.User != nil || strings.Contains(u.Path, "..") {
		return false
	}
	for _, allowed := range a.config.ReturnURLs {
		w, err := url.Parse(allowed)
		if err != nil || u.Scheme != w.Scheme || u.Host != w.Host {
			continue
		}
		rest, within := strings.CutPrefix(u.Path, w.Path)
		if within && (rest == "" || rest[0] == '/' || strings.HasSuffix(w.Path, "/")) {
			return true
		}
	}
	return false
}

// getPage tells the backend what has come of a page. What the browser brings back
// proves nothing.
func (s *server) getPage(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
	id, t := r.PathValue("id"), ticket{}
	sealed, err := s.vault.get(r.Context(), ticketName(id))
	err = s.vault.read(ticketName(id), sealed, err, &t)
	switch {
	case errors.Is(err, errGone) || err == nil && t.App != a.name:
		return refusal(http.StatusNotFound, "not_found", "There is no such page.", "")
	case err != nil:
		return s.unavailable(r, err)
	}
	out := pageState{ID: id, Status: "open", Reference: t.Reference}
	_, lives := s.page(r.Context(), id)
	done, err := s.result(r.Context(), id)
	switch {
	case err != nil:
		return s.unavailable(r, err)
	case done != nil:
		out.Status, out.Verification, out.To, out.Used, out.VerifiedAt = "verified", done.Verification, &done.To,
			done.Used, &done.At
	case errors.Is(lives, errGone):
		out.Status = "expired"
	case lives != nil:
		return s.unavailable(r, lives)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func ticketName(id string) string { return "ticket/" + id }

// page reads a page. errGone: there is none, or no more.
func (s *server) page(ctx context.Context, id string) (*page, error) {
	p := &page{}
	sealed, err := s.vault.get(ctx, "page/"+id)
	err = s.vault.read("page/"+id, sealed, err, p)
	if err == nil && !time.Now().Before(p.Until) {
		err = errGone
	}
	return p, err
}

// savePage keeps a page to the end of the person's time.
func (s *server) savePage(ctx context.Context, p *page) error {
	return s.vault.write(ctx, "page/"+p.ID, p, max(time.Until(p.Until), time.Second))
}

// at names where a page is, for its forms: those of another page, or of what the page was
// before another tab went on with it, do nothing.
func (p *page) at() string {
	sum := sha256.Sum256([]byte(p.ID + " " + p.Challenge))
	return hex.EncodeToString(sum[:8])
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
		At: time.Now().UTC()}, askedLife)
}

func wrong(pointer, detail string) *otphttp.Problem {
	status := http.StatusUnprocessableEntity
	if pointer == "" { // of the URL or a header field
		status = http.StatusBadRequest
	}
	p := refusal(status, "invalid", "The request is wrong.", "")
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
