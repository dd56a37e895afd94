package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// verificationForm is the form of a verification's ID. Text of another form may be an
// address, and is not logged.
var verificationForm = regexp.MustCompile(`^[a-z2-7]{26}$`)

// outcomes are the texts after an action, by the value of done in the page's address.
var outcomes = map[string]outcome{
	"cancelled":                   {"The verification is cancelled.", true},
	"replayed":                    {"The messages are on their way again.", true},
	string(otp.ReasonInvalid):     {"Give the subject of the verification.", false},
	string(otp.ReasonNotFound):    {"There is no such verification of this subject.", false},
	string(otp.ReasonClosed):      {"The verification has been used or cancelled before.", false},
	string(otp.ReasonExpired):     {"The code has expired.", false},
	string(otp.ReasonUnavailable): {"The store does not answer. Please try again in a moment.", false},
}

type outcome struct {
	Text string
	Good bool
}

// operate has a request served for operators, not for viewers.
func (s *server) operate(do func(http.ResponseWriter, *http.Request, *app, *operator)) http.HandlerFunc {
	return s.operator(func(w http.ResponseWriter, r *http.Request, a *app, o *operator) {
		if !o.operates() {
			s.refuse(w, refusal(http.StatusForbidden, "forbidden", "A viewer may only look.", ""))
			return
		}
		do(w, r, a, o)
	})
}

// acted logs an action of an operator, which may have failed.
func (s *server) acted(r *http.Request, a *app, o *operator, action, id string, err error) {
	log := s.log.With("operator", o.Name, "application", a.name, "action", action, "id", id)
	if err != nil {
		log.WarnContext(r.Context(), "an operator's action failed", "error", err)
		return
	}
	log.InfoContext(r.Context(), "an operator acted")
}

// cancelVerification is POST /dashboard/cancel. The operator gives the subject, since the
// log has its keyed hash only.
func (s *server) cancelVerification(w http.ResponseWriter, r *http.Request, a *app, o *operator) {
	id, done := r.PostFormValue("verification"), "cancelled"
	if !verificationForm.MatchString(id) {
		id = ""
	}
	err := a.svc.Cancel(r.Context(), otp.Ref{ID: id, Subject: strings.TrimSpace(r.PostFormValue("subject"))})
	if s.acted(r, a, o, "cancel", id, err); err != nil {
		if done = string(otp.ReasonOf(err)); outcomes[done].Text == "" {
			done = string(otp.ReasonUnavailable)
		}
	}
	backTo(w, r, "/dashboard", url.Values{"application": {a.name}, "find": {id}, "done": {done}})
}

// replayWebhook is POST /dashboard/replay.
func (s *server) replayWebhook(w http.ResponseWriter, r *http.Request, a *app, o *operator) {
	h, done := s.sender.endpoint(a.name, r.PostFormValue("webhook")), "replayed"
	if h == nil {
		s.refuse(w, refusal(http.StatusNotFound, "not_found", "There is no such webhook.", ""))
		return
	}
	_, err := s.sender.replay(r.Context(), a.name, h.Name)
	if s.acted(r, a, o, "replay", h.Name, err); err != nil {
		done = string(otp.ReasonUnavailable)
	}
	backTo(w, r, "/dashboard/failures", url.Values{"application": {a.name}, "done": {done}})
}

func backTo(w http.ResponseWriter, r *http.Request, path string, q url.Values) {
	http.Redirect(w, r, path+"?"+q.Encode(), http.StatusSeeOther)
}

// cancellable returns the verifications of entries, the latest first, that were not over
// at the latest of these and whose code may still be typed.
func cancellable(found []entry, since time.Time) (ids []string) {
	over := map[string]bool{}
	for _, e := range found {
		switch otp.EventKind(e.Kind) {
		case otp.EventVerified, otp.EventCancelled:
			over[e.Verification] = true
		case otp.EventRejected:
			if e.AttemptsLeft != nil && *e.AttemptsLeft == 0 {
				over[e.Verification] = true
			}
		case otp.EventGenerated, otp.EventSent:
			if !over[e.Verification] && e.At.After(since) && !slices.Contains(ids, e.Verification) {
				ids = append(ids, e.Verification)
			}
		}
	}
	return ids
}

// shownFailures is how many messages the page of failures shows of an endpoint.
const shownFailures = 100

type failuresPage struct {
	Application, Brand string
	Operates           bool
	Done               outcome
	Webhooks           []failedWebhook
}

type failedWebhook struct {
	Name     string
	Count    int
	Failures []failure
}

// showFailures is GET /dashboard/failures: the messages of webhooks that were given up.
func (s *server) showFailures(w http.ResponseWriter, r *http.Request, a *app, o *operator) {
	p := failuresPage{Application: a.name, Brand: a.config.Brand, Operates: o.operates(),
		Done: outcomes[r.FormValue("done")]}
	for _, h := range s.sender.of(a.name) {
		all, err := s.sender.failures(r.Context(), a.name, h.Name)
		if err != nil {
			_ = s.unavailable(r, err) // logs it; the page says it
			p.Done = outcomes[string(otp.ReasonUnavailable)]
			break
		}
		p.Webhooks = append(p.Webhooks, failedWebhook{h.Name, len(all), all[:min(len(all), shownFailures)]})
	}
	s.execute(w, http.StatusOK, "failures.html", "en", p)
}
