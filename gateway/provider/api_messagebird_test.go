package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// messagebird is MessageBird's SMS API.
var messagebird = api{
	name: "messagebird",
	values: map[string]string{
		"key": "mb-key-2207", "from": "Example", "callback_url": reportURL, "signing_key": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/messages",
	status: 201,
	accept: `{"id":"efa6405d%d","recipients":{"totalCount":1,"items":[{"recipient":447700900123,"status":"sent"}]}}`,
	id:     "efa6405d1",
	refusals: map[channel.Class]answer{
		channel.Unreachable:   {422, messagebirdError("9"), nil},
		channel.Misconfigured: {401, messagebirdError("2"), nil},
	},
	documented: []documented{
		{"key", answer{401, messagebirdError("2"), nil}, "misconfigured 2"},
		{"recipient", answer{422, messagebirdError("9"), nil}, "unreachable 9"},
		{"balance", answer{422, messagebirdError("25"), nil}, "misconfigured 25"},
		{"internal error", answer{500, messagebirdError("99"), nil}, "unknown 99"},
	},
	pollPath: "/messages/efa6405d1",
	pollBody: `{"id":"efa6405d1","recipients":{"items":[{"recipient":447700900123,"status":%q,"statusErrorCode":1}]}}`,
	polls:    []told{{"buffered", ""}, {"delivery_failed", "failed unknown delivery_failed 1"}},
	hook: posting{
		query: "id=efa6405d1&reference=golden.1&recipient=447700900123&status=%s&statusErrorCode=0",
		sign:  signMessageBird,
		tells: []told{
			{"sent", "sent unknown sent 0"}, {"delivery_failed", "failed unknown delivery_failed 0"},
			{"delivered", "delivered unknown delivered 0"},
		},
		other: "id=in-1&originator=447700900123&body=hello",
	},
}

func messagebirdError(code string) string {
	return `{"errors":[{"code":` + code + `,"description":"to 447700900123","parameter":"x"}]}`
}
