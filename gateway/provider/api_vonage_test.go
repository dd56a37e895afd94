package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// vonage is Vonage's Messages API.
var vonage = api{
	name: "vonage",
	values: map[string]string{
		"key": "k-vonage", "secret": "s-vonage-1", "from": "Example", "callback_url": reportURL,
		"signature_secret": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/v1/messages",
	status: 202,
	accept: `{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-%d"}`,
	id:     "aaaaaaaa-bbbb-4ccc-8ddd-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:     {429, vonageError("#throttled"), nil},
		channel.Unreachable:   {422, vonageError("#invalid-params"), nil},
		channel.Misconfigured: {402, vonageError("#low-balance"), nil},
	},
	documented: []documented{
		{"throttled", answer{429, vonageError("#throttled"), nil}, "throttled " + vonageErrors + "#throttled"},
		{"balance", answer{402, vonageError("#low-balance"), nil}, "misconfigured " + vonageErrors + "#low-balance"},
		{"unauthorized", answer{401, vonageError("#unauthorized"), nil}, "misconfigured 401"},
		{"invalid params", answer{422, vonageError("#invalid-params"), nil}, "unreachable 422"},
		{
			"sender", answer{422, vonageError("/messages#1120"), nil},
			"misconfigured " + vonageErrors + "/messages#1120",
		},
		{
			"recipient", answer{422, vonageError("/messages#1170"), nil},
			"invalid recipient " + vonageErrors + "/messages#1170",
		},
		{"no id", answer{202, `{}`, nil}, "unknown 202"},
	},
	hook: posting{
		body: `{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-1","to":"447700900123","from":"Example",` +
			`"timestamp":"2026-02-03T12:14:25Z","status":%q,"client_ref":"golden.1","channel":"sms",` +
			`"error":{"type":"https://developer.vonage.com/api-errors/messages#1170","title":1170}}`,
		sign: signVonage,
		tells: []told{
			{"submitted", "sent unknown submitted 1170"}, {"rejected", "failed invalid recipient rejected 1170"},
			{"delivered", "delivered unknown delivered 1170"},
		},
		other: `{"message_uuid":"in-1","channel":"sms","text":"hello"}`,
	},
}

const vonageErrors = "https://developer.vonage.com/api-errors"

func vonageError(kind string) string {
	return `{"type":"` + vonageErrors + kind + `","title":"x","detail":"447700900123","instance":"bf0ca0bf927b"}`
}
