package main

import (
	"net/http"
	"strings"
	"testing"
)

// startWithRoles starts a server with a viewer, an operator, and an endpoint that has
// answered 410 to the news of a verification. It returns the verification.
func startWithRoles(t *testing.T) (r *rig, e *endpoint, id string) {
	t.Helper()
	e = newEndpoint(t, func(n int, w http.ResponseWriter) {
		if n == 0 {
			w.WriteHeader(http.StatusGone)
		}
	})
	r = hooked(t, e, func(c *config) {
		c.Applications[0].Webhooks[0].Events = []string{"verification.created"}
		c.Operators = []operator{newOperator("viewer1", roleViewer), newOperator("operator1", roleOperator)}
	})
	live := r.follow(t, r.shop, "", "")
	id = r.want(r.shop, "201 pending", "POST", apiPath, annsLogin).body.ID
	live.until("sent")
	r.buried(1)
	return r, e, id
}

// want sends a form and holds the answer to its status and a text.
func (o *operatorClient) want(status int, says, path string, fields ...string) string {
	o.t.Helper()
	got, text, _ := o.post(path, fields...)
	if got != status || !strings.Contains(text, says) {
		o.t.Errorf("%s: got %d, want %d and %q in %s", path, got, status, says, text)
	}
	return text
}

// Viewers, other sites, and browsers that are not signed in change nothing.
func TestViewerChangesNothing(t *testing.T) {
	t.Parallel()
	r, e, id := startWithRoles(t)
	cancel := []string{"application", "shop", "verification", id, "subject", "ann"}
	replay := []string{"application", "shop", "webhook", "main"}
	refused := func(o *operatorClient, status int) {
		t.Helper()
		o.want(status, "", "/dashboard/cancel", cancel...)
		o.want(status, "", "/dashboard/replay", replay...)
	}
	refused(newOperatorClient(t, r.s.adminURL()), http.StatusUnauthorized)
	viewer := newOperatorClient(t, r.s.adminURL())
	viewer.signIn("viewer1")
	refused(viewer, http.StatusForbidden)
	found := viewer.want(http.StatusOK, "<bdi>"+id, "/dashboard/search", "application", "shop", "text", id)
	failed := viewer.want(http.StatusOK, "given up: 1<", "/dashboard/failures?application=shop")
	if strings.Contains(found, "/dashboard/cancel") || strings.Contains(failed, "/dashboard/replay") {
		t.Error("a viewer sees the forms of an operator")
	}
	operator := newOperatorClient(t, r.s.adminURL())
	operator.signIn("operator1")
	operator.site = "cross-site"
	refused(operator, http.StatusForbidden)
	operator.site = "same-site"
	refused(operator, http.StatusForbidden)
	operator.want(http.StatusMethodNotAllowed, "", "/dashboard/cancel?application=shop&subject=ann&verification="+id)

	r.want(r.shop, "200 pending", "GET", apiPath+"/"+id, "", "Otp-Subject", "ann")
	r.buried(1)
	if n := len(e.wait(t, 1)); n != 1 {
		t.Errorf("the endpoint was called %d times", n)
	}
	if strings.Contains(r.log.String(), "operator acted") {
		t.Errorf("the log says %s", r.log)
	}
}

// An operator cancels an open verification and replays webhooks, and the log says so.
func TestOperate(t *testing.T) {
	t.Parallel()
	r, e, id := startWithRoles(t)
	live := r.follow(t, r.shop, "", "")
	o := newOperatorClient(t, r.s.adminURL())
	o.signIn("operator1")
	o.site = "same-origin"
	search := func() string {
		t.Helper()
		return o.want(http.StatusOK, "<bdi>"+id, "/dashboard/search", "application", "shop", "text", id)
	}
	if !strings.Contains(search(), "<option>"+id+"</option>") {
		t.Error("an open verification has no form")
	}
	cancel := func(says, app, id, subject string) {
		t.Helper()
		o.want(http.StatusOK, says, "/dashboard/cancel", "application", app, "verification", id, "subject", subject)
	}
	cancel("no such verification of this subject", "shop", id, "eve@example.com")
	cancel("no such verification of this subject", "bank", id, "ann")
	cancel("Give the subject", "shop", id, "")
	o.want(http.StatusOK, "", "/dashboard/cancel", "verification", "+447912345601", "subject", "ann")
	r.want(r.shop, "200 pending", "GET", apiPath+"/"+id, "", "Otp-Subject", "ann")
	cancel("The verification is cancelled", "shop", id, " ann ")
	r.want(r.shop, "422 code_refused", "POST", apiPath+"/"+id+"/check", checkBody(r.people.read("+447912345601")))
	cancel("used or cancelled before", "shop", id, "ann")
	live.until("cancelled")
	if strings.Contains(search(), "/dashboard/cancel") {
		t.Error("a cancelled verification has a form")
	}

	o.want(http.StatusOK, "Send them again to main", "/dashboard/failures?application=shop")
	o.want(http.StatusNotFound, "no such webhook", "/dashboard/replay", "application", "bank", "webhook", "main")
	o.want(http.StatusOK, "on their way again", "/dashboard/replay", "application", "shop", "webhook", "main")
	if got := e.wait(t, 2); got[1].header.Get("Webhook-Id") != got[0].header.Get("Webhook-Id") {
		t.Error("a replay has another ID")
	}
	r.buried(0)

	said := r.log.String()
	for _, want := range []string{`"an operator acted" operator=operator1 application=shop action=cancel id=` + id,
		`"an operator acted" operator=operator1 application=shop action=replay id=main`,
		`"an operator's action failed" operator=operator1 application=bank action=cancel id=` + id} {
		if !strings.Contains(said, want) {
			t.Errorf("the log has no %s:\n%s", want, said)
		}
	}
	for _, secret := range []string{"eve@example.com", "447912345601", passwordOf("operator1")} {
		if strings.Contains(said, secret) {
			t.Errorf("the log has %s:\n%s", secret, said)
		}
	}
}
