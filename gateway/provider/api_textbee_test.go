package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// textbee is TextBee.
var textbee = api{
	name:   "textbee",
	values: map[string]string{"device": "65f1c0ffee", "key": "tb-key-4be1", "sim": "3", "webhook_secret": hookSecret},
	urls:   []string{"url"},
	send:   "/api/v1/gateway/devices/65f1c0ffee/send-sms",
	status: 201,
	accept: `{"data":{"success":true,"message":"SMS added to queue for processing","smsBatchId":"batch-%d",` +
		`"recipientCount":1}}`,
	id: "batch-1",
	refusals: map[channel.Class]answer{
		channel.Temporary:     {400, `{"success":false,"error":"Failed to create SMS batch"}`, nil},
		channel.Throttled:     {429, `{"message":"daily limit reached","hasReachedLimit":true,"dailyLimit":50}`, nil},
		channel.Misconfigured: {400, `{"success":false,"error":"Device does not exist or is not enabled"}`, nil},
	},
	pollPath: "/api/v1/gateway/devices/65f1c0ffee/sms-batch/batch-1",
	pollBody: `{"data":{"batch":{"status":"completed"},` +
		`"messages":[{"_id":"sms-1","status":%q,"recipient":"+447700900123"}]}}`,
	polls: []told{
		{"pending", ""}, {"dispatched", ""}, {"sent", "sent unknown sent"},
		{"delivered", "delivered unknown delivered"},
	},
	hook: posting{
		body: `{"smsId":"sms-1","smsBatchId":"batch-1","message":"58203719 is your Example code.",` +
			`"deviceId":"65f1c0ffee","webhookEvent":"MESSAGE_SENT","idempotencyKey":"7f","status":%q,` +
			`"recipient":"+447700900123","errorCode":"GENERIC_FAILURE"}`,
		sign: signHMAC("X-Signature", ""),
		tells: []told{
			{"sent", "sent unknown sent GENERIC_FAILURE"}, {"failed", "failed unknown failed GENERIC_FAILURE"},
		},
		other: `{"smsId":"sms-9","message":"hello","sender":"+447700900123","webhookEvent":"MESSAGE_RECEIVED"}`,
	},
}
