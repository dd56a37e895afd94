package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// msg91 is MSG91's flow API.
var msg91 = api{
	name:   "msg91",
	values: map[string]string{"key": "m91-key-3377", "template": "665f", "callback_secret": hookSecret},
	urls:   []string{"url"},
	send:   "/api/v5/flow",
	accept: `{"type":"success","message":"3763646c%d"}`,
	id:     "3763646c1",
	refusals: map[channel.Class]answer{
		channel.Unreachable:   {200, `{"type":"error","message":"no"}`, nil},
		channel.Misconfigured: {401, `{"status":"fail","hasError":true,"errors":"Unauthorized","code":"201"}`, nil},
	},
	documented: []documented{
		{
			"error in 200", answer{200, `{"type":"error","message":"template id missing"}`, nil},
			"misconfigured template id missing",
		},
		{
			"auth", answer{401, `{"status":"fail","hasError":true,"errors":"Unauthorized","code":"201"}`, nil},
			"misconfigured 201",
		},
		{
			"unlisted", answer{200, `{"type":"error","message":"mobile 447700900123 is blocked"}`, nil},
			"unreachable 200",
		},
		{"nothing", answer{200, ``, nil}, "unknown 200"},
	},
	hook: posting{
		body: `{"date":"2026-05-22 09:58:16","number":"447700900123","requestId":"3763646c1","CRQID":"golden.1",` +
			`"status":%q,"desc":"DELIVERED"}`,
		sign: signHeader("X-Hook-Secret", ""),
		tells: []told{
			{"8", "sent unknown 8 DELIVERED"},
			{"2", "failed unknown 2 DELIVERED"},
			{"1", "delivered unknown 1 DELIVERED"},
		},
		other: `{"requestId":"in-1","message":"hello"}`,
	},
}
