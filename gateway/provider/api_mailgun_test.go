package provider_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// mailgun is Mailgun's messages.
var mailgun = api{
	name: "mailgun", kind: channel.Email,
	values: map[string]string{
		"domain": "mg.mybank.example", "key": "mg-key-4420", "from": "MyBank <codes@mg.mybank.example>",
		"signing_key": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/v3/mg.mybank.example/messages",
	accept: `{"id":"<2026.%d@mg.mybank.example>","message":"Queued. Thank you."}`,
	id:     "2026.1@mg.mybank.example",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {429, `{"message":"Too many requests"}`, nil},
		channel.Unreachable:      {400, `{"message":"text is wrong"}`, nil},
		channel.InvalidRecipient: {400, `{"message":"'to' parameter is not a valid address. please check"}`, nil},
		channel.Misconfigured:    {401, `Forbidden`, nil},
	},
	documented: []documented{
		{
			"recipient", answer{400, `{"message":"'to' parameter is not a valid address. please check"}`, nil},
			"invalid recipient 400",
		},
		{
			"sender", answer{400, `{"message":"'from' parameter is not a valid address. please check"}`, nil},
			"misconfigured 400",
		},
		{"unauthorized", answer{401, `Forbidden`, nil}, "misconfigured 401"},
		{"domain", answer{404, `{"message":"Domain not found: mg.mybank.example"}`, nil}, "misconfigured 404"},
		{"no id", answer{200, `{"message":"Queued. Thank you."}`, nil}, "unknown 200"},
	},
	hook: posting{
		body: `{"signature":{},"event-data":{"event":%q,"severity":"permanent","recipient":"ann@example.com",` +
			`"delivery-status":{"code":550,"enhanced-code":"5.1.1"},"user-variables":{"otp_message":"golden.1"},` +
			`"message":{"headers":{"message-id":"2026.1@mg.mybank.example"}}}}`,
		sign:  signMailgun,
		tells: []told{{"failed", "failed invalid recipient failed+permanent 5.1.1"}},
		other: `{"signature":{},"event-data":{"event":"opened","message":{"headers":{"message-id":"2026.1@mg"}}}}`,
	},
}

// signMailgun puts the signature into the body, which it does not sign.
func signMailgun(r *http.Request, body, secret string) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	signature := fmt.Sprintf(`"signature":{"timestamp":%q,"token":"t1","signature":"%x"}`, now,
		mac256(secret, now+"t1"))
	body = strings.Replace(body, `"signature":{}`, signature, 1)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// A delivery of Mailgun's has no severity.
func TestMailgunDelivered(t *testing.T) {
	t.Parallel()
	inBubble(t, mailgun, nil, func(t *testing.T, b *bubble) {
		for body, want := range map[string]string{
			`{"signature":{},"event-data":{"event":"delivered","message":{"headers":{"message-id":"2"}}}}`://
			"delivered unknown delivered",
			`{"signature":{},"event-data":{"event":"failed","severity":"temporary",` +
				`"message":{"headers":{"message-id":"3"}}}}`: //
			"",
		} {
			if status := b.post(body, hookSecret); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			if got := strings.Join(b.receipts(), "; "); got != want {
				t.Errorf("%s: heard %q, want %q", body, got, want)
			}
		}
	})
}
