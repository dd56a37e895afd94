package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// whatsapp is WhatsApp's templates.
var whatsapp = api{
	name: "whatsapp",
	values: map[string]string{
		"phone_number_id": "10612", "token": "wa-token-e0", "template": "login_code", "app_secret": hookSecret,
		"verify_token": "verify-88",
	},
	urls: []string{"url"},
	send: "/10612/messages",
	accept: `{"messaging_product":"whatsapp","contacts":[{"input":"447700900123","wa_id":"447700900123"}],` +
		`"messages":[{"id":"wamid.%d=="}]}`,
	id: "wamid.1==",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {500, `{"error":{"message":"x","code":131016}}`, nil},
		channel.Throttled:        {400, `{"error":{"message":"x","code":131056}}`, nil},
		channel.Unreachable:      {400, `{"error":{"message":"x","code":131026}}`, nil},
		channel.InvalidRecipient: {400, `{"error":{"message":"x","code":131021}}`, nil},
		channel.Misconfigured:    {401, `{"error":{"message":"x","code":190}}`, nil},
	},
	documented: []documented{
		{"token", answer{401, `{"error":{"message":"x","code":190}}`, nil}, "misconfigured 190"},
		{"no WhatsApp", answer{400, `{"error":{"message":"x","code":131026}}`, nil}, "unreachable 131026"},
		{"experiment", answer{400, `{"error":{"message":"x","code":130472}}`, nil}, "unreachable 130472"},
		{"pair rate", answer{400, `{"error":{"message":"x","code":131056}}`, nil}, "throttled 131056"},
		{"template", answer{404, `{"error":{"message":"x","code":132001}}`, nil}, "misconfigured 132001"},
		{"payment", answer{400, `{"error":{"message":"x","code":131042}}`, nil}, "misconfigured 131042"},
		{"no id", answer{200, `{"messages":[]}`, nil}, "unknown 200"},
	},
	hook: posting{
		body: `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages",` +
			`"value":{"statuses":[` +
			`{"id":"wamid.other","status":"surprised","recipient_id":"447700900123"},` +
			`{"id":"wamid.1==","status":%q,"recipient_id":"447700900123","errors":[{"code":131026}]}]}}]}]}`,
		sign: signHMAC("X-Hub-Signature-256", "sha256="),
		tells: []told{
			{"sent", "sent unknown sent 131026"}, {"failed", "failed unreachable failed 131026"},
			{"read", "delivered unknown read 131026"},
		},
		other: `{"object":"whatsapp_business_account",` +
			`"entry":[{"changes":[{"value":{"messages":[{"id":"wamid.in"}]}}]}]}`,
	},
}
