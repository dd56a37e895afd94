package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// snsStyle is an API like that of Amazon SNS.
var snsStyle = api{
	name: "sns-style", file: "sns-style",
	values: map[string]string{"sender_id": "BANK"},
	urls:   []string{"url"},
	send:   "/",
	accept: `{"PublishResponse":{"PublishResult":{"MessageId":"567910cd-%d"}}}`,
	id:     "567910cd-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {400, `{"Error":{"Code":"Throttling"}}`, nil},
		channel.Unreachable:      {400, `{"Error":{"Code":"OptedOut"}}`, nil},
		channel.InvalidRecipient: {400, `{"Error":{"Code":"InvalidParameter"}}`, nil},
		channel.Misconfigured:    {403, `{"Error":{"Code":"InvalidClientTokenId"}}`, nil},
	},
}
