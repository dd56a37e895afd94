package provider_test

import (
	"net/http"

	"github.com/otpcourier/otpcourier/channel"
)

// httpsms is httpSMS.
var httpsms = api{
	name: "httpsms",
	values: map[string]string{
		"key": "hs-key-77aa", "from": numberFrom, "webhook_url": reportURL, "webhook_key": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/v1/messages/send",
	accept: `{"status":"success","message":"message added to queue","data":{"id":"32343a19-%d","status":"pending"}}`,
	id:     "32343a19-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {503, `upstream connect error`, nil},
		channel.Throttled:     {429, `Too Many Requests`, http.Header{"Retry-After": {"7"}}},
		channel.Misconfigured: {402, `{"status":"error","message":"upgrade your plan"}`, nil},
	},
	documented: []documented{
		{
			"an unknown from", answer{422, `{"status":"error","message":"validation errors while sending message",` +
				`"data":{"from":["no phone found with with 'from' number [+18005550199]. install the app"]}}`, nil},
			"misconfigured 422",
		},
		{
			"a malformed from", answer{422, `{"status":"error","data":{"from":["The from field must be one"]}}`, nil},
			"misconfigured 422",
		},
		{
			"a malformed to", answer{422, `{"status":"error","data":{"to":["The to field must be a number"]}}`, nil},
			"invalid recipient 422",
		},
		{"content", answer{422, `{"status":"error","data":{"content":["too long"]}}`, nil}, "unreachable 422"},
		{"key", answer{401, `{"status":"error","message":"You are not authorized"}`, nil}, "misconfigured 401"},
		{"limit", answer{402, `{"status":"error","message":"upgrade"}`, nil}, "misconfigured 402"},
	},
	pollPath: "/v1/messages/32343a19-1",
	pollBody: `{"status":"success","data":{"id":"32343a19-1","status":%q,"failure_reason":"RESULT_ERROR",` +
		`"contact":"+447700900123"}}`,
	polls: []told{
		{"pending", ""}, {"scheduled", ""}, {"sending", ""}, {"sent", "sent unknown sent RESULT_ERROR"},
		{"expired", "failed unknown expired RESULT_ERROR"},
	},
	hook: posting{
		body: `{"specversion":"1.0","id":"event-1","source":"/v1/messages","type":%q,` +
			`"datacontenttype":"application/json","data":{"id":"32343a19-1","request_id":"golden.1",` +
			`"owner":"+18005550199","contact":"+447700900123","content":"58203719"}}`,
		sign: signJWT(jwtNow),
		tells: []told{
			{"message.phone.sent", "sent unknown message.phone.sent"},
			{"message.phone.delivered", "delivered unknown message.phone.delivered"},
		},
		other: `{"type":"message.phone.received","data":{"message_id":"in-1","contact":"+447700900123"}}`,
	},
}
