package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// labsmobile is LabsMobile.
var labsmobile = api{
	name: "labsmobile",
	values: map[string]string{
		"user": "ann@example.com", "token": "lm-token-55", "callback_url": reportURL + "&token=" + hookSecret,
		"callback_token": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/json/send",
	accept: `{"code":"0","message":"Message has been successfully sent","subid":"56fb%d"}`,
	id:     "56fb1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {503, "", nil},
		channel.InvalidRecipient: {200, `{"code":"23","message":"There are no recipients"}`, nil},
		channel.Misconfigured: {
			200, `{"code":"35","message":"The account has no enough credit for this sending"}`, nil,
		},
	},
	documented: []documented{
		{"credit", answer{200, `{"code":"35","message":"x"}`, nil}, "misconfigured 35"},
		{"recipient", answer{200, `{"code":"23","message":"x"}`, nil}, "invalid recipient 23"},
		{"an error while sending", answer{200, `{"code":"30","message":"x"}`, nil}, "unknown 30"},
		{"unlisted", answer{200, `{"code":"99","message":"x"}`, nil}, "unreachable 99"},
		{"no id", answer{200, `{"code":"0","message":"x"}`, nil}, "unknown 200"},
	},
	hook: posting{
		query: "subid=56fb1&msisdn=447700900123&status=ok&acklevel=%s",
		sign:  signToken,
		tells: []told{{"operator", "sent unknown operator+ok"}, {"handset", "delivered unknown handset+ok"}},
		other: "subid=56fb1&acklevel=moon&status=ok",
	},
}
