package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// vonageSMS is Vonage's SMS API.
var vonageSMS = api{
	name: "vonage-sms",
	values: map[string]string{
		"key": "k-vonage", "secret": "s-vonage-1", "from": "Example", "callback_url": "https://otp.example.com/hooks",
		"callback_token": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/sms/json",
	accept: `{"message-count":"1","messages":[{"to":"447700900123","message-id":"0A%d","status":"0"}]}`,
	id:     "0A1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {200, vonageSMSStatus("1"), nil},
		channel.Unreachable:      {200, vonageSMSStatus("6"), nil},
		channel.InvalidRecipient: {200, vonageSMSStatus("3"), nil},
		channel.Misconfigured:    {200, vonageSMSStatus("4"), nil},
	},
	documented: []documented{
		{
			"two parts", answer{200, `{"message-count":"2","messages":[{"message-id":"P1","status":"0"},` +
				`{"message-id":"P2","status":"0"}]}`, nil}, "[P1 P2]",
		},
		{
			"second part refused", answer{200, `{"message-count":"2","messages":[{"message-id":"P1","status":"0"},` +
				`{"status":"9","error-text":"Partner quota violation"}]}`, nil}, "unknown 9",
		},
		{"throttled", answer{200, vonageSMSStatus("1"), nil}, "throttled 1"},
		{"credentials", answer{200, vonageSMSStatus("4"), nil}, "misconfigured 4"},
		{"internal error", answer{200, vonageSMSStatus("5"), nil}, "unknown 5"},
		{"quota", answer{200, vonageSMSStatus("9"), nil}, "misconfigured 9"},
		{"sender", answer{200, vonageSMSStatus("15"), nil}, "misconfigured 15"},
		{"bad to", answer{200, vonageSMSStatus("3"), nil}, "invalid recipient 3"},
		{"unlisted", answer{200, vonageSMSStatus("99"), nil}, "unknown 99"},
	},
	hook: posting{
		query: "msisdn=447700900123&to=Example&messageId=0A1&status=%s&err-code=0&client-ref=golden.1",
		sign:  signToken,
		tells: []told{
			{"buffered", ""}, {"failed", "failed unknown failed"}, {"delivered", "delivered unknown delivered"},
		},
		other: "msisdn=447700900123&to=Example&messageId=in-1&text=hello",
	},
}

func vonageSMSStatus(status string) string {
	return `{"message-count":"1","messages":[{"status":"` + status + `","error-text":"to 447700900123"}]}`
}
