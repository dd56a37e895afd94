package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A standIn is a transport in virtual time that answers for an endpoint, and has the
// library of Standard Webhooks check each message.
type standIn struct {
	t      *testing.T
	begun  time.Time
	answer func(since time.Duration) (int, http.Header) // 0: never

	mu    sync.Mutex
	tries []try
}

type try struct {
	since    time.Duration
	id, body string
}

func (s *standIn) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := verifyNotice(hookSecret, body, r.Header); err != nil {
		s.t.Error(err)
	}
	since := time.Since(s.begun)
	s.mu.Lock()
	s.tries = append(s.tries, try{since, r.Header.Get("Webhook-Id"), string(body)})
	s.mu.Unlock()
	status, header := s.answer(since)
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: r}, nil
}

func verifyNotice(secret string, body []byte, header http.Header) error {
	h, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return h.Verify(body, header)
}

// newTestSender returns a sender in memory to an endpoint of shop, and its log.
func newTestSender(t *testing.T, to *standIn) (*sender, *syncBuffer) {
	t.Helper()
	to.t, to.begun = t, time.Now()
	h := webhook{Name: "main", URL: "https://x.example/private-path", Secrets: []string{hookSecret}}
	if err := h.complete(nil); err != nil {
		t.Fatal(err)
	}
	v, err := newVault(&memoryCabinet{values: map[string]kept{}}, otp.NewKeyring())
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	s, err := newSender(&config{Applications: []application{{Name: "shop", Webhooks: []webhook{h}}}}, v,
		func(prefix string) (backend, error) { return (&state{}).open(prefix, logger) }, logger)
	if err != nil {
		t.Fatal(err)
	}
	s.clients[false].Transport = to
	return s, log
}

var verifiedEvent = otp.Event{Kind: otp.EventVerified, Challenge: "c1", Purpose: "login", Region: "GB",
	To: channel.Recipient{Phone: "+447912345601", Email: "ann@example.com"}.Masked()}

// An endpoint that is down for a day has the message once it is up, with the ID and the
// body of the first try, and is then left alone.
func TestEndpointDownForADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &standIn{answer: func(since time.Duration) (int, http.Header) {
			if since < 24*time.Hour {
				return http.StatusInternalServerError, nil
			}
			return http.StatusNoContent, nil
		}}
		s, log := newTestSender(t, to)
		defer s.close(context.Background())
		s.events("shop")(t.Context(), verifiedEvent)
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		last := len(to.tries) - 1
		if last < 6 || to.tries[last].since < 24*time.Hour || to.tries[last-1].since >= 24*time.Hour {
			t.Fatalf("got %v", to.tries)
		}
		for i, got := range to.tries[1:] {
			pause := got.since - to.tries[i].since
			same := got.id == to.tries[0].id && got.body == to.tries[0].body
			if !same || pause < waits[i]*8/10 || pause > waits[i]*12/10 {
				t.Errorf("%v after the try before it: %v", pause, got)
			}
		}
		if all, err := s.buried(t.Context(), "shop", "main"); err != nil || len(all) > 0 {
			t.Errorf("got %v %v", all, err)
		}
		for _, secret := range []string{"447912345601", "ann@", hookSecret, "private-path"} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log has %q:\n%s", secret, log)
			}
		}
	})
}

// A message that was never taken is kept as a failure, however an endpoint failed, and
// however long it asked to be left alone.
func TestEndpointNeverUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status      int
		header      http.Header
		least, most int // tries
	}{
		"fails": {status: http.StatusBadGateway, least: len(waits) + 1, most: len(waits) + 1},
		"hangs": {least: len(waits) + 1, most: len(waits) + 1},
		"gone":  {status: http.StatusGone, least: 1, most: 1},
		"asks for days": {status: http.StatusServiceUnavailable, header: http.Header{"Retry-After": {"99999999"}},
			least: 4, most: 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				to := &standIn{answer: func(time.Duration) (int, http.Header) { return c.status, c.header }}
				s, _ := newTestSender(t, to)
				defer s.close(context.Background())
				s.events("shop")(t.Context(), verifiedEvent)
				time.Sleep(6 * 24 * time.Hour)
				synctest.Wait()
				all, err := s.buried(t.Context(), "shop", "main")
				if n := len(to.tries); n < c.least || n > c.most || err != nil || len(all) != 1 {
					t.Fatalf("after %d tries: %v %v", n, all, err)
				}
				if m := all[0]; m.ID != to.tries[0].id || m.Status != c.status || m.Tries != len(to.tries) {
					t.Errorf("got %+v", m)
				}
			})
		})
	}
}

