package provider_test

import (
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
)

// resend is Resend's mail API.
var resend = api{
	name: "resend", kind: channel.Email,
	values: map[string]string{
		"key": "re_key-8802", "from": "MyBank <codes@mybank.example>", "webhook_secret": svixSecret(hookSecret),
	},
	urls:   []string{"url"},
	send:   "/emails",
	accept: `{"id":"49a3999c-%d"}`,
	id:     "49a3999c-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {429, resendError(429, "rate_limit_exceeded"), nil},
		channel.Unreachable:      {422, resendError(422, "validation_error"), nil},
		channel.InvalidRecipient: {422, resendError(422, "invalid_to_address"), nil},
		channel.Misconfigured:    {403, resendError(403, "invalid_api_key"), nil},
	},
	documented: []documented{
		{"no key", answer{401, resendError(401, "missing_api_key"), nil}, "misconfigured missing_api_key"},
		{"sender", answer{422, resendError(422, "invalid_from_address"), nil}, "misconfigured invalid_from_address"},
		{"validation", answer{422, resendError(422, "validation_error"), nil}, "unreachable validation_error"},
		{"rate", answer{429, resendError(429, "rate_limit_exceeded"), nil}, "throttled rate_limit_exceeded"},
		{"quota", answer{429, resendError(429, "daily_quota_exceeded"), nil}, "misconfigured daily_quota_exceeded"},
		{
			"at once", answer{409, resendError(409, "concurrent_idempotent_requests"), nil},
			"temporary concurrent_idempotent_requests",
		},
		{"down", answer{500, resendError(500, "application_error"), nil}, "unknown application_error"},
	},
	pollPath: "/emails/49a3999c-1",
	pollBody: `{"object":"email","id":"49a3999c-1","to":["ann@example.com"],"last_event":%q}`,
	polls:    []told{{"queued", ""}, {"sent", "sent unknown sent"}, {"bounced", "failed unreachable bounced"}},
	hook: posting{
		body: `{"type":%q,"created_at":"2026-02-22T23:41:12.126Z","data":{"email_id":"49a3999c-1",` +
			`"to":["ann@example.com"],"bounce":{"type":"Permanent","subType":"General"}}}`,
		sign: signSvix,
		tells: []told{
			{"email.sent", "sent unknown email.sent Permanent"},
			{"email.bounced", "failed invalid recipient email.bounced Permanent"},
			{"email.delivered", "delivered unknown email.delivered Permanent"},
		},
		other: `{"type":"contact.created","data":{"id":"x"}}`,
	},
}

func resendError(status int, name string) string {
	return fmt.Sprintf(`{"statusCode":%d,"name":%q,"message":"about ann@example.com"}`, status, name)
}
