package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// telegramGateway is Telegram's gateway for verification codes.
var telegramGateway = api{
	name:   "telegram-gateway",
	values: map[string]string{"token": hookSecret, "callback_url": reportURL},
	urls:   []string{"url"},
	send:   "/sendVerificationMessage",
	accept: `{"ok":true,"result":{"request_id":"123456789%d","phone_number":"+447700900123","request_cost":0.01,` +
		`"delivery_status":{"status":"sent","updated_at":1733000000}}}`,
	id: "1234567891",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {200, `{"ok":false,"error":"FLOOD_WAIT_5"}`, nil},
		channel.Unreachable:      {200, `{"ok":false,"error":"PHONE_NUMBER_NOT_AVAILABLE"}`, nil},
		channel.InvalidRecipient: {200, `{"ok":false,"error":"PHONE_NUMBER_INVALID"}`, nil},
		channel.Misconfigured:    {200, `{"ok":false,"error":"ACCESS_TOKEN_INVALID"}`, nil},
	},
	documented: []documented{
		{
			"token", answer{200, `{"ok":false,"error":"ACCESS_TOKEN_INVALID"}`, nil},
			"misconfigured ACCESS_TOKEN_INVALID",
		},
		{"balance", answer{200, `{"ok":false,"error":"BALANCE_NOT_ENOUGH"}`, nil}, "misconfigured BALANCE_NOT_ENOUGH"},
		{
			"number", answer{200, `{"ok":false,"error":"PHONE_NUMBER_INVALID"}`, nil},
			"invalid recipient PHONE_NUMBER_INVALID",
		},
		{
			"no Telegram", answer{200, `{"ok":false,"error":"PHONE_NUMBER_NOT_FOUND"}`, nil},
			"unreachable PHONE_NUMBER_NOT_FOUND",
		},
		{"flood", answer{200, `{"ok":false,"error":"FLOOD_WAIT_5"}`, nil}, "throttled FLOOD_WAIT_5"},
		{"unlisted", answer{200, `{"ok":false,"error":"SOMETHING_NEW"}`, nil}, "unreachable SOMETHING_NEW"},
	},
	pollPath:   "/checkVerificationStatus",
	pollBody:   `{"ok":true,"result":{"request_id":"1234567891","delivery_status":{"status":%q}}}`,
	polls:      []told{{"sent", "sent unknown sent"}, {"expired", "failed unknown expired"}},
	cancelPath: "/revokeVerificationMessage",
	cancelled:  `{"ok":true,"result":true}`,
	tooLate:    answer{200, `{"ok":false,"error":"MESSAGE_ALREADY_READ"}`, nil},
	hook: posting{
		body: `{"request_id":"1234567891","phone_number":"+447700900123","delivery_status":{"status":%q},` +
			`"payload":"golden.1"}`,
		sign: signTelegram,
		tells: []told{
			{"sent", "sent unknown sent"}, {"expired", "failed unknown expired"}, {"read", "delivered unknown read"},
		},
		other: `{"request_id":"1234567899","verification_status":{"status":"code_valid"}}`,
	},
}
