package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// routee is Routee.
var routee = api{
	name:   "routee",
	values: map[string]string{"application": "app-1", "secret": "rt-secret-3c", "callback_token": hookSecret},
	urls:   []string{"url", "auth_url"},
	send:   "/sms",
	accept: `{"trackingId":"track-%d","status":"Queued","to":"+447700900123"}`,
	id:     "track-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {503, "", nil},
		channel.Throttled:     {429, "", nil},
		channel.Misconfigured: {403, `{"code":"403000000","developerMessage":"bad"}`, nil},
	},
	pollPath: "/sms/tracking/single/track-1",
	pollBody: `[{"smsId":"s-1","messageId":"track-1",` +
		`"status":{"status":%q,"reason":{"detailedStatus":"Unknown Number"}}}]`,
	polls: []told{{"Queued", ""}, {"Undelivered", "failed invalid recipient Undelivered Unknown Number"}},
	hook: posting{
		body: `{"messageId":"track-1","part":1,"parts":1,"to":"+447700900123","status":{"name":%q,` +
			`"reason":{"detailedStatus":"Delivered"}}}`,
		sign:  signToken,
		tells: []told{{"Sent", "sent unknown Sent Delivered"}, {"Delivered", "delivered unknown Delivered Delivered"}},
		other: `{"trackingId":"campaign","campaignStatus":"Finished"}`,
	},
}
