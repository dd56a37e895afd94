package main

import (
	"html/template"
	"net/http"

	"github.com/otpcourier/otpcourier/otp/authenticator"
)

func (s *site) signinPage(_ *http.Request, c *session) view {
	if c.user != "" && c.problem.Text == "" {
		return view{To: "/"}
	}
	return view{Template: "signin.html", Title: "Sign in"}
}

func (s *site) codePage(r *http.Request, c *session) view {
	switch to := s.step(r, c, true); to {
	case "/code":
		return view{Template: "code.html", Title: "Enter the code of your app"}
	case "":
		return view{To: "/"}
	default:
		return view{To: to}
	}
}

func (s *site) accountPage(r *http.Request, c *session) view {
	if to := s.step(r, c, false); to != "" {
		return view{To: to}
	}
	st, err := s.auth.Status(r.Context(), userID)
	if err != nil {
		c.problem, st = explain(err, ""), &authenticator.Status{}
	}
	return view{Template: "account.html", Title: "Your account", Data: st}
}

// enrollPage shows the secret of the enrolment that the session has begun.
func (s *site) enrollPage(r *http.Request, c *session) view {
	if to := s.step(r, c, true); to != "" {
		return view{To: to}
	}
	if c.enrolment == nil {
		return view{To: "/"}
	}
	svg, err := c.enrolment.SVG("QR code for your authenticator app")
	if err != nil {
		c.problem = explain(err, "")
		return view{To: "/"}
	}
	return view{Template: "enroll.html", Title: "Add an authenticator app", Data: map[string]any{
		"SVG":    template.HTML(svg),            // made by the library, without the person's input
		"Link":   template.URL(c.enrolment.URI), // html/template does not know its scheme
		"Secret": c.enrolment.Secret,
	}}
}

// recoveryPage shows new recovery codes, once.
func (s *site) recoveryPage(r *http.Request, c *session) view {
	if to := s.step(r, c, true); to != "" {
		return view{To: to}
	}
	codes := c.codes
	c.codes = nil
	return view{Template: "recovery.html", Title: "Your recovery codes", Data: codes}
}
