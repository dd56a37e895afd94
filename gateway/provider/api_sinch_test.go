package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// sinch is Sinch's SMS REST API.
var sinch = api{
	name: "sinch",
	values: map[string]string{
		"plan": "plan-1", "token": "sinch-token-81", "from": "Example", "callback_url": reportURL,
		"callback_basic": "otp:" + hookSecret,
	},
	urls:   []string{"url"},
	send:   "/xms/v1/plan-1/batches",
	status: 201,
	accept: `{"id":"01FC66%d","to":["447700900123"],"from":"Example","canceled":false,"body":"x","type":"mt_text"}`,
	id:     "01FC661",
	refusals: map[channel.Class]answer{
		channel.Throttled:     {429, `{"code":"too_many_requests","text":"x"}`, nil},
		channel.Unreachable:   {400, `{"code":"syntax_invalid_parameter_format","text":"to: 447700900123"}`, nil},
		channel.Misconfigured: {403, `{"code":"forbidden","text":"x"}`, nil},
	},
	documented: []documented{
		{
			"format", answer{400, `{"code":"syntax_invalid_parameter_format","text":"x"}`, nil},
			"unreachable syntax_invalid_parameter_format",
		},
		{"unauthorized", answer{401, ``, nil}, "misconfigured 401"},
		{"forbidden", answer{403, `{"code":"forbidden","text":"x"}`, nil}, "misconfigured forbidden"},
		{"internal error", answer{500, `{"code":"internal_error","text":"x"}`, nil}, "unknown internal_error"},
	},
	pollPath: "/xms/v1/plan-1/batches/01FC661/delivery_report",
	pollBody: `{"type":"delivery_report_sms","batch_id":"01FC661","statuses":[{"code":402,"status":%q,"count":1}]}`,
	polls: []told{
		{"Queued", ""}, {"Dispatched", "sent unknown Dispatched 402"}, {"Failed", "failed unreachable Failed 402"},
	},
	cancelPath: "/xms/v1/plan-1/batches/01FC661",
	cancelled:  `{"id":"01FC661","canceled":true}`,
	tooLate:    answer{200, `{"id":"01FC661","canceled":false}`, nil},
	hook: posting{
		body: `{"type":"recipient_delivery_report_sms","batch_id":"01FC661","recipient":"447700900123","code":402,` +
			`"status":%q,"at":"2026-08-30T08:16:08.930Z","client_reference":"golden.1"}`,
		sign: signBasic,
		tells: []told{
			{"Dispatched", "sent unknown Dispatched 402"}, {"Failed", "failed unreachable Failed 402"},
			{"Delivered", "delivered unknown Delivered 402"},
		},
		other: `{"type":"mo_text","id":"in-1","from":"447700900123","body":"hello"}`,
	},
}