// A message that is signed with another secret, changed, old or from the future is
// refused by receivers of both libraries.
func TestRealForged(t *testing.T) {
	t.Parallel()
	other := "whsec_" + strings.Repeat("QUJD", 8)
	now := time.Now()
	for _, c := range []struct {
		name, secret string
		at           time.Time
		changed      string
		want         error
	}{
		{"good", hookSecret, now, "", nil},
		{"another secret", other, now, "", standardwebhooks.ErrNoMatchingSignature},
		{"changed", hookSecret, now, " ", standardwebhooks.ErrNoMatchingSignature},
		{"old", hookSecret, now.Add(-6 * time.Minute), "", standardwebhooks.ErrMessageTooOld},
		{"early", hookSecret, now.Add(6 * time.Minute), "", standardwebhooks.ErrMessageTooNew},
	} {
		h := webhook{Name: "x", URL: "https://x.example/", Secrets: []string{c.secret}}
		if err := h.complete(nil); err != nil {
			t.Fatal(err)
		}
		body := encode(notice{Type: "webhook.test", Timestamp: now})
		d := delivery{body: append(body, c.changed...), notice: notice{Type: "webhook.test"}, header: http.Header{
			"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {fmt.Sprint(c.at.Unix())},
			"Webhook-Signature": {h.sign("msg_1", c.at, body)}}}
		if err := verifyNotice(hookSecret, d.body, d.header); !errors.Is(err, c.want) {
			t.Errorf("%s: the Go library: %v, want %v", c.name, err, c.want)
		}
		if got, refused := inNode(t, d, hookSecret); refused != (c.want != nil) {
			t.Errorf("%s: the npm library: %s", c.name, got)
		}
	}
}

// An endpoint that hangs keeps no other waiting, and each is told what it asks for.
func TestEndpointsAreApart(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	slow := newEndpoint(t, func(int, http.ResponseWriter) { <-hang })
	defer close(hang)
	quick := newEndpoint(t, nil)
	r := hooked(t, slow, func(c *config) {
		c.Applications[1].Webhooks = []webhook{{Name: "main", URL: quick.URL, Secrets: []string{hookSecret},
			Events: []string{"verification.cancelled"}, DangerouslyPlaintext: true, PrivateNetwork: true}}
	})
	for range 40 { // more than the workers of one queue come to while this test waits
		r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/test", "")
	}
	slow.wait(t, 4)
	id := r.want(r.bank, "201 pending", "POST", apiPath, annsLogin).body.ID
	r.want(r.bank, "204 ", "DELETE", apiPath+"/"+id, "", "Otp-Subject", "ann")
	if got := quick.wait(t, 1); len(got) != 1 || got[0].notice.Type != "verification.cancelled" {
		t.Errorf("got %v", got)
	}
}

// Two servers on one Redis send each message once, as long as neither dies.
func TestRealTwoServers(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, nil)
	redis := "redis://" + redistest.Start(t).Addr + "/0"
	r := hooked(t, e, func(c *config) {
		c.Store = redis
		c.Applications[0].Webhooks[0].Events = []string{"verification.created"}
	})
	both := []*rig{r, r.serve(r.s.c)}
	const people = 30
	for i := range people {
		s := both[i%2]
		s.want(s.shop, "201 pending", "POST", apiPath,
			fmt.Sprintf(`{"subject":"p%d","purpose":"login","to":{"email":"p%d@example.com"}}`, i, i))
	}
	e.wait(t, people)
	for _, s := range both {
		if err := s.stop(); err != nil { // lets the tries under way end
			t.Error(err)
		}
	}
	ids := map[string]bool{}
	for _, d := range e.wait(t, people) {
		ids[d.header.Get("Webhook-Id")] = true
	}
	if len(ids) != people || len(e.got) != people {
		t.Errorf("%d messages came, with %d IDs", len(e.got), len(ids))
	}
}

// An event of which nothing was sent is no sent message.
func TestNothingWasSent(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*otp.Event){func(*otp.Event) {}, func(e *otp.Event) { e.Fixed = true },
		func(e *otp.Event) { e.Decoy = true }} {
		e := otp.Event{Kind: otp.EventSent, Challenge: "c1", State: channel.Sent}
		change(&e)
		if _, n, ok := noticeOf("shop", e); ok != (!e.Fixed && !e.Decoy) {
			t.Errorf("%+v: got %+v", e, n)
		}
	}
}

// An endpoint without end, or with a URL that leads here, is bounded or not called.
func TestHookClient(t *testing.T) {
	t.Parallel()
	called := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called++
		if r.URL.Path == "/header" {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}
	}))
	defer web.Close()
	for _, host := range []string{web.URL, strings.Replace(web.URL, "127.0.0.1", "localhost", 1)} {
		for _, private := range []bool{false, true} {
			s := &sender{clients: map[bool]*http.Client{private: newHookClient(private)}}
			called = 0
			_, _, err := s.post(t.Context(), &webhook{URL: host, PrivateNetwork: private}, &message{ID: "msg_1"})
			if private != (err == nil) || private != (called == 1) || !private && !errors.Is(err, errPrivateAddr) {
				t.Errorf("%s, private %v: %v, called %d times", host, private, err, called)
			}
			if private {
				h := &webhook{URL: host + "/header", PrivateNetwork: true}
				_, _, err = s.post(t.Context(), h, &message{ID: "msg_1"})
				if err == nil || strings.Contains(err.Error(), "/header") {
					t.Errorf("a header of a mebibyte: %v", err)
				}
			}
			s.clients[private].CloseIdleConnections()
		}
	}
}

func TestHookEvents(t *testing.T) {
	t.Parallel()
	h := webhook{Name: "x", URL: "https://x.example/", Secrets: []string{hookSecret},
		Events: []string{"verification.verified", "verification.found"}}
	if err := h.complete(nil); err == nil || !strings.Contains(err.Error(), "verification.found") {
		t.Errorf("got %v", err)
	}
	text, err := json.Marshal(webhook{Events: noticeTypes})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range noticeTypes {
		if !strings.Contains(string(openAPI), kind) {
			t.Errorf("%s is not in openapi.yaml: %s", kind, text)
		}
	}
}
