package gatewaytest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

// hooks is a receiver of webhooks that checks their signatures.
type hooks struct {
	t   *testing.T
	key string

	mu     sync.Mutex
	status []int // of the next answers; then 200
	got    []string
	ids    map[string]int
	at     []time.Duration
	start  time.Time
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	stamp := r.Header.Get("X-Timestamp")
	if err != nil || r.Header.Get("X-Signature") != gatewaytest.Sign(h.key, body, stamp) {
		h.t.Errorf("%v, signature %q", err, r.Header.Get("X-Signature"))
	}
	var e struct {
		ID, Event string
		Payload   struct{ MessageID, PhoneNumber, Reason, SentAt, DeliveredAt, FailedAt string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		h.t.Error(err)
	}
	if sec, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.Unix(sec, 0)) > time.Second {
		h.t.Errorf("timestamp %q: %v", stamp, err)
	}
	happened := e.Payload.SentAt + e.Payload.DeliveredAt + e.Payload.FailedAt
	if _, err := time.Parse(time.RFC3339, happened); err != nil {
		h.t.Error(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, strings.TrimSpace(e.Event+" "+e.Payload.MessageID+" "+e.Payload.Reason))
	h.at = append(h.at, time.Since(h.start))
	h.ids[e.ID]++
	if len(h.status) > 0 {
		w.WriteHeader(h.status[0])
		h.status = h.status[1:]
	}
}

// newPhone starts a server with a phone whose webhooks are received. It runs in
// a bubble.
func newPhone(t *testing.T, c gatewaytest.PhoneConfig) (*client, *gatewaytest.Phone, *hooks) {
	srv := gatewaytest.NewPipeServer(gatewaytest.Config{})
	api := newClient(t, srv)
	h := &hooks{t: t, key: "k3y", ids: make(map[string]int), start: time.Now()}
	c.Key, c.Client = h.key, gatewaytest.HandlerClient(h)
	phone := srv.AddPhone(c)
	for _, event := range []string{"sms:sent", "sms:delivered", "sms:failed"} {
		api.call("POST", "/webhooks", `{"url":"https://app.example/hook","event":"`+event+`"}`, 201)
	}
	return api, phone, h
}

const long = "This text has a little more than what fits into a single message of 160 characters, so the phone cuts " +
	"it into two parts, and each of them has a report of its own. Yes."

func TestPlans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plan  gatewaytest.Plan
		rest  string
		text  string
		state string
		texts int
		hooks []string
	}{
		"delivered": {state: "Delivered", texts: 1, hooks: []string{"sms:sent one", "sms:delivered one"}},
		"no report": {rest: `,"withDeliveryReport":false`, state: "Sent", texts: 1, hooks: []string{"sms:sent one"}},
		"per part": {
			text: long, state: "Delivered", texts: 1,
			hooks: []string{"sms:sent one", "sms:delivered one", "sms:delivered one"},
		},
		"twice": {
			plan: gatewaytest.Plan{Copies: 2, Final: gatewaytest.Sent}, state: "Sent", texts: 1,
			hooks: []string{"sms:sent one", "sms:sent one"},
		},
		"reversed": {
			plan: gatewaytest.Plan{Reversed: true}, state: "Delivered", texts: 1,
			hooks: []string{"sms:delivered one", "sms:sent one"},
		},
		"failed": {plan: gatewaytest.Plan{Final: gatewaytest.Failed, Reason: "no service"}, state: "Failed",
			hooks: []string{"sms:failed one no service"}},
		"hangs":       {plan: gatewaytest.Plan{Final: gatewaytest.Processed}, state: "Processed"},
		"never":       {plan: gatewaytest.Plan{Final: gatewaytest.Pending}, state: "Pending"},
		"no webhooks": {plan: gatewaytest.Plan{NoWebhooks: true}, state: "Delivered", texts: 1},
		"no reports": {
			plan: gatewaytest.Plan{NoReports: true}, state: "Pending", texts: 1,
			hooks: []string{"sms:sent one", "sms:delivered one"},
		},
		"too late": {plan: gatewaytest.Plan{Delay: time.Minute}, rest: `,"ttl":60`, state: "Failed",
			hooks: []string{"sms:failed one TTL expired"}},
		"sealed": {rest: `,"isEncrypted":true`, state: "Failed", hooks: []string{"sms:failed one decryption failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api, phone, h := newPhone(t, gatewaytest.PhoneConfig{Plan: c.plan})
				if c.text == "" {
					c.text = "123456 is your code"
				}
				api.call("POST", "/messages",
					`{"id":"one","textMessage":{"text":"`+c.text+`"},"phoneNumbers":["`+ann+`"]`+c.rest+`}`, 202)
				time.Sleep(time.Hour)
				synctest.Wait()
				if got := api.state("one"); got != c.state {
					t.Errorf("state %s, want %s", got, c.state)
				}
				if diff := cmp.Diff(c.hooks, h.got); diff != "" {
					t.Error(diff)
				}
				if len(h.ids) != len(c.hooks) {
					t.Errorf("%d ids for %d webhooks", len(h.ids), len(c.hooks))
				}
				texts := phone.Texts()
				if len(texts) != c.texts || c.texts > 0 &&
					(texts[0].To != ann || texts[0].Body != c.text || texts[0].MessageID != "one") {
					t.Errorf("texts %+v", texts)
				}
			})
		})
	}
}

func TestPlansInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api, phone, h := newPhone(t, gatewaytest.PhoneConfig{})
		phone.Next(1, gatewaytest.Plan{Delay: time.Minute, Between: time.Second, Late: time.Hour})
		phone.On(ann, gatewaytest.Plan{Final: gatewaytest.Failed}, gatewaytest.Plan{Final: gatewaytest.Sent})
		api.send("one", "", 202)
		synctest.Wait()
		if got := api.state("one"); got != "Pending" {
			t.Errorf("%s while the phone dozes", got)
		}
		for _, want := range []string{"Pending", "Processed", "Sent", "Delivered"} {
			if got := api.state("one"); got != want {
				t.Errorf("state %s, want %s", got, want)
			}
			if want == "Pending" {
				time.Sleep(time.Minute)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		want := []time.Duration{time.Hour + 62*time.Second, time.Hour + 63*time.Second}
		if diff := cmp.Diff(want, h.at); diff != "" {
			t.Error(diff)
		}
		for i, want := range []string{"Failed", "Sent", "Sent"} {
			id := "next-" + strconv.Itoa(i)
			api.send(id, "", 202)
			synctest.Wait()
			if got := api.state(id); got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
	})
}

func TestWebhooksRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api, phone, h := newPhone(t, gatewaytest.PhoneConfig{Plan: gatewaytest.Plan{Final: gatewaytest.Sent}})
		h.status = []int{500, 503, 404}
		api.send("one", "", 202)
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []time.Duration{0, 10 * time.Second, 30 * time.Second, 70 * time.Second}
		if diff := cmp.Diff(want, h.at); diff != "" {
			t.Error(diff)
		}
		if len(h.ids) != 1 {
			t.Errorf("repetitions have %d ids", len(h.ids))
		}
		if posts := phone.Posts(); len(posts) != 4 || posts[0].Status != 500 || posts[3].Status != 200 {
			t.Errorf("posts: %+v", posts)
		}
	})
}

func TestOffline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api, phone, h := newPhone(t, gatewaytest.PhoneConfig{})
		phone.SetOffline(true)
		api.send("one", "", 202)
		api.send("two", `,"ttl":60`, 202)
		api.send("gone", "", 202)
		time.Sleep(time.Hour)
		synctest.Wait()
		api.call("DELETE", "/messages/gone", "", 200)
		if one, two := api.state("one"), api.state("two"); one != "Pending" || two != "Pending" {
			t.Errorf("%s and %s while the phone is away", one, two)
		}
		phone.SetOffline(false)
		synctest.Wait()
		one, two, gone := api.state("one"), api.state("two"), api.state("gone")
		if one != "Delivered" || two != "Failed" || gone != "Cancelled" {
			t.Errorf("%s, %s and %s when it is back", one, two, gone)
		}
		if len(h.got) != 3 || len(phone.Texts()) != 1 {
			t.Errorf("%q, %v", h.got, phone.Texts())
		}
		phone.Next(1, gatewaytest.Plan{Delay: time.Minute})
		api.send("dozed", "", 202)
		synctest.Wait()
		api.call("DELETE", "/messages/dozed", "", 200)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := api.state("dozed"); got != "Cancelled" || len(phone.Texts()) != 1 {
			t.Errorf("%s, %v", got, phone.Texts())
		}
	})
}

