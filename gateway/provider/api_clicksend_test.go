package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// clicksend is ClickSend's SMS API.
var clicksend = api{
	name:   "clicksend",
	values: map[string]string{"user": "u", "key": "cs-key-7719", "callback_token": hookSecret},
	urls:   []string{"url"},
	send:   "/v3/sms/send",
	accept: clicksendAnswer("SUCCESS", "BF7AD270-%d"),
	id:     "BF7AD270-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {200, clicksendAnswer("THROTTLED", "x"), nil},
		channel.Unreachable:      {200, clicksendAnswer("COUNTRY_NOT_ENABLED", "x"), nil},
		channel.InvalidRecipient: {200, clicksendAnswer("INVALID_RECIPIENT", "x"), nil},
		channel.Misconfigured:    {401, `{"http_code":401,"response_code":"UNAUTHORIZED","data":null}`, nil},
	},
	documented: []documented{
		{
			"recipient", answer{200, clicksendAnswer("INVALID_RECIPIENT", "x"), nil},
			"invalid recipient INVALID_RECIPIENT",
		},
		{"credit", answer{200, clicksendAnswer("INSUFFICIENT_CREDIT", "x"), nil}, "misconfigured INSUFFICIENT_CREDIT"},
		{"unlisted", answer{200, clicksendAnswer("SOMETHING_NEW", "x"), nil}, "unreachable SOMETHING_NEW"},
		{
			"unauthorized", answer{401, `{"http_code":401,"response_code":"UNAUTHORIZED","data":null}`, nil},
			"misconfigured UNAUTHORIZED",
		},
	},
	pollPath:   "/v3/sms/receipts/BF7AD270-1",
	pollBody:   `{"http_code":200,"response_code":"SUCCESS","data":{"status_code":%q,"error_code":"7"}}`,
	polls:      []told{{"200", ""}, {"301", "failed unknown 301 7"}},
	cancelPath: "/v3/sms/BF7AD270-1/cancel",
	cancelled:  `{"http_code":200,"response_code":"SUCCESS","data":null}`,
	tooLate:    answer{404, `{"http_code":404,"response_code":"NOT_FOUND","data":null}`, nil},
	hook: posting{
		body:  "timestamp=1415562470&message_id=BF7AD270-1&status_code=%s&error_code=&custom_string=golden.1",
		sign:  signToken,
		tells: []told{{"200", ""}, {"301", "failed unknown 301"}, {"201", "delivered unknown 201"}},
		other: "message_id=in-1&from=%2B447700900123&body=hello",
	},
}

func clicksendAnswer(status, id string) string {
	return `{"http_code":200,"response_code":"SUCCESS","data":{"queued_count":1,"messages":[{"direction":"out",` +
		`"to":"+447700900123","message_id":"` + id + `","status":"` + status + `"}]}}`
}
