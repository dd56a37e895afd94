package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// kannel is Kannel 1.4.5 (User's Guide, "Using the HTTP interface to send SMS messages"
// and "Delivery reports").
var kannel = api{
	name: "kannel",
	values: map[string]string{
		"user": "bank", "password": "kannel-pa55", "callback_url": "https://otp.example.com/hooks/kannel",
		"callback_token": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/cgi-bin/sendsms",
	status: 202,
	accept: "0: Accepted for delivery",
	id:     "golden.1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {503, "Temporal failure, try again later.", nil},
		channel.Unreachable:   {400, "Sender missing and no global set, rejected", nil},
		channel.Misconfigured: {403, "Authorization failed for sendsms", nil},
	},
	documented: []documented{
		{"queued", answer{202, `3: Queued for later delivery`, nil}, "[golden.1]"},
		{"auth", answer{403, `Authorization failed for sendsms`, nil}, "misconfigured 403"},
		{"temporary", answer{503, `Temporal failure, try again later.`, nil}, "temporary 503"},
		{"no receiver", answer{400, `Missing receiver number, rejected`, nil}, "unreachable 400"},
		{"a proxy", answer{200, `<html>`, nil}, "unknown 200"},
	},
	hook: posting{
		query: "id=golden.1&status=%s&code=ACK%%2F",
		sign:  signToken,
		tells: []told{{"8", "sent unknown 8"}, {"1", "delivered unknown 1"}},
		other: "id=golden.1&status=4&code=",
	},
}
