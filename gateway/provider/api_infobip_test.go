package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// infobip is Infobip's SMS API, version 3.
var infobip = api{
	name: "infobip",
	values: map[string]string{
		"key": "ib-key-4411", "from": "Example", "callback_url": "https://otp.example.com/hooks",
		"callback_token": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/sms/3/messages",
	accept: infobipAnswer("PENDING", "PENDING_ACCEPTED", "ib-%d"),
	id:     "ib-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {200, infobipAnswer("REJECTED", "REJECTED_SYSTEM_ERROR", "x"), nil},
		channel.Throttled:        {429, infobipError("TOO_MANY_REQUESTS"), nil},
		channel.Unreachable:      {200, infobipAnswer("REJECTED", "REJECTED_NETWORK", "x"), nil},
		channel.InvalidRecipient: {200, infobipAnswer("REJECTED", "REJECTED_DESTINATION", "x"), nil},
		channel.Misconfigured:    {401, infobipError("UNAUTHORIZED"), nil},
	},
	documented: []documented{
		{
			"credits", answer{200, infobipAnswer("REJECTED", "REJECTED_NOT_ENOUGH_CREDITS", "x"), nil},
			"misconfigured REJECTED_NOT_ENOUGH_CREDITS",
		},
		{
			"sender", answer{200, infobipAnswer("REJECTED", "REJECTED_SOURCE", "x"), nil},
			"misconfigured REJECTED_SOURCE",
		},
		{
			"destination", answer{200, infobipAnswer("REJECTED", "REJECTED_DESTINATION", "x"), nil},
			"invalid recipient REJECTED_DESTINATION",
		},
		{
			"flooding", answer{200, infobipAnswer("REJECTED", "REJECTED_FLOODING_FILTER", "x"), nil},
			"throttled REJECTED_FLOODING_FILTER",
		},
		{
			"unlisted reject", answer{200, infobipAnswer("REJECTED", "REJECTED_SOMETHING_NEW", "x"), nil},
			"unreachable REJECTED_SOMETHING_NEW",
		},
		{"unauthorized", answer{401, infobipError("UNAUTHORIZED"), nil}, "misconfigured UNAUTHORIZED"},
		{"bad request", answer{400, infobipError("BAD_REQUEST"), nil}, "unreachable BAD_REQUEST"},
		{"nothing", answer{200, `{"bulkId":"b","messages":[]}`, nil}, "unknown 200"},
	},
	pollPath: "/sms/3/reports",
	pollBody: `{"results":[{"messageId":"ib-1","status":{"groupName":%q},"error":{"name":"EC_ABSENT_SUBSCRIBER"}}]}`,
	polls: []told{
		{"PENDING", ""}, {"UNDELIVERABLE", "failed unreachable UNDELIVERABLE EC_ABSENT_SUBSCRIBER"},
	},
	hook: posting{
		body: `{"results":[{"bulkId":"b","messageId":"other","status":{"groupName":"SOON"}},` +
			`{"bulkId":"b","messageId":"ib-1","to":"447700900123","status":{"groupId":3,"groupName":%q},` +
			`"error":{"name":"EC_UNKNOWN_SUBSCRIBER"}}]}`,
		sign: signToken,
		tells: []told{
			{"PENDING", ""}, {"UNDELIVERABLE", "failed invalid recipient UNDELIVERABLE EC_UNKNOWN_SUBSCRIBER"},
			{"DELIVERED", "delivered unknown DELIVERED EC_UNKNOWN_SUBSCRIBER"},
		},
		other: `{"results":[{"messageId":"in-1","from":"447700900123","text":"hello"}]}`,
	},
}

func infobipAnswer(group, name, id string) string {
	return `{"bulkId":"b","messages":[{"messageId":"` + id + `","destination":"447700900123","status":{"groupId":1,` +
		`"groupName":"` + group + `","id":26,"name":"` + name + `","description":"to 447700900123"}}]}`
}

func infobipError(id string) string {
	return `{"requestError":{"serviceException":{"messageId":"` + id + `","text":"to 447700900123"}}}`
}
