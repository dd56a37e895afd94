package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
)

// A webhook is where an application is told what becomes of its verifications, signed
// by Standard Webhooks 1.0. Endpoints are in the file and not in the API, so that no
// stranger can have the server call an address.
type webhook struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Secrets are "whsec_" and the base64 of 24 to 64 octets. While a secret
	// rotates there are two, and each signs; SIGHUP reads them anew. A secret that begins with "$" is the
	// name of a variable.
	Secrets []string `json:"secrets"`
	// DangerouslyPlaintext lets the URL begin with http:, for one machine.
	DangerouslyPlaintext bool `json:"dangerously_plaintext,omitempty"`
	// PrivateNetwork lets the host have an address that is not one of the
	// Internet's: of this machine, a private network, a cloud's metadata.
	PrivateNetwork bool `json:"private_network,omitempty"`
	// Events are the types that the endpoint receives. Default: all.
	Events []string `json:"events,omitempty"`

	keys [][]byte
}

// complete reads the secrets. An error repeats none.
func (h *webhook) complete(env func(string) string) error {
	u, err := url.Parse(h.URL)
	switch {
	case !nameForm.MatchString(h.Name):
		return errors.New("name: it must be 1 to 32 of a-z, 0-9 and -")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("url: it must be a URL, https and a host")
	case u.Scheme == "http" && !h.DangerouslyPlaintext:
		return errors.New("url: it must begin with https, or dangerously_plaintext must be set")
	case len(h.Secrets) == 0 || len(h.Secrets) > 4:
		return errors.New("secrets: there must be 1 to 4")
	}
	for _, event := range h.Events {
		if !slices.Contains(noticeTypes, event) {
			return fmt.Errorf("events: %q is none of %q", event, noticeTypes)
		}
	}
	h.keys = nil
	for _, secret := range h.Secrets {
		if name, ok := strings.CutPrefix(secret, "$"); ok {
			secret = env(name)
		}
		text, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return errors.New("secrets: each must be whsec_ and the base64 of 24 to 64 octets")
		}
		h.keys = append(h.keys, key)
	}
	return nil
}

// sign returns webhook-signature: one signature for each secret.
func (h *webhook) sign(id string, at time.Time, body []byte) string {
	var all []string
	for _, key := range h.keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}

// notice is the body of a webhook. It has no code and no whole address.
type notice struct {
	Type      string     `json:"type"`
	Timestamp time.Time  `json:"timestamp"`
	Data      noticeData `json:"data"`
}

type noticeData struct {
	Verification string      `json:"verification,omitempty"`
	App          string      `json:"app"`
	Reference    string      `json:"reference,omitempty"`
	Purpose      string      `json:"purpose,omitempty"`
	To           *otphttp.To `json:"to,omitempty"` // masked
	Country      string      `json:"country,omitempty"`
	Route        string      `json:"route,omitempty"`
	Step         int         `json:"step,omitempty"`
	State        string      `json:"state,omitempty"`
	ProviderCode string      `json:"provider_code,omitempty"`
	Reason       otp.Reason  `json:"reason,omitempty"`
	AttemptsLeft *int        `json:"attempts_left,omitempty"`
}

// noticeTypes are the types that an endpoint may choose from.
var noticeTypes = []string{"verification.created", "verification.sent", "verification.delivered",
	"verification.undelivered", "verification.verified", "verification.refused", "verification.cancelled"}

// wants reports whether an endpoint receives a type.
func (h *webhook) wants(kind string) bool {
	return len(h.Events) == 0 || slices.Contains(h.Events, kind)
}

// noticeOf returns the notice of an event, and the ID by which its
// receivers know a repeat: the same from whichever process. False: it is not told.
func noticeOf(app string, e otp.Event) (id string, n notice, ok bool) {
	kind := ""
	switch e.Kind {
	case otp.EventGenerated:
		kind = "created"
	case otp.EventSent:
		kind = "sent"
		if e.State == channel.Failed {
			kind = "undelivered"
		}
		if e.Fixed || e.Decoy { // nothing was sent
			kind = ""
		}
	case otp.EventReceipt:
		kind = map[channel.State]string{channel.Delivered: "delivered", channel.Failed: "undelivered"}[e.State]
	case otp.EventVerified:
		kind = "verified"
	case otp.EventRejected:
		kind = "refused"
	case otp.EventCancelled:
		kind = "cancelled"
	}
	if kind == "" || e.Challenge == "" {
		return "", n, false
	}
	to := otphttp.To(e.To.Masked())
	n = notice{Type: "verification." + kind, Timestamp: e.At.UTC(), Data: noticeData{Verification: e.Challenge,
		App: app, Reference: e.Reference, Purpose: e.Purpose, To: &to, Country: e.Region, Route: e.Route, Step: e.Step,
		ProviderCode: e.Code, Reason: e.Reason}}
	if e.State != 0 {
		n.Data.State = e.State.String()
	}
	if e.Kind == otp.EventRejected {
		n.Data.AttemptsLeft = &e.AttemptsLeft
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %d %d %s %d", app, e.Challenge, e.Kind, e.Step, e.State, e.Reason,
		e.AttemptsLeft))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:18]), n, true
}

// A message is a notice on its way to one endpoint, as the vault has it.
type message struct {
	ID, App, Endpoint string
	Type              string
	Body              []byte
	Tries             int
	Status            int // of the last answer; 0: there was none
	At                time.Time
}

func (m *message) name() string { return "hook/" + m.App + "/" + m.Endpoint + "/" + m.ID }
func (m *message) dead() string { return "dead/" + m.App + "/" + m.Endpoint + "/" + m.ID }

// waits are the pauses after each try that failed, as Standard Webhooks has them.
var waits = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 24 * time.Hour}

const (
	hookTimeout = 15 * time.Second
	hookLife    = 5 * 24 * time.Hour // longer than all tries
	deadLife    = 7 * 24 * time.Hour
)

// next returns when a message is tried again after a failure; zero: never.
func (m *message) next(waits []time.Duration, now time.Time, asked time.Duration) time.Time {
	if m.Tries > len(waits) {
		return time.Time{}
	}
	wait := time.Duration(float64(waits[m.Tries-1]) * (0.8 + 0.4*rand.Float64()))
	return now.Add(max(wait, asked))
}

// post tries a message once. An answer of 2xx is a success, of 410 means that the
// endpoint is no more.
func (s *sender) post(ctx context.Context, h *webhook, m *message) (status int, asked time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, strings.NewReader(string(m.Body)))
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "otpcourier-server")
	r.Header.Set("Webhook-Id", m.ID)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Webhook-Signature", h.sign(m.ID, now, m.Body))
	resp, err := s.clients[h.PrivateNetwork].Do(r)
	if err != nil {
		return 0, 0, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		err = fmt.Errorf("the endpoint answered %d", resp.StatusCode)
	}
	return resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), now), err
}

// encode is a notice as it is sent.
func encode(n notice) []byte {
	body, err := json.Marshal(n)
	if err != nil {
		panic(err) // a notice has only what JSON has
	}
	return body
}
