package otphttp

import (
	"cmp"
	"net/http"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

func (h *Handler) create(w http.ResponseWriter, r *http.Request, caller *Caller) *Problem {
	q, p := h.request(w, r, caller)
	if p != nil {
		return p
	}
	if h.c.Prepare != nil {
		if err := h.c.Prepare(r, q); err != nil {
			return ProblemOf(Create, err)
		}
	}
	c, err := h.c.Service.Send(r.Context(), *q)
	if c != nil {
		w.Header().Set("Location", h.c.Path+"/"+c.ID)
	}
	if err != nil {
		return withChallenge(ProblemOf(Create, err), c)
	}
	status := http.StatusCreated
	if c.State == channel.Queued {
		status = http.StatusAccepted
	}
	show(w, status, c)
	return nil
}

// request reads the body of create.
func (h *Handler) request(w http.ResponseWriter, r *http.Request, caller *Caller) (*otp.Request, *Problem) {
	var in CreateBody
	if p := ReadBody(w, r, &in); p != nil {
		return nil, p
	}
	if p := cmp.Or(
		caller.ofBackend("/details", in.Details != ""),
		caller.ofBackend("/reference", in.Reference != ""), caller.ofBackend("/client_ip", in.ClientIP != ""),
		caller.ofBackend("/priority", in.Priority != ""), caller.ofBackend("/known", in.Known),
		caller.ofBackend("/proven", in.Proven), caller.ofBackend("/decoy", in.Decoy),
		caller.ofBackend("/signals", in.Signals != nil)); p != nil {
		return nil, p
	}
	subject, p1 := caller.subjectOf(in.Subject, FieldError{Pointer: "/subject"})
	to, p2 := caller.recipient(in.To)
	ip, p3 := h.addrOf(r, caller, in.ClientIP)
	priority, p4 := priorityIn(in.Priority)
	key, p5 := keyOf(r, caller)
	if p := cmp.Or(p1, p2, p3, p4, p5); p != nil {
		return nil, p
	}
	return &otp.Request{Tenant: caller.Tenant, Subject: subject, To: to, Purpose: in.Purpose, Binding: in.Binding,
		Details: in.Details, Language: cmp.Or(in.Language, languageOf(r, caller)), Route: in.Route, Priority: priority,
		IP: ip, Known: in.Known, Proven: in.Proven, Decoy: in.Decoy, Signals: in.Signals, Reference: in.Reference,
		IdempotencyKey: key, RequestID: r.Header.Get(requestID)}, nil
}

// recipient returns where a message goes.
func (c *Caller) recipient(to *To) (channel.Recipient, *Problem) {
	switch {
	case to == nil:
		return c.To, nil
	case c.To != (channel.Recipient{}):
		return c.To, wrong(FieldError{Pointer: "/to", Detail: "the addresses are known, none must be given"})
	}
	return channel.Recipient(*to), nil
}

// languageOf returns the languages that a person's browser accepts. A backend's header says
// nothing about the person.
func languageOf(r *http.Request, c *Caller) string {
	if c.Subject == "" {
		return ""
	}
	return r.Header.Get("Accept-Language")
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request, caller *Caller) *Problem {
	q, p := ref(r, caller)
	if p != nil {
		return p
	}
	c, err := h.c.Service.Status(r.Context(), q)
	if err != nil {
		return ProblemOf(Status, err)
	}
	show(w, http.StatusOK, c)
	return nil
}

func (h *Handler) cancel(w http.ResponseWriter, r *http.Request, caller *Caller) *Problem {
	q, p := ref(r, caller)
	if p != nil {
		return p
	}
	if err := h.c.Service.Cancel(r.Context(), q); err != nil {
		return ProblemOf(Cancel, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ref names the challenge of a call without a body.
func ref(r *http.Request, caller *Caller) (otp.Ref, *Problem) {
	named, p := subjectHeader(r)
	if p != nil {
		return otp.Ref{}, p
	}
	subject, p := caller.subjectOf(named, FieldError{Header: subjectField})
	if p == nil && subject == "" {
		p = wrong(FieldError{Header: subjectField, Detail: "it must name the person"})
	}
	return otp.Ref{ID: r.PathValue("id"), Subject: subject, Tenant: caller.Tenant}, p
}

func (h *Handler) resend(w http.ResponseWriter, r *http.Request, caller *Caller) *Problem {
	var in ResendBody
	if p := ReadBody(w, r, &in); p != nil {
		return p
	}
	if p := cmp.Or(caller.ofBackend("/client_ip", in.ClientIP != ""),
		caller.ofBackend("/proven", in.Proven)); p != nil {
		return p
	}
	subject, p1 := caller.subjectOf(in.Subject, FieldError{Pointer: "/subject"})
	ip, p2 := h.addrOf(r, caller, in.ClientIP)
	key, p3 := keyOf(r, caller)
	if p := cmp.Or(p1, p2, p3); p != nil {
		return p
	}
	c, err := h.c.Service.Resend(r.Context(), otp.ResendRequest{ID: r.PathValue("id"), Subject: subject,
		Tenant: caller.Tenant, Route: in.Route, IP: ip, Proven: in.Proven, RequestID: r.Header.Get(requestID),
		IdempotencyKey: key})
	if err != nil {
		return withChallenge(ProblemOf(Resend, err), c)
	}
	show(w, http.StatusOK, c)
	return nil
}

func (h *Handler) check(w http.ResponseWriter, r *http.Request, caller *Caller) *Problem {
	var in CheckBody
	if p := ReadBody(w, r, &in); p != nil {
		return p
	}
	subject, p1 := caller.subjectOf(in.Subject, FieldError{Pointer: "/subject"})
	key, p2 := keyOf(r, caller)
	if p := cmp.Or(p1, p2); p != nil {
		return p
	}
	c, err := h.c.Service.Verify(r.Context(), otp.Verification{ID: r.PathValue("id"), Subject: subject,
		Tenant: caller.Tenant, Purpose: in.Purpose, Binding: in.Binding, Code: in.Code,
		RequestID: r.Header.Get(requestID), IdempotencyKey: key})
	if err != nil {
		return ProblemOf(Check, err)
	}
	if h.c.Verified != nil {
		if err := h.c.Verified(w, r, c); err != nil {
			return ProblemOf(Check, err)
		}
	}
	show(w, http.StatusOK, c)
	return nil
}

// addrOf is the address of the person who asks. A backend's own address is none.
func (h *Handler) addrOf(r *http.Request, caller *Caller, given string) (netip.Addr, *Problem) {
	if caller.Subject == "" {
		return addrIn(given)
	}
	return h.c.Proxies.ClientAddr(r), nil
}

func show(w http.ResponseWriter, status int, c *otp.Challenge) {
	writeJSON(w, status, "application/json", ChallengeOf(c, time.Now()))
}

// withChallenge adds the challenge of a message that may come yet.
func withChallenge(p *Problem, c *otp.Challenge) *Problem {
	if c == nil {
		return p
	}
	out, shown := *p, ChallengeOf(c, time.Now())
	out.Verification = &shown
	return &out
}