// sealed is "Your code is 123456" and a number, encrypted with the passphrase
// "correct horse" and the salt 00..0f.
const (
	sealedText = "$aes-256-cbc/pbkdf2-sha1$i=75000$AAECAwQFBgcICQoLDA0ODw==" +
		"$6I7A4jcWPHXH0z/4U3pJZphpXDIEoYhRAmncnDpFI6M="
	sealedBody = `{"id":"one","isEncrypted":true,` +
		`"textMessage":{"text":"` + sealedText + `"},"phoneNumbers":["` + sealedText + `"]}`
)

func TestDecryption(t *testing.T) {
	t.Parallel()
	for passphrase, want := range map[string]string{"correct horse": "Your code is 123456", "wrong": ""} {
		srv := gatewaytest.NewPipeServer(gatewaytest.Config{})
		api := newClient(t, srv)
		phone := srv.AddPhone(gatewaytest.PhoneConfig{Passphrase: passphrase, Manual: true})
		api.call("POST", "/messages", sealedBody, 202)
		err := phone.Send(phone.Take()[0])
		texts := phone.Texts()
		if want == "" {
			if err == nil || len(texts) != 0 {
				t.Errorf("with another passphrase: %v, %+v", err, texts)
			}
			continue
		}
		if err != nil || len(texts) != 1 || texts[0].Body != want || texts[0].To != want {
			t.Errorf("%v, %+v", err, texts)
		}
	}
}

// TestManual posts what a phone would not, or not yet.
func TestManual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api, phone, h := newPhone(t, gatewaytest.PhoneConfig{Manual: true})
		api.send("one", "", 202)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := api.state("one"); got != "Pending" || len(h.got) != 0 {
			t.Errorf("%s, %v: the phone acts by itself", got, h.got)
		}
		phone.SetOffline(true)
		if m := phone.Take(); len(m) != 0 {
			t.Errorf("taken %v, while offline", m)
		}
		phone.SetOffline(false)
		if m := phone.Take(); len(m) != 1 || len(phone.Take()) != 0 {
			t.Errorf("taken %v, and again", m)
		}
		phone.Report("one", gatewaytest.Delivered, "")
		phone.Report("one", gatewaytest.Sent, "") // backwards
		if got := api.state("one"); got != "Sent" {
			t.Errorf("state %s", got)
		}
		h.status = []int{503}
		event := gatewaytest.Event{ID: "E1", Name: "sms:sent", MessageID: "other", Number: ann, SIM: 2}
		posted := append(phone.Post(t.Context(), event), phone.Post(t.Context(), event)...)
		if len(posted) != 2 || posted[0].Status != 503 || posted[1].Status != 200 || h.ids["E1"] != 2 {
			t.Errorf("%+v, %v", posted, h.ids)
		}
		if posted := phone.Post(t.Context(), gatewaytest.Event{Name: "system:ping"}); len(posted) != 0 {
			t.Errorf("nobody asked for %+v", posted)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if posted := phone.Post(ctx, event); posted[0].Err == nil || posted[0].Status != 0 {
			t.Errorf("%+v", posted)
		}
		if _, err := phone.WaitPosts(t.Context(), 3); err != nil {
			t.Error(err)
		}
		if _, err := phone.Wait(ctx, 1); err == nil {
			t.Error("a text that nobody sent")
		}
	})
}

// TestSignature holds the signature to one computed beside this package, of a
// body as the app writes it.
func TestSignature(t *testing.T) {
	t.Parallel()
	body := `{"deviceId":"D1","event":"sms:delivered","id":"E1","payload":{` +
		`"deliveredAt":"2026-02-18T02:10:00.000+07:00","messageId":"otp-0001","phoneNumber":"+19162255887",` +
		`"recipient":"+19162255887","simNumber":2},"webhookId":"W1"}`
	const want = "c4a8fea54c7e1bfedfc8b4e4263add65a10a079d8e03be379e610278e7a53962"
	if got := gatewaytest.Sign("testkey8", []byte(body), "1771355400"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
