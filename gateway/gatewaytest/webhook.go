package gatewaytest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// An Event is the content of a phone's webhook.
type Event struct {
	Name      string // "sms:sent", "sms:delivered", "sms:failed", "sms:received", "system:ping"
	MessageID string
	Number    string    // the recipient
	SIM       int       // 0: not given
	Reason    string    // of sms:failed
	At        time.Time // when it happened; default now

	// ID is the event's own. Default: a new one for each Post, as phones do;
	// with an ID, a second Post is a repetition.
	ID string

	// Signed is the time in X-Timestamp, which the signature covers. Default:
	// when it is posted.
	Signed time.Time

	// Key signs instead of the phone's.
	Key string
}

// A Posted is a webhook with its answer.
type Posted struct {
	Event  Event
	URL    string
	Status int   // zero: no answer
	Err    error // the reason if there is no answer
}

// stamps are the names of the time in a payload.
var stamps = map[string]string{
	"sms:sent": "sentAt", "sms:delivered": "deliveredAt", "sms:failed": "failedAt", "sms:received": "receivedAt",
}

// Post posts an event once to each webhook registered for it. It returns their
// answers, in the order of their registration.
func (p *Phone) Post(ctx context.Context, e Event) []Posted {
	var all []Posted
	for _, h := range p.hooks(e.Name) {
		all = append(all, p.post(ctx, h, e))
	}
	return all
}

// Posts returns every webhook posted so far, with repetitions.
func (p *Phone) Posts() []Posted {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	return slices.Clone(p.posts)
}

// WaitPosts waits until n webhooks were posted and answered in all.
func (p *Phone) WaitPosts(ctx context.Context, n int) ([]Posted, error) {
	var got []Posted
	err := p.server.wait(ctx, "webhooks", n, func() int {
		got = p.Posts()
		return len(got)
	})
	return got, err
}

// hooks returns the webhooks for an event of this phone.
func (p *Phone) hooks(event string) (fit []webhook) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for _, h := range p.server.webhooks {
		if h.Event == event && (h.DeviceID == nil || *h.DeviceID == p.config.ID) {
			fit = append(fit, h)
		}
	}
	return fit
}

// dispatch posts an event, and repeats it until each webhook has answered with
// a 2xx. If the event is not late, its first post ends before dispatch returns,
// so that events keep their order.
func (p *Phone) dispatch(e Event, late time.Duration) {
	p.server.mu.Lock()
	e.ID = p.server.newID()
	p.server.mu.Unlock()
	for _, h := range p.hooks(e.Name) {
		if late <= 0 {
			if !p.post(p.server.running, h, e).ok() {
				p.server.spawn(func() { p.repeat(h, e, p.config.Repeat) })
			}
			continue
		}
		p.server.spawn(func() {
			if p.server.pause(late) && p.online() && !p.post(p.server.running, h, e).ok() {
				p.repeat(h, e, p.config.Repeat)
			}
		})
	}
}

// repeat posts an event after each pause until a 2xx answers it.
func (p *Phone) repeat(h webhook, e Event, pause time.Duration) {
	for p.server.pause(pause) && p.online() && !p.post(p.server.running, h, e).ok() {
		pause = min(2*pause, time.Hour)
	}
}

func (r Posted) ok() bool { return r.Status >= 200 && r.Status < 300 }

// post posts once. The signature is the HMAC-SHA256 of body and timestamp.
func (p *Phone) post(ctx context.Context, h webhook, e Event) Posted {
	body, err := json.Marshal(p.payload(h, &e))
	if err != nil {
		panic("gatewaytest: " + err.Error())
	}
	if e.Signed.IsZero() {
		e.Signed = time.Now()
	}
	key := p.config.Key
	if e.Key != "" {
		key = e.Key
	}
	stamp := strconv.FormatInt(e.Signed.Unix(), 10)
	r := Posted{Event: e, URL: h.URL}
	r.Status, r.Err = p.deliver(ctx, h.URL, body, Sign(key, body, stamp), stamp)
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.posts = append(p.posts, r)
	p.server.announce()
	return r
}

// Sign returns the X-Signature of a webhook: HMAC-SHA256 over the body followed
// by X-Timestamp, in lower-case hex.
func Sign(key string, body []byte, timestamp string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write(body)
	h.Write([]byte(timestamp))
	return hex.EncodeToString(h.Sum(nil))
}

func (p *Phone) payload(h webhook, e *Event) map[string]any {
	if e.ID == "" {
		p.server.mu.Lock()
		e.ID = p.server.newID()
		p.server.mu.Unlock()
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	in := map[string]any{}
	if stamp, ok := stamps[e.Name]; ok {
		in["messageId"], in["recipient"], in["phoneNumber"] = e.MessageID, e.Number, e.Number
		in[stamp] = e.At.Format("2006-01-02T15:04:05.000-07:00")
	}
	if e.SIM > 0 {
		in["simNumber"] = e.SIM
	}
	if e.Reason != "" {
		in["reason"] = e.Reason
	}
	return map[string]any{"id": e.ID, "webhookId": h.ID, "event": e.Name, "deviceId": p.config.ID, "payload": in}
}

func (p *Phone) deliver(ctx context.Context, url string, body []byte, signature, stamp string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("gatewaytest: webhook: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "me.capcom.smsgateway/gatewaytest")
	r.Header.Set("X-Signature", signature)
	r.Header.Set("X-Timestamp", stamp)
	answer, err := p.config.Client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("gatewaytest: webhook: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	return answer.StatusCode, nil
}
