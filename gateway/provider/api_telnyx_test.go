package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// telnyx is Telnyx's messages.
var telnyx = api{
	name: "telnyx",
	values: map[string]string{
		"key": "KEY017-telnyx", "from": "+14155550100", "callback_url": reportURL, "public_key": ed25519Public(),
	},
	urls: []string{"url"},
	send: "/v2/messages",
	accept: `{"data":{"record_type":"message","id":"b0c7e8cb-%d","type":"SMS",` +
		`"to":[{"phone_number":"+447700900123","status":"queued"}],"errors":[]}}`,
	id: "b0c7e8cb-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {429, telnyxError("10011"), nil},
		channel.Unreachable:      {400, telnyxError("40300"), nil},
		channel.InvalidRecipient: {400, telnyxError("40310"), nil},
		channel.Misconfigured:    {401, telnyxError("10009"), nil},
	},
	documented: []documented{
		{"invalid to", answer{400, telnyxError("40310"), nil}, "invalid recipient 40310"},
		{"key", answer{401, telnyxError("10009"), nil}, "misconfigured 10009"},
		{"stopped", answer{400, telnyxError("40300"), nil}, "unreachable 40300"},
		{"sender", answer{400, telnyxError("40305"), nil}, "misconfigured 40305"},
		{"rate", answer{429, telnyxError("10011"), nil}, "throttled 10011"},
		{"other", answer{422, telnyxError("10033"), nil}, "unreachable 10033"},
	},
	pollPath: "/v2/messages/b0c7e8cb-1",
	pollBody: `{"data":{"id":"b0c7e8cb-1","to":[{"status":%q}],"errors":[{"code":"40008"}]}}`,
	polls: []told{
		{"queued", ""}, {"sent", "sent unknown sent 40008"},
		{"delivery_failed", "failed unreachable delivery_failed 40008"},
	},
	hook: posting{
		body: `{"data":{"event_type":"message.finalized","id":"83d9a453","payload":{"id":"b0c7e8cb-1",` +
			`"to":[{"phone_number":"+447700900123","status":%q}],"errors":[{"code":"40001"}]},"record_type":"event"},` +
			`"meta":{"attempt":1}}`,
		sign: signTelnyx,
		tells: []told{
			{"sent", "sent unknown sent 40001"}, {"delivery_failed", "failed invalid recipient delivery_failed 40001"},
			{"delivered", "delivered unknown delivered 40001"},
		},
		other: `{"data":{"event_type":"message.received","payload":{"id":"in-1","text":"hello"}}}`,
	},
}

func telnyxError(code string) string {
	return `{"errors":[{"code":"` + code + `","title":"x","detail":"to +447700900123"}]}`
}
