package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// oxtroStyle is an API like that of sms-gate.app.
var oxtroStyle = api{
	name: "oxtro-style", file: "oxtro-style",
	values: map[string]string{
		"user": "ox", "password": "ox-pass-2", "device": "pixel", "sim": "2", "active_within": "1 &2",
		"signing_key": "new", "old_signing_key": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/message",
	status: 202,
	accept: `{"id":"m-%d","state":"Pending"}`,
	id:     "m-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {503, "busy", nil},
		channel.Unreachable:      {400, `{"code":"no_sim"}`, nil},
		channel.InvalidRecipient: {400, `{"code":"bad_number"}`, nil},
		channel.Misconfigured:    {403, "", nil},
	},
	pollPath: "/message/m-1",
	pollBody: `{"id":"m-1","state":%q,"reason":"no_sim"}`,
	polls:    []told{{"Pending", ""}, {"Failed", "failed unreachable Failed no_sim"}},
	hook: posting{
		body: `{"event":%q,"payload":{"messageId":"m-1","reason":"no_sim"}}`,
		sign: signHMACTime,
		tells: []told{
			{"sms:sent", "sent unknown sms:sent no_sim"}, {"sms:delivered", "delivered unknown sms:delivered no_sim"},
		},
		other: `{"event":"system:ping","payload":{}}`,
	},
}
