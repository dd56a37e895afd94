package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// termii is Termii's SMS API.
var termii = api{
	name:   "termii",
	values: map[string]string{"key": "tl-key-9034", "from": "Example", "secret": hookSecret},
	urls:   []string{"url"},
	send:   "/api/sms/send",
	accept: `{"code":"ok","message_id":912282127055487657%d,"message":"Successfully Sent","balance":9,"user":"Peter"}`,
	id:     "9122821270554876571",
	refusals: map[channel.Class]answer{
		channel.Unreachable:   {400, `{"code":400,"message":"to 447700900123"}`, nil},
		channel.Misconfigured: {401, `{"code":401,"message":"Invalid api key"}`, nil},
	},
	documented: []documented{
		{"key", answer{401, `{"code":401,"message":"Invalid api key"}`, nil}, "misconfigured Invalid api key"},
		{
			"balance", answer{400, `{"code":400,"message":"Insufficient balance"}`, nil},
			"misconfigured Insufficient balance",
		},
		{"error in 200", answer{200, `{"code":"error","message":"x"}`, nil}, "unreachable x"},
	},
	hook: posting{
		body: `{"type":"outbound","id":"e1","message_id":"9122821270554876571","receiver":"447700900123",` +
			`"message":"58203719","status":%q,"channel":"dnd"}`,
		sign: signTermii,
		tells: []told{
			{"Message Sent", "sent unknown Message Sent"}, {"Message Failed", "failed unknown Message Failed"},
			{"DELIVERED", "delivered unknown DELIVERED"},
		},
		other: `{"type":"inbound","id":"in-1","message":"hello"}`,
	},
}
