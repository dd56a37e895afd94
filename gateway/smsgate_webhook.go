package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

const (
	// maxWebhook bounds the body of a webhook; those of the app have less
	// than 1 KiB, apart from those about incoming messages.
	maxWebhook = 64 << 10

	// maxReplays bounds how many webhooks are remembered.
	maxReplays = 100_000
)

var (
	errBody      = errors.New("the body is no webhook's")
	errSignature = errors.New("wrong signature or time")
	errReplay    = errors.New("accepted before")
)

// smsgateEvent is what a phone posts.
type smsgateEvent struct {
	Event    string `json:"event"`
	DeviceID string `json:"deviceId"`
	Payload  struct {
		MessageID   string `json:"messageId"`
		SentAt      string `json:"sentAt"`
		DeliveredAt string `json:"deliveredAt"`
		FailedAt    string `json:"failedAt"`
		Reason      string `json:"reason"`
	} `json:"payload"`
}

// smsgateEvents are those that tell of a message's fate, with the API's word for it.
var smsgateEvents = map[string]string{"sms:sent": "Sent", "sms:delivered": "Delivered", "sms:failed": "Failed"}

// WebhookHandler serves what the phones post; [SMSGate.RegisterWebhooks] tells
// them where. It answers
//
//   - 200 once SMSGateConfig.Receipt has accepted what a webhook says, if it
//     is news, and for events of no interest
//   - 401 without the right signature and time: the header X-Signature is the
//     HMAC-SHA-256 of body and X-Timestamp under one of the phone's keys
//   - 409 to one that was accepted before
//   - 400, 405 and 413 to what is no webhook
//   - 503 where Receipt returns an error, and after Close: the phone posts it
//     again
//
// A webhook about a message that this process did not send is as good as any
// other: processes that share an account may share a handler. One about a
// message that this process has given to another phone is logged and dropped,
// with 200: the holder of one phone's key says nothing of the others' messages.
// It takes a key for each phone, in SMSGateDevice.SigningKeys.
func (g *SMSGate) WebhookHandler() http.Handler { return http.HandlerFunc(g.serveWebhook) }

func (g *SMSGate) serveWebhook(w http.ResponseWriter, r *http.Request) {
	body, ok := inbound.Read(w, r, http.MethodPost, maxWebhook)
	if !ok {
		return
	}
	status, err := g.webhook(r.Context(), body, r.Header.Get("X-Timestamp"), r.Header.Get("X-Signature"))
	if err != nil {
		g.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "gateway: webhook refused", slog.Int("status", status), slog.Any("error", err))
	}
	w.WriteHeader(status)
}

func (g *SMSGate) webhook(ctx context.Context, body []byte, timestamp, signature string) (int, error) {
	var e smsgateEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return http.StatusBadRequest, errBody // err might quote it
	}
	now := time.Now()
	mac, ok := g.signed(e.DeviceID, body, timestamp, signature, now)
	if !ok {
		return http.StatusUnauthorized, errSignature
	}
	if !g.replays.begin(mac, now, 2*g.config.WebhookWindow) {
		return http.StatusConflict, errReplay
	}
	if err := g.heard(ctx, &e); err != nil {
		g.replays.undo(mac) // the phone may send it again within the same second
		return http.StatusServiceUnavailable, err
	}
	return http.StatusOK, nil
}

// signed checks a webhook's signature and time. The time is part of what is
// signed.
func (g *SMSGate) signed(device string, body []byte, timestamp, signature string, now time.Time) (mac [sha256.Size]byte, ok bool) {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > g.config.WebhookWindow {
		return mac, false
	}
	given, err := hex.DecodeString(signature)
	if err != nil || !inbound.Signed(g.keys(device), sha256.New, given, body, []byte(timestamp)) {
		return mac, false
	}
	return [sha256.Size]byte(given), true
}

// keys returns those that may sign a device's webhooks.
func (g *SMSGate) keys(device string) []string {
	var own []string
	for _, d := range g.config.Devices {
		if d.ID == device {
			own = append(own, d.SigningKeys...)
		}
	}
	if own != nil {
		return own
	}
	return g.config.SigningKeys
}

// heard passes on what an event says of a message.
func (g *SMSGate) heard(ctx context.Context, e *smsgateEvent) error {
	word, ok := smsgateEvents[e.Event]
	if !ok || !message.ValidID(e.Payload.MessageID) { // incoming messages, pings, what the phone's user has sent
		return nil
	}
	if phone := g.devices.of(e.Payload.MessageID); phone != "" && phone != e.DeviceID {
		g.config.Logger.LogAttrs(ctx, slog.LevelWarn, "gateway: webhook dropped, another phone has the message",
			slog.String("message", e.Payload.MessageID), slog.String("phone", phone))
		return nil
	}
	u := g.update(e.Payload.MessageID, word, e.Payload.Reason)
	for _, at := range []string{e.Payload.SentAt, e.Payload.DeliveredAt, e.Payload.FailedAt} {
		if t, err := time.Parse(time.RFC3339, at); err == nil {
			u.At = t
		}
	}
	return g.report(ctx, u)
}

func (g *SMSGate) report(ctx context.Context, u follow.Update) error {
	err := g.life.Follower.Report(ctx, u)
	if err != nil {
		return &channel.Error{Class: channel.Temporary, Op: "gateway: webhook", Err: err}
	}
	return nil
}

// replays remembers the signatures of accepted webhooks while their time would
// still be accepted. At the bound the oldest is forgotten; it would be told as
// a state that is known already.
type replays struct {
	mu    sync.Mutex
	seen  map[[sha256.Size]byte]time.Time
	order []replay
}

type replay struct {
	mac [sha256.Size]byte
	at  time.Time
}

// begin notes a webhook, and reports whether it is new.
func (r *replays) begin(mac [sha256.Size]byte, now time.Time, keep time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && (now.Sub(r.order[0].at) > keep || len(r.order) >= maxReplays) {
		if first := r.order[0]; r.seen[first.mac].Equal(first.at) {
			delete(r.seen, first.mac)
		}
		r.order = r.order[1:]
	}
	if _, seen := r.seen[mac]; seen {
		return false
	}
	if r.seen == nil {
		r.seen = map[[sha256.Size]byte]time.Time{}
	}
	r.seen[mac] = now
	r.order = append(r.order, replay{mac, now})
	return true
}

// undo forgets a webhook that was not accepted.
func (r *replays) undo(mac [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, mac)
}
