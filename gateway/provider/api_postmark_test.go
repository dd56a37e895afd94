package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// postmark is Postmark's mail API.
var postmark = api{
	name: "postmark", kind: channel.Email,
	values: map[string]string{
		"token": "pm-token-3310", "from": "codes@mybank.example", "webhook_basic": "otp:" + hookSecret,
	},
	urls:   []string{"url"},
	send:   "/email",
	accept: `{"To":"ann@example.com","MessageID":"0a129aee-%d","ErrorCode":0,"Message":"OK"}`,
	id:     "0a129aee-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:     {429, `{"ErrorCode":429,"Message":"x"}`, nil},
		channel.Unreachable:   {422, `{"ErrorCode":406,"Message":"ann@example.com is inactive"}`, nil},
		channel.Misconfigured: {422, `{"ErrorCode":400,"Message":"Sender signature not found"}`, nil},
	},
	documented: []documented{
		{"token", answer{401, `{"ErrorCode":10,"Message":"x"}`, nil}, "misconfigured 10"},
		{
			"invalid", answer{422, `{"ErrorCode":300,"Message":"Invalid 'To' address: ann@example.com"}`, nil},
			"unreachable 300",
		},
		{"sender", answer{422, `{"ErrorCode":400,"Message":"x"}`, nil}, "misconfigured 400"},
		{"credits", answer{422, `{"ErrorCode":405,"Message":"x"}`, nil}, "misconfigured 405"},
		{"inactive", answer{422, `{"ErrorCode":406,"Message":"x"}`, nil}, "unreachable 406"},
		{"error in 200", answer{200, `{"ErrorCode":406,"Message":"x"}`, nil}, "unreachable 406"},
	},
	pollPath: "/messages/outbound/0a129aee-1/details",
	pollBody: `{"MessageID":"0a129aee-1","Status":"Sent","MessageEvents":[{"Type":"Opened"},{"Type":%q}]}`,
	polls:    []told{{"Transient", "sent unknown Sent"}, {"Delivered", "delivered unknown Sent+Delivered"}},
	hook: posting{
		body: `{"RecordType":%q,"MessageID":"0a129aee-1","Type":"HardBounce","Recipient":"ann@example.com",` +
			`"Metadata":{"otp_message":"golden.1"}}`,
		sign: signBasic,
		tells: []told{
			{"Open", ""}, {"Bounce", "failed invalid recipient Bounce HardBounce"},
			{"Delivery", "delivered unknown Delivery HardBounce"},
		},
		other: `{"RecordType":"SubscriptionChange","MessageID":"x"}`,
	},
}
