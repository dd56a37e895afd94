package provider

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

const (
	// maxWebhook bounds the body of a webhook, in octets. Meta puts up
	// to 1,000 reports into one.
	maxWebhook = 1 << 20

	// maxChallenge bounds the answer to a challenge, in octets.
	maxChallenge = 256
)

// prepareWebhook makes the verifier of the profile's webhook.
func (c *Channel) prepareWebhook(v *transport.Validator) {
	w := c.spec.Webhook
	if w == nil {
		return
	}
	var err error
	if c.verifier, err = w.Verify.with(c.value); err == nil && w.Challenge != nil {
		c.answers, err = w.Challenge.resolve(c.value)
	}
	v.Error("Profile", at(c.spec.Name+": webhook", err))
}

// WebhookHandler serves the provider's webhooks. It answers
//
//   - 200 once Config.Receipt has accepted the reports that are news, and for
//     reports of no interest; a repeated report is no news
//   - 401 to a request that is not signed as the profile says
//   - 400, 405 and 413 to a request that is no webhook
//   - 404 if the profile has no webhook, or Config.Values has not its secret
//   - 503 if Receipt returns an error, and after Close: a provider that repeats
//     webhooks posts this one again
//
// A webhook about a message that another process sent becomes a receipt as well:
// processes that share an account may share a handler.
func (c *Channel) WebhookHandler() http.Handler { return http.HandlerFunc(c.serveWebhook) }

func (c *Channel) serveWebhook(w http.ResponseWriter, r *http.Request) {
	if c.verifier == nil {
		http.NotFound(w, r)
		return
	}
	hook := c.spec.Webhook
	if r.Method == http.MethodGet && hook.Challenge != nil {
		c.serveChallenge(w, r)
		return
	}
	body, ok := inbound.Read(w, r, hook.method(), maxWebhook)
	if !ok {
		return
	}
	status, err := c.webhook(r, body)
	if err != nil {
		c.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "provider: webhook refused",
			slog.Int("status", status), slog.Any("error", err))
	}
	w.WriteHeader(status)
}

func (s *webhookSpec) method() string {
	if s.Format == formatQuery {
		return http.MethodGet
	}
	return http.MethodPost
}

func (c *Channel) webhook(r *http.Request, body []byte) (int, error) {
	if !c.verifier.verify(r, body, time.Now()) {
		return http.StatusUnauthorized, errUnsigned
	}
	document, err := c.spec.Webhook.document(r, body)
	if err != nil {
		return http.StatusBadRequest, errors.New("the webhook cannot be read") // err might quote it
	}
	reports := []any{document}
	if c.spec.Webhook.each.set() {
		reports = c.spec.Webhook.each.all(document)
	}
	// One that is not accepted does not keep the others waiting: all are
	// repeated, and those that were told are no news then.
	var failed error
	for _, report := range reports {
		failed = errors.Join(failed, c.report(r.Context(), report))
	}
	if failed != nil {
		return http.StatusServiceUnavailable, failed
	}
	return http.StatusOK, nil
}

func (s *webhookSpec) document(r *http.Request, body []byte) (any, error) {
	switch s.Format {
	case formatForm:
		form, err := url.ParseQuery(string(body))
		return firstValues(form), err
	case formatQuery:
		query, err := url.ParseQuery(r.URL.RawQuery)
		return firstValues(query), err
	}
	return parseDocument(body)
}

func firstValues(form url.Values) map[string]any {
	document := make(map[string]any, len(form))
	for name, values := range form {
		document[name] = values[0]
	}
	return document
}

// report passes a webhook's report on a message to the follower.
func (c *Channel) report(ctx context.Context, report any) error {
	w := c.spec.Webhook
	id := w.id.find(report)
	update, known := c.update(id, w.status.find(report), w.code.find(report))
	if id == "" || !isProviderID(id) || !known { // of what others do with the account
		return nil
	}
	if message := w.message.find(report); isProviderID(message) {
		update.MessageID = message
	}
	return c.life.Follower.Report(ctx, update)
}

func (c *Channel) serveChallenge(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	answer := query.Get(c.spec.Webhook.Challenge.Answer)
	if !inbound.OneOf(c.answers, query.Get(c.spec.Webhook.Challenge.Query)) || len(answer) > maxChallenge ||
		!utf8.ValidString(answer) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, answer) //nolint:gosec // plain text, to whoever has the secret
}
