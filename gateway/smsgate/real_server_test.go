package smsgate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// A realServer is an sms-gate server of which a test plays the phone.
type realServer struct {
	url, user, password string
	device, token       string // of the phone that the test plays
}

// realSMSGate registers a phone at the server that OTPCOURIER_SMSGATE_URL names,
// "https://HOST" or the base of its third-party API as thirdParty has it, with
// OTPCOURIER_SMSGATE_USER and OTPCOURIER_SMSGATE_PASSWORD. There is no such
// server to install, so without its address the test is skipped, under
// OTPCOURIER_REAL=require as well.
func realSMSGate(t *testing.T) *realServer {
	t.Helper()
	s := &realServer{
		url:  thirdParty(os.Getenv("OTPCOURIER_SMSGATE_URL")),
		user: os.Getenv("OTPCOURIER_SMSGATE_USER"), password: os.Getenv("OTPCOURIER_SMSGATE_PASSWORD"),
	}
	if s.url == "" || s.user == "" || s.password == "" {
		t.Skip("no server: OTPCOURIER_SMSGATE_URL, _USER and _PASSWORD are not all set")
	}
	var phone struct{ ID, Token string }
	s.do(t, http.MethodPost, s.mobile()+"/device", s.basic(), map[string]any{"name": "otpcourier test"}, &phone,
		http.StatusOK, http.StatusCreated)
	if phone.ID == "" || phone.Token == "" {
		t.Fatal("the server registered a phone without id or token")
	}
	s.device, s.token = phone.ID, phone.Token
	t.Cleanup(func() { // servers before it could be removed keep it
		s.do(t, http.MethodDelete, s.url+"/devices/"+s.device, s.basic(), nil, nil, http.StatusNoContent, http.StatusOK,
			http.StatusNotFound, http.StatusMethodNotAllowed)
	})
	return s
}

// thirdParty is the base of the API for programs, of a server that may be named
// without it.
func thirdParty(server string) string {
	server = strings.TrimRight(server, "/")
	u, err := url.Parse(server)
	switch {
	case err != nil, server == "":
	case u.Path == "":
		server += "/api/3rdparty/v1"
	case u.Path == "/api":
		server += "/3rdparty/v1"
	}
	return server
}

// mobile is the base of the API that phones use.
func (s *realServer) mobile() string { return strings.TrimSuffix(s.url, "/3rdparty/v1") + "/mobile/v1" }

func (s *realServer) basic() func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(s.user, s.password) }
}

func (s *realServer) asPhone() func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.token) }
}

func (s *realServer) do(t *testing.T, method, url string, auth func(*http.Request), in, out any, want ...int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // also used while the test ends
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	auth(req)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for _, status := range want {
		if resp.StatusCode != status {
			continue
		}
		if out != nil {
			if err := json.Unmarshal(b, out); err != nil {
				t.Fatalf("%s %s: %v: %s", method, url, err, b)
			}
		}
		return
	}
	t.Fatalf("%s %s: %s: %s", method, url, resp.Status, b)
}

// A realMessage is a message as a phone gets it.
type realMessage struct {
	ID                 string
	State              string
	Message            string
	TextMessage        struct{ Text string }
	PhoneNumbers       []string
	SIMNumber          int `json:"simNumber"`
	Priority           int
	WithDeliveryReport bool
	IsEncrypted        bool
	TTL                int
	ValidUntil         time.Time
}

// take returns what waits for the phone under an id.
func (s *realServer) take(t *testing.T, id string) (found []realMessage) {
	t.Helper()
	var all []realMessage
	s.do(t, http.MethodGet, s.mobile()+"/message", s.asPhone(), nil, &all, http.StatusOK)
	for _, m := range all {
		if m.ID == id {
			found = append(found, m)
		}
	}
	return found
}

// report is what a phone says of a message.
func (s *realServer) report(t *testing.T, id, state, number, reason string) {
	t.Helper()
	recipient := map[string]any{"phoneNumber": number, "state": state}
	if reason != "" {
		recipient["error"] = reason
	}
	s.do(t, http.MethodPatch, s.mobile()+"/message", s.asPhone(), []any{map[string]any{
		"id": id, "state": state, "recipients": []any{recipient},
		"states": map[string]any{state: time.Now().UTC().Format(time.RFC3339)},
	}}, nil, http.StatusOK, http.StatusNoContent)
}

// channel is one to the server; the changes come last.
func (s *realServer) channel(t *testing.T, l *ledger, change func(*smsgate.Config)) *smsgate.Channel {
	t.Helper()
	c := smsgate.Config{
		URL: s.url, Username: s.user, Password: s.password, Receipt: l.receipt,
		Devices: []smsgate.Device{{ID: s.device, SIM: 2}}, PollInterval: 100 * time.Millisecond,
		// A server on this host has nobody before it who speaks TLS.
		DangerouslyPlaintext: strings.HasPrefix(s.url, "http://"),
	}
	if change != nil {
		change(&c)
	}
	g, err := smsgate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// newID is one that the server has not seen.
func newID(step int) string { return fmt.Sprintf("otp-%016x.%d", rand.Uint64(), step) }
