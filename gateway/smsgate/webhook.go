package smsgate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

// maxWebhook bounds the body of a webhook, in octets; those of the app have less
// than 1 KiB, apart from those about incoming messages.
const maxWebhook = 64 << 10

var (
	errBody      = errors.New("the body is no webhook's")
	errSignature = errors.New("wrong signature or time")
	errReplay    = errors.New("accepted before")
)

// eventBody is the body of a phone's webhook.
type eventBody struct {
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

// events are the events that report a state, with the API's word for it.
var events = map[string]string{"sms:sent": "Sent", "sms:delivered": "Delivered", "sms:failed": "Failed"}

// WebhookHandler serves the phones' webhooks, which [Channel.RegisterWebhooks]
// registers. It answers
//
//   - 200 once Config.Receipt has accepted a new report, and for events without a use
//   - 401 without the right signature and time: the header X-Signature is the
//     HMAC-SHA-256 of body and X-Timestamp under one of the phone's keys
//   - 409 to a webhook that was accepted before
//   - 400, 405 and 413 to a request that is no webhook, or takes over 10 s
//   - 503 if Receipt returns an error, and after Close: the phone posts the webhook
//     again
//
// A webhook about a message that another process sent becomes a receipt as well:
// processes that share an account may share a handler. A webhook about a message
// that this process has given to another phone is logged and dropped, with 200:
// the holder of one phone's key must not report on another phone's messages. That
// takes a key for each phone, in Device.SigningKeys.
func (c *Channel) WebhookHandler() http.Handler { return http.HandlerFunc(c.serveWebhook) }

func (c *Channel) serveWebhook(w http.ResponseWriter, r *http.Request) {
	body, ok := inbound.Read(w, r, http.MethodPost, maxWebhook)
	if !ok {
		return
	}
	status, err := c.webhook(r.Context(), body, r.Header.Get("X-Timestamp"), r.Header.Get("X-Signature"))
	if err != nil {
		c.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "smsgate: webhook refused", slog.Int("status", status),
			slog.Any("error", err))
	}
	w.WriteHeader(status)
}

func (c *Channel) webhook(ctx context.Context, body []byte, timestamp, signature string) (int, error) {
	var e eventBody
	if err := json.Unmarshal(body, &e); err != nil {
		return http.StatusBadRequest, errBody // err might quote it
	}
	now := time.Now()
	mac, ok := c.signed(e.DeviceID, body, timestamp, signature, now)
	if !ok {
		return http.StatusUnauthorized, errSignature
	}
	if !c.replays.begin(mac, now, 2*c.config.WebhookWindow) {
		return http.StatusConflict, errReplay
	}
	if err := c.accept(ctx, &e); err != nil {
		c.replays.undo(mac) // the phone may send it again within the same second
		return http.StatusServiceUnavailable, err
	}
	return http.StatusOK, nil
}

// signed checks a webhook's signature and time. The time is part of what is
// signed.
func (c *Channel) signed(device string, body []byte, timestamp, signature string, now time.Time) (mac [sha256.Size]byte,
	ok bool) {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > c.config.WebhookWindow {
		return mac, false
	}
	given, err := hex.DecodeString(signature)
	if err != nil || !inbound.Signed(c.keys(device), sha256.New, given, body, []byte(timestamp)) {
		return mac, false
	}
	return [sha256.Size]byte(given), true
}

// keys returns the keys that may sign a device's webhooks.
func (c *Channel) keys(device string) []string {
	var own []string
	for _, d := range c.config.Devices {
		if d.ID == device {
			own = append(own, d.SigningKeys...)
		}
	}
	if own != nil {
		return own
	}
	return c.config.SigningKeys
}

// accept passes an event's report on a message to the follower.
func (c *Channel) accept(ctx context.Context, e *eventBody) error {
	word, ok := events[e.Event]
	if !ok || !message.ValidID(e.Payload.MessageID) { // incoming messages, pings, what the phone's user has sent
		return nil
	}
	if phone := c.devices.of(e.Payload.MessageID); phone != "" && phone != e.DeviceID {
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "smsgate: webhook dropped, another phone has the message",
			slog.String("message", e.Payload.MessageID), slog.String("phone", phone))
		return nil
	}
	u := c.update(e.Payload.MessageID, word, e.Payload.Reason)
	for _, at := range []string{e.Payload.SentAt, e.Payload.DeliveredAt, e.Payload.FailedAt} {
		if t, err := time.Parse(time.RFC3339, at); err == nil {
			u.At = t
		}
	}
	return c.report(ctx, u)
}

func (c *Channel) report(ctx context.Context, u follow.Update) error {
	err := c.life.Follower.Report(ctx, u)
	if err != nil {
		return &channel.Error{Class: channel.Temporary, Op: "smsgate: webhook", Err: err}
	}
	return nil
}
