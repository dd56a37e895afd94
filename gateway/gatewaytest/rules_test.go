package gatewaytest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

func TestRules(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTLSServer(gatewaytest.Config{})
	c := newClient(t, srv)
	srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
	count := func() int { return len(srv.Messages()) }

	srv.Script(gatewaytest.Rule{Method: "POST", Path: "/messages", Status: 502, Body: "bad gateway", Times: 2})
	for range 2 {
		if a := c.send("one", "", 502); a.text != "bad gateway" ||
			a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%q of type %q", a.text, a.header.Get("Content-Type"))
		}
		c.call("GET", "/devices", "", 200) // no concern of the rule
	}
	c.send("one", "", 202)
	srv.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Disconnect, Times: 1})
	if a, err := c.try("POST", "/messages", "{}"); err == nil {
		t.Errorf("disconnected, and yet %d", a.status)
	}
	if n := count(); n != 1 {
		t.Errorf("%d messages", n)
	}
	srv.Script(gatewaytest.Rule{
		Served: true, Status: 504, Body: `{"message":"late"}`, Header: http.Header{"Retry-After": {"7"}}, Times: 1,
	})
	if a := c.send("two", "", 504); a.header.Get("Retry-After") != "7" || a.body["message"] != "late" || count() != 2 {
		t.Errorf("served: %v, %d messages", a, count())
	}
	for i, served := range []bool{true, false} {
		before := count()
		srv.Script(gatewaytest.Rule{Path: "/messages", Action: gatewaytest.Stall, Served: served})
		done := make(chan answer, 1)
		read := len(srv.Requests())
		go func() {
			a, err := c.try("POST", "/messages", `{"message":"a","phoneNumbers":["`+ann+`"]}`)
			if err != nil {
				t.Error(err)
			}
			done <- a
		}()
		if served {
			if _, err := srv.Wait(t.Context(), before+1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := srv.WaitRequests(t.Context(), read+1); err != nil {
			t.Fatal(err)
		}
		select {
		case a := <-done:
			t.Errorf("%d: answered with %d", i, a.status)
		default:
		}
		srv.ClearScript()
		if a := <-done; a.status != 202 || count() != before+1 {
			t.Errorf("%d: released: %d, %d messages", i, a.status, count()-before)
		}
	}
	if last := srv.Requests()[len(srv.Requests())-1]; last.Method != http.MethodPost || last.Path != "/messages" ||
		len(last.Body) == 0 || last.At.IsZero() {
		t.Errorf("recorded %+v", last)
	}
}

func TestCloseWhileStalled(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewServer(gatewaytest.Config{})
	c := newClient(t, srv)
	srv.Script(gatewaytest.Rule{Action: gatewaytest.Stall})
	done := make(chan error, 1)
	go func() {
		_, err := c.try("GET", "/devices", "")
		done <- err
	}()
	if _, err := srv.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	srv.Close()
	if err := <-done; err == nil {
		t.Error("an answer from a closed server")
	}
}

func TestMistakesPanic(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewPipeServer(gatewaytest.Config{})
	t.Cleanup(srv.Close)
	phone := srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
	for what, f := range map[string]func(){
		"kind":    func() { gatewaytest.NewServer(gatewaytest.Config{Kind: 9}) },
		"status":  func() { srv.Script(gatewaytest.Rule{}) },
		"path":    func() { srv.Script(gatewaytest.Rule{Path: "messages", Status: 500}) },
		"action":  func() { srv.Script(gatewaytest.Rule{Action: 9}) },
		"id":      func() { srv.AddPhone(gatewaytest.PhoneConfig{ID: "phone-1"}) },
		"long id": func() { srv.AddPhone(gatewaytest.PhoneConfig{ID: strings.Repeat("x", 22)}) },
		"message": func() { phone.Report("none", gatewaytest.Sent, "") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			f()
		}()
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	for _, start := range []func(gatewaytest.Config) *gatewaytest.Server{
		gatewaytest.NewServer, gatewaytest.NewTLSServer, gatewaytest.NewPipeServer,
	} {
		srv := start(gatewaytest.Config{})
		c := newClient(t, srv)
		srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
		c.send("one", "", 202)
		srv.SetDown(true)
		if a, err := c.try("POST", "/messages", "{}"); err == nil {
			t.Errorf("down, and yet %d", a.status)
		}
		srv.SetDown(false)
		c.send("two", "", 202)
		srv.CloseClientConnections()
		if n := len(srv.Requests()); n != 2 {
			t.Errorf("%d requests, want none from while it was down", n)
		}
	}
}
