package provider_test

import (
	"strings"
	"testing"

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
			`"deviceId":"65f1c0ffee","webhookEvent":%q,"idempotencyKey":"7f","status":"dispatched",` +
			`"recipient":"+447700900123","errorCode":"GENERIC_FAILURE"}`,
		sign: signHMAC("X-Signature", ""),
		tells: []told{
			{"MESSAGE_SENT", "sent unknown MESSAGE_SENT GENERIC_FAILURE"}, {"UNKNOWN_STATE", ""},
			{"MESSAGE_FAILED", "failed unknown MESSAGE_FAILED GENERIC_FAILURE"},
		},
		other: `{"smsId":"sms-9","message":"hello","sender":"+447700900123","webhookEvent":"MESSAGE_RECEIVED"}`,
	},
}

// A TextBee server without a queue answers with Firebase's result and no batch ID, so
// that no state of a message will be known. The channel says so with the first
// message, not when the code has expired.
func TestTextBeeWithoutBatch(t *testing.T) {
	t.Parallel()
	unqueued := textbee
	unqueued.accept = `{"data":{"responses":[{"success":true,"messageId":"projects/x/messages/0:%d"}],` +
		`"successCount":1,"failureCount":0}}`
	inBubble(t, unqueued, nil, func(t *testing.T, b *bubble) {
		for range 2 {
			s, err := b.channel.Send(t.Context(), golden())
			if err != nil || s.State != channel.Sent || s.ProviderIDs != nil {
				t.Errorf("Send: %+v, %v", s, err)
			}
		}
		if n := strings.Count(b.log.String(), "no state of its messages will be known"); n != 1 {
			t.Errorf("%d warnings, want 1: %s", n, b.log)
		}
	})
}
