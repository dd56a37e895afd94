package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// bird is Bird's channels API.
var bird = api{
	name: "bird",
	values: map[string]string{
		"key": "bird-key-6602", "workspace": "w-1", "channel": "c-1", "callback_url": reportURL,
		"signing_key": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/workspaces/w-1/channels/c-1/messages",
	status: 202,
	accept: `{"id":"1d7e9a0%d","channelId":"c-1","status":"accepted","reason":"","direction":"outgoing"}`,
	id:     "1d7e9a01",
	refusals: map[channel.Class]answer{
		channel.Throttled:     {429, `{"code":"RateLimitExceeded","message":"x"}`, nil},
		channel.Unreachable:   {422, `{"code":"InvalidPayload","message":"to +447700900123"}`, nil},
		channel.Misconfigured: {401, `{"code":"Unauthorized","message":"x"}`, nil},
	},
	documented: []documented{
		{
			"payload", answer{422, `{"code":"InvalidPayload","message":"x","details":{}}`, nil},
			"unreachable InvalidPayload",
		},
		{"forbidden", answer{403, `{"code":"Forbidden","message":"x"}`, nil}, "misconfigured Forbidden"},
		{
			"balance", answer{422, `{"code":"InsufficientBalance","message":"x"}`, nil},
			"misconfigured InsufficientBalance",
		},
	},
	pollPath: "/workspaces/w-1/channels/c-1/messages/1d7e9a01",
	pollBody: `{"id":"1d7e9a01","status":%q,"failure":{"code":3}}`,
	polls: []told{
		{"accepted", ""},
		{"sent", "sent unknown sent 3"},
		{"delivery_failed", "failed unknown delivery_failed 3"},
	},
	hook: posting{
		body: `{"service":"channels","event":"sms.outbound","payload":{"id":"1d7e9a01","channelId":"c-1","status":%q,` +
			`"reference":"golden.1"}}`,
		sign:  signBird,
		tells: []told{{"sent", "sent unknown sent"}, {"delivered", "delivered unknown delivered"}},
		other: `{"service":"channels","event":"sms.inbound","payload":{"id":"in-1"}}`,
	},
}
