package smsgate

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

const opWebhooks = "smsgate: webhooks"

// hookedEvents are those that webhooks are registered for.
var hookedEvents = []string{"sms:sent", "sms:delivered", "sms:failed"}

// hookBody is a webhook as the API has it.
type hookBody struct {
	ID       string  `json:"id"`
	DeviceID *string `json:"deviceId,omitempty"`
	URL      string  `json:"url"`
	Event    string  `json:"event"`
}

// RegisterWebhooks has the account's phones post the states of messages to url,
// where [Channel.WebhookHandler] must be served. If the webhooks are registered
// already, RegisterWebhooks changes nothing. The URL must be https with a
// certificate that the phones trust. The request uses the password even with
// Config.JWT, whose tokens may not register webhooks.
func (c *Channel) RegisterWebhooks(ctx context.Context, url string) error {
	return c.eachHook(ctx, url, func(ctx context.Context, existing []hookBody) error {
		for _, event := range hookedEvents {
			if slices.ContainsFunc(existing, func(h hookBody) bool { return h.Event == event }) {
				continue
			}
			// The id makes two processes that start at once register one.
			sum := sha256.Sum256([]byte(event + " " + url))
			body, err := json.Marshal(hookBody{ID: "otp-" + hex.EncodeToString(sum[:8]), URL: url, Event: event})
			if err != nil {
				return err
			}
			if _, err := c.hooks(ctx, request{method: http.MethodPost, body: body}); err != nil {
				return err
			}
		}
		return nil
	})
}

// RemoveWebhooks undoes [Channel.RegisterWebhooks]: it removes the account's
// webhooks for url, except those of a single phone. If there are none, it returns
// nil.
func (c *Channel) RemoveWebhooks(ctx context.Context, url string) error {
	return c.eachHook(ctx, url, func(ctx context.Context, existing []hookBody) error {
		for _, h := range existing {
			resp, err := c.hooks(ctx, request{method: http.MethodDelete, id: h.ID})
			if err != nil && resp.Status != http.StatusNotFound {
				return err
			}
		}
		return nil
	})
}

// eachHook hands the webhooks for url to f.
func (c *Channel) eachHook(ctx context.Context, url string, f func(context.Context, []hookBody) error) error {
	if _, err := web.ParseURL(url, false); err != nil {
		return &channel.Error{
			Class: channel.Misconfigured, Op: opWebhooks, Err: errors.New("the webhook's URL " + err.Error()),
		}
	}
	ctx, end, err := c.life.Begin(ctx, opWebhooks, time.Time{})
	if err != nil {
		return err
	}
	defer end()
	resp, err := c.hooks(ctx, request{method: http.MethodGet})
	if err != nil {
		return err
	}
	var all []hookBody
	if err := decode(opWebhooks, resp, &all); err != nil {
		return err
	}
	return f(ctx, slices.DeleteFunc(all, func(h hookBody) bool {
		return h.URL != url || h.ID == "" || h.DeviceID != nil && *h.DeviceID != "" ||
			!slices.Contains(hookedEvents, h.Event)
	}))
}

func (c *Channel) hooks(ctx context.Context, r request) (web.Response, error) {
	r.op, r.path, r.basic = opWebhooks, "webhooks", true
	resp, err := c.do(ctx, r)
	if err == nil && !resp.OK() {
		err = refusal(opWebhooks, resp, time.Now())
	}
	return resp, err
}
