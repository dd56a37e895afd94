package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// plivo is Plivo's messages.
var plivo = api{
	name: "plivo",
	values: map[string]string{
		"auth_id": "MAXX", "auth_token": hookSecret, "from": "14155550100", "callback_url": reportURL,
	},
	urls:   []string{"url"},
	send:   "/v1/Account/MAXX/Message/",
	status: 202,
	accept: `{"message":"message(s) queued","message_uuid":["db3ce55a-%d"],"api_id":"db342550"}`,
	id:     "db3ce55a-1",
	refusals: map[channel.Class]answer{
		channel.Unreachable:      {400, `{"api_id":"x","error":"447700900123 is not a valid phone number."}`, nil},
		channel.InvalidRecipient: {202, plivoInvalid, nil},
		channel.Misconfigured:    {402, `{"api_id":"x","error":"insufficient credit"}`, nil},
	},
	documented: []documented{
		{"invalid number in 202", answer{202, plivoInvalid, nil}, "invalid recipient message(s) queued"},
		{
			"bad", answer{400, `{"api_id":"x","error":"447700900123 is not a valid phone number."}`, nil},
			"unreachable 400",
		},
		{"auth", answer{401, `Could not verify your access level for that URL.`, nil}, "misconfigured 401"},
		{"balance", answer{402, `{"api_id":"x","error":"insufficient credit"}`, nil}, "misconfigured 402"},
		{"nothing", answer{202, `{}`, nil}, "unknown 202"},
	},
	pollPath: "/v1/Account/MAXX/Message/db3ce55a-1/",
	pollBody: `{"message_uuid":"db3ce55a-1","message_state":%q,"error_code":"30"}`,
	polls: []told{
		{"queued", ""},
		{"sent", "sent unknown sent 30"},
		{"undelivered", "failed unreachable undelivered 30"},
	},
	hook: posting{
		body: "MessageUUID=db3ce55a-1&Status=%s&From=14155550100&To=447700900123&ErrorCode=40&Units=1",
		sign: signPlivo,
		tells: []told{
			{"sent", "sent unknown sent 40"}, {"undelivered", "failed invalid recipient undelivered 40"},
			{"delivered", "delivered unknown delivered 40"},
		},
		other: "MessageUUID=in-1&From=447700900123&Text=hello",
	},
}

const plivoInvalid = `{"message":"message(s) queued","invalid_number":["447700900123"],"api_id":"x"}`
