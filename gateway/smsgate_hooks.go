package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

const opWebhooks = "gateway: webhooks"

// hookedEvents are those that webhooks are registered for.
var hookedEvents = []string{"sms:sent", "sms:delivered", "sms:failed"}

// smsgateHook is a webhook as the API has it.
type smsgateHook struct {
	ID       string  `json:"id"`
	DeviceID *string `json:"deviceId,omitempty"`
	URL      string  `json:"url"`
	Event    string  `json:"event"`
}

// RegisterWebhooks has the account's phones post the fate of messages to url,
// where [SMSGate.WebhookHandler] is served, unless they do so already. The URL
// has to be https with a certificate that the phones trust. It uses the
// password even with SMSGateConfig.JWT, whose tokens may not do this.
func (g *SMSGate) RegisterWebhooks(ctx context.Context, url string) error {
	return g.eachHook(ctx, url, func(ctx context.Context, existing []smsgateHook) error {
		for _, event := range hookedEvents {
			if slices.ContainsFunc(existing, func(h smsgateHook) bool { return h.Event == event }) {
				continue
			}
			// The id makes two processes that start at once register one.
			sum := sha256.Sum256([]byte(event + " " + url))
			body, err := json.Marshal(smsgateHook{ID: "otp-" + hex.EncodeToString(sum[:8]), URL: url, Event: event})
			if err != nil {
				return err
			}
			if _, err := g.hooks(ctx, call{method: http.MethodPost, body: body}); err != nil {
				return err
			}
		}
		return nil
	})
}

// RemoveWebhooks undoes [SMSGate.RegisterWebhooks]: it removes those for url
// that are not of one phone alone. It is no error if there are none.
func (g *SMSGate) RemoveWebhooks(ctx context.Context, url string) error {
	return g.eachHook(ctx, url, func(ctx context.Context, existing []smsgateHook) error {
		for _, h := range existing {
			resp, err := g.hooks(ctx, call{method: http.MethodDelete, id: h.ID})
			if err != nil && resp.Status != http.StatusNotFound {
				return err
			}
		}
		return nil
	})
}

// eachHook hands the webhooks for url to f.
func (g *SMSGate) eachHook(ctx context.Context, url string, f func(context.Context, []smsgateHook) error) error {
	if _, err := web.ParseURL(url, false); err != nil {
		return &channel.Error{Class: channel.Misconfigured, Op: opWebhooks, Err: errors.New("the webhook's URL " + err.Error())}
	}
	ctx, end, err := g.life.Begin(ctx, opWebhooks, time.Time{})
	if err != nil {
		return err
	}
	defer end()
	resp, err := g.hooks(ctx, call{method: http.MethodGet})
	if err != nil {
		return err
	}
	var all []smsgateHook
	if err := decode(opWebhooks, resp, &all); err != nil {
		return err
	}
	return f(ctx, slices.DeleteFunc(all, func(h smsgateHook) bool {
		return h.URL != url || h.ID == "" || h.DeviceID != nil && *h.DeviceID != "" || !slices.Contains(hookedEvents, h.Event)
	}))
}

func (g *SMSGate) hooks(ctx context.Context, c call) (web.Response, error) {
	c.op, c.path, c.basic = opWebhooks, "webhooks", true
	resp, err := g.do(ctx, c)
	if err == nil && !resp.OK() {
		err = refusal(opWebhooks, resp, time.Now())
	}
	return resp, err
}
