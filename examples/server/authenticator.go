package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/otphttp"
)

const authenticatorsPath = "/v1/authenticators"

// newAuthenticators returns the service for authenticator apps of an application, which
// counts wrong codes of both kinds in one run; nil if the application has none.
func (a *application) newAuthenticators(st backend, keys otp.Keyring, log *slog.Logger) (
	*authenticator.Service, error) {
	if a.Authenticator == "" {
		return nil, nil
	}
	return authenticator.New(authenticator.Config{Issuer: a.Authenticator, Application: a.Name, Keys: keys, Store: st,
		Failures: st, Logger: log})
}

// authenticatorCalls are the calls of the API for authenticator apps. A right code is
// answered 2xx, and nothing else is.
func (s *server) authenticatorCalls(mux *http.ServeMux) {
	call := func(pattern string, of otphttp.Call,
		do func(*authenticator.Service, http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, s.admitted(scopeAuthenticators,
			func(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
				if a.authenticators == nil {
					return refusal(http.StatusNotFound, "not_found", "The application has no authenticators.", "")
				}
				return a.authenticatorProblem(of, do(a.authenticators, w, r))
			}))
	}
	call("POST "+authenticatorsPath, otphttp.Create, enrol)
	call("GET "+authenticatorsPath, otphttp.Status, listAuthenticators)
	call("DELETE "+authenticatorsPath+"/{id}", otphttp.Cancel, revoke)
	call("POST "+authenticatorsPath+"/confirm", otphttp.Check, confirm)
	call("POST "+authenticatorsPath+"/check", otphttp.Check, checkAuthenticator)
	call("POST "+authenticatorsPath+"/recovery-codes", otphttp.Create, newRecoveryCodes)
	call("POST "+authenticatorsPath+"/recover", otphttp.Check, useRecoveryCode)
	call("POST "+authenticatorsPath+"/unlock", otphttp.Cancel, unlock)
}

// authenticatorProblem is the answer to an error, by the table of otphttp.
func (a *app) authenticatorProblem(call otphttp.Call, err error) *otphttp.Problem {
	if err == nil {
		return nil
	}
	p := otphttp.ProblemOf(call, err)
	e, ok := errors.AsType[*otp.Error](err)
	switch {
	case !ok:
	case e.Reason == otp.ReasonFull && e.Err == nil: // the person, not the store
		p = refusal(http.StatusConflict, "full", "There are ten authenticators. Please remove one.", "")
	case e.Reason == otp.ReasonNotFound && call != otphttp.Check:
		p.Title = "There is no such authenticator."
	case e.Reason == otp.ReasonLocked:
		p.Support = a.config.Support
	}
	return p
}

// shownToken is a token as the API shows it.
type shownToken struct {
	ID        string     `json:"id"`
	Name      string     `json:"name,omitempty"`
	Confirmed bool       `json:"confirmed"`
	Created   time.Time  `json:"created"`
	LastUsed  *time.Time `json:"last_used,omitempty"`
}

func shown(t *authenticator.Token) shownToken {
	out := shownToken{ID: t.ID, Name: t.Name, Confirmed: t.Confirmed, Created: t.Created.UTC()}
	if !t.LastUsed.IsZero() {
		used := t.LastUsed.UTC()
		out.LastUsed = &used
	}
	return out
}

// enrol makes a secret and its QR code, to be shown to the person once.
func enrol(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Subject  string `json:"subject"`
		Account  string `json:"account"`
		Name     string `json:"name"`
		Replaces string `json:"replaces"`
		Title    string `json:"title"`
	}
	if p := otphttp.ReadBody(w, r, &in); p != nil {
		return p
	}
	if len(in.Title) > 256 {
		return wrong("/title", "it is longer than 256 octets")
	}
	e, err := svc.Enroll(r.Context(), authenticator.Request{Subject: in.Subject, Account: in.Account, Name: in.Name,
		Replaces: in.Replaces})
	if err != nil {
		return err
	}
	svg, err := e.SVG(in.Title)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, map[string]string{"id": e.ID, "uri": e.URI, "secret": e.Secret, "qr": svg})
	return nil
}

// subjectAndCode is the body of the calls that a person's code belongs to.
type subjectAndCode struct {
	Subject string `json:"subject"`
	Code    string `json:"code"`
}

func confirm(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	return tryCode(w, r, func(in subjectAndCode) (*authenticator.Token, error) {
		return svc.Confirm(r.Context(), in.Subject, in.Code)
	})
}

func checkAuthenticator(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	return tryCode(w, r, func(in subjectAndCode) (*authenticator.Token, error) {
		return svc.Verify(r.Context(), in.Subject, in.Code)
	})
}

func tryCode(w http.ResponseWriter, r *http.Request, try func(subjectAndCode) (*authenticator.Token, error)) error {
	var in subjectAndCode
	if p := otphttp.ReadBody(w, r, &in); p != nil {
		return p
	}
	t, err := try(in)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, shown(t))
	return nil
}

// readSubject reads a body that names a person and nothing else.
func readSubject(w http.ResponseWriter, r *http.Request) (string, error) {
	var in struct {
		Subject string `json:"subject"`
	}
	if p := otphttp.ReadBody(w, r, &in); p != nil {
		return "", p
	}
	return in.Subject, nil
}

func newRecoveryCodes(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	subject, err := readSubject(w, r)
	if err != nil {
		return err
	}
	codes, err := svc.NewRecoveryCodes(r.Context(), subject)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, map[string][]string{"codes": codes})
	return nil
}

func useRecoveryCode(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	var in subjectAndCode
	if p := otphttp.ReadBody(w, r, &in); p != nil {
		return p
	}
	left, err := svc.Recover(r.Context(), in.Subject, in.Code)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]int{"recovery_codes": left})
	return nil
}

func unlock(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	subject, err := readSubject(w, r)
	if err == nil {
		err = svc.Unlock(r.Context(), subject)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// subjectOf reads Otp-Subject, as the calls of otphttp do: URLs come into logs.
func subjectOf(r *http.Request) (string, error) {
	subject, err := url.PathUnescape(r.Header.Get("Otp-Subject"))
	if err != nil || subject == "" {
		p := wrong("", "it must name the person, percent-encoded")
		p.Errors[0].Header = "Otp-Subject"
		return "", p
	}
	return subject, nil
}

func listAuthenticators(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	subject, err := subjectOf(r)
	if err != nil {
		return err
	}
	st, err := svc.Status(r.Context(), subject)
	if err != nil {
		return err
	}
	out := struct {
		Enrolled       bool         `json:"enrolled"`
		Authenticators []shownToken `json:"authenticators"`
		RecoveryCodes  int          `json:"recovery_codes"`
		Locked         bool         `json:"locked"`
		LockedUntil    *time.Time   `json:"locked_until,omitempty"`
	}{st.Enrolled(), []shownToken{}, st.RecoveryCodes, st.Locked, nil}
	for i := range st.Tokens {
		out.Authenticators = append(out.Authenticators, shown(&st.Tokens[i]))
	}
	if st.Locked && !st.LockedUntil.IsZero() {
		until := st.LockedUntil.UTC()
		out.LockedUntil = &until
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func revoke(svc *authenticator.Service, w http.ResponseWriter, r *http.Request) error {
	subject, err := subjectOf(r)
	if err == nil {
		err = svc.Revoke(r.Context(), subject, r.PathValue("id"))
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
