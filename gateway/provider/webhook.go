package provider

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
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

	// unmatchedPause is how long no other webhook that matches nothing is logged.
	unmatchedPause = time.Minute
)

// prepareWebhook makes the verifier of the profile's webhook.
func (c *Channel) prepareWebhook(v *transport.Validator) {
	w := c.spec.Webhook
	if w == nil {
		return
	}
	var err error
	if c.verifier, err = w.Verify.with(c.values.lookup); err == nil && w.Challenge != nil {
		c.answers, err = w.Challenge.resolve(c.values.lookup)
	}
	v.Error("Profile", at(c.spec.Name+": webhook", err))
}

// WebhookHandler serves the provider's webhooks. It answers
//
//   - 200 once Config.Receipt has accepted all new reports, and for reports without
//     a use; a repeated report is not new
//   - 401 to a request without the profile's signature
//   - 400, 405 and 413 to a request that is no webhook, or takes over 10 s
//   - 404 if the profile has no webhook, or Config.Values lacks its secret
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
	body, ok := inbound.Read(w, r, hook.Method, maxWebhook)
	if !ok {
		return
	}
	status, err := c.webhook(r, body)
	if err != nil {
		c.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "provider: webhook refused",
			slog.Int("status", status), slog.Any("error", err))
	}
	if status != http.StatusOK || hook.Reply == nil {
		w.WriteHeader(status)
		return
	}
	hook.reply(w)
}

// reply writes the answer that the provider requires: text, or JSON.
func (s *webhookSpec) reply(w http.ResponseWriter) {
	text, ok := s.Reply.(string)
	contentType := "text/plain; charset=utf-8"
	if !ok {
		encoded, _ := json.Marshal(s.Reply) // it was JSON in the profile
		text, contentType = string(encoded), "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = io.WriteString(w, text)
}

func (c *Channel) webhook(r *http.Request, body []byte) (int, error) {
	if !c.verifier.verify(r, body, time.Now()) {
		return http.StatusUnauthorized, errUnsigned
	}
	if address := c.spec.Webhook.Verify.SNS.confirmation(body); address != "" {
		return c.confirmSNS(r.Context(), address)
	}
	d, err := c.spec.Webhook.document(r, body)
	if err != nil {
		return http.StatusBadRequest, errors.New("the webhook cannot be read") // err might quote it
	}
	reports := []document{d}
	if c.spec.Webhook.each.set() {
		reports = c.spec.Webhook.each.each(d)
	}
	// One that is not accepted does not keep the others waiting: all are
	// repeated, and those that were told are no news then.
	var failed error
	matched := false
	for _, report := range reports {
		is, err := c.report(r.Context(), report)
		matched = matched || is
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return http.StatusServiceUnavailable, failed
	}
	if !matched && c.unmatched.allow(time.Now()) {
		c.config.Logger.WarnContext(r.Context(), "provider: a webhook that is signed rightly has no report: "+
			"the profile's paths lead to no id or no status, or it is about something else")
	}
	return http.StatusOK, nil
}

func (s *webhookSpec) document(r *http.Request, body []byte) (document, error) {
	d := document{header: r.Header}
	var err error
	switch s.Format {
	case formatForm, formatQuery:
		encoded := string(body)
		if s.Format == formatQuery {
			encoded = r.URL.RawQuery
		}
		form, failed := url.ParseQuery(encoded)
		d.root, err = firstValues(form), failed
	default:
		d.root, err = parseDocument(body)
	}
	if err == nil && s.inside.set() {
		d.root, err = parseDocument([]byte(s.inside.find(d)))
	}
	return d, err
}

func firstValues(form url.Values) map[string]any {
	document := make(map[string]any, len(form))
	for name, values := range form {
		document[name] = values[0]
	}
	return document
}

// report passes a webhook's report on a message to the follower. It reports
// whether there is one, of whatever status.
func (c *Channel) report(ctx context.Context, report document) (matched bool, err error) {
	w := c.spec.Webhook
	id, status := trimID(w.id.find(report)), w.status.find(report)
	update, known := c.update(id, status, w.code.find(report))
	if id == "" || !isProviderID(id) || !known { // of what others do with the account
		return id != "" && status != "", nil
	}
	if message := w.message.find(report); isProviderID(message) {
		update.MessageID = message
	}
	return true, c.life.Follower.Report(ctx, update)
}

// A pause lets something happen once in a while.
type pause struct {
	mu   sync.Mutex
	next time.Time
}

// allow reports whether it may happen now, and begins the next pause.
func (p *pause) allow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.next) {
		return false
	}
	p.next = now.Add(unmatchedPause)
	return true
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
