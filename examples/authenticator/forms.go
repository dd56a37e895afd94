package main

import (
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/otp/authenticator"
)

// signin checks the password. A site should count its failures separately from those of
// codes; this site leaves that out.
func (s *site) signin(w http.ResponseWriter, r *http.Request, c *session) string {
	right := sameText(r.PostFormValue("password"), s.password)
	if r.PostFormValue("name") != userName || !right {
		c.problem = problem{"The name or the password is not right.", "name"}
		return "/signin"
	}
	s.sessions.renew(w, r, &session{user: userName})
	return "/"
}

func (s *site) signout(w http.ResponseWriter, r *http.Request, _ *session) string {
	s.sessions.renew(w, r, &session{notice: "You are signed out."})
	return "/signin"
}

// code checks a code of the app.
func (s *site) code(w http.ResponseWriter, r *http.Request, c *session) string {
	if c.user == "" {
		return "/signin"
	}
	if _, err := s.auth.Verify(r.Context(), userID, r.PostFormValue("code")); err != nil {
		c.problem = explain(err, "code")
		return "/code"
	}
	s.sessions.renew(w, r, &session{user: c.user, verified: time.Now()})
	return "/"
}

// recover checks a recovery code. The password was right before, so the two together are
// two factors.
func (s *site) recover(w http.ResponseWriter, r *http.Request, c *session) string {
	if c.user == "" {
		return "/signin"
	}
	left, err := s.auth.Recover(r.Context(), userID, r.PostFormValue("recovery"))
	if err != nil {
		c.problem = explain(err, "recovery")
		if c.problem.Field == "recovery" {
			c.problem.Text = "The recovery code is not right, or was used before."
		}
		return "/code"
	}
	fresh := &session{user: c.user, verified: time.Now()}
	if left < 4 {
		fresh.notice = "You have few recovery codes left. Make new ones."
	}
	s.sessions.renew(w, r, fresh)
	return "/"
}

// enroll begins an enrolment. It needs a fresh login, because a stolen session could
// otherwise add a phone of its own.
func (s *site) enroll(_ http.ResponseWriter, r *http.Request, c *session) string {
	if to := s.step(r, c, true); to != "" {
		return to
	}
	e, err := s.auth.Enroll(r.Context(), authenticator.Request{Subject: userID, Account: account,
		Name: "Authenticator app"})
	if err != nil {
		c.problem = explain(err, "")
		return "/"
	}
	c.enrolment = e
	return "/enroll"
}

// confirm ends an enrolment. The first app comes with recovery codes.
func (s *site) confirm(_ http.ResponseWriter, r *http.Request, c *session) string {
	if to := s.step(r, c, true); to != "" {
		return to
	}
	if _, err := s.auth.Confirm(r.Context(), userID, r.PostFormValue("code")); err != nil {
		c.problem = explain(err, "code")
		return "/enroll"
	}
	c.enrolment, c.verified, c.notice = nil, time.Now(), "Your app is added. You will be asked for its codes."
	st, err := s.auth.Status(r.Context(), userID)
	if err != nil || st.RecoveryCodes > 0 {
		return "/"
	}
	return s.issue(r, c)
}

func (s *site) newCodes(_ http.ResponseWriter, r *http.Request, c *session) string {
	if to := s.step(r, c, true); to != "" {
		return to
	}
	return s.issue(r, c)
}

// issue makes new recovery codes, which void the old ones.
func (s *site) issue(r *http.Request, c *session) string {
	codes, err := s.auth.NewRecoveryCodes(r.Context(), userID)
	if err != nil {
		c.problem = explain(err, "")
		return "/"
	}
	c.codes = codes
	return "/recovery"
}

func (s *site) revoke(_ http.ResponseWriter, r *http.Request, c *session) string {
	if to := s.step(r, c, true); to != "" {
		return to
	}
	if err := s.auth.Revoke(r.Context(), userID, r.PostFormValue("id")); err != nil {
		c.problem = explain(err, "")
		return "/"
	}
	c.notice = "The app is removed. Its codes do not work any more."
	return "/"
}
