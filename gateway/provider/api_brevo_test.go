package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// brevo is Brevo's mail API.
var brevo = api{
	name: "brevo", kind: channel.Email,
	values: map[string]string{"key": "xkeysib-1199", "from": "codes@mybank.example", "webhook_token": hookSecret},
	urls:   []string{"url"},
	send:   "/v3/smtp/email",
	status: 201,
	accept: `{"messageId":"<2026.%d@smtp-relay.mailin.fr>"}`,
	id:     "2026.1@smtp-relay.mailin.fr",
	refusals: map[channel.Class]answer{
		channel.Throttled:     {429, `{"code":"too_many_requests","message":"x"}`, nil},
		channel.Unreachable:   {400, `{"code":"invalid_parameter","message":"about ann@example.com"}`, nil},
		channel.Misconfigured: {401, `{"code":"unauthorized","message":"Key not found"}`, nil},
	},
	documented: []documented{
		{"key", answer{401, `{"code":"unauthorized","message":"x"}`, nil}, "misconfigured unauthorized"},
		{"parameter", answer{400, `{"code":"invalid_parameter","message":"x"}`, nil}, "unreachable invalid_parameter"},
		{"missing", answer{400, `{"code":"missing_parameter","message":"x"}`, nil}, "misconfigured missing_parameter"},
		{
			"credits", answer{402, `{"code":"not_enough_credits","message":"x"}`, nil},
			"misconfigured not_enough_credits",
		},
		{"no id", answer{201, `{}`, nil}, "unknown 201"},
	},
	hook: posting{
		body: `{"event":%q,"email":"ann@example.com","id":1,"message-id":"<2026.1@smtp-relay.mailin.fr>",` +
			`"X-Mailin-custom":"golden.1"}`,
		sign: signHeader("Authorization", "Bearer "),
		tells: []told{
			{"request", "sent unknown request"}, {"deferred", ""},
			{"hard_bounce", "failed invalid recipient hard_bounce"},
			{"delivered", "delivered unknown delivered"},
		},
		other: `{"event":"list_addition","email":"ann@example.com"}`,
	},
}
