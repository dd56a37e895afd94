package provider_test

import (
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
)

// twilio is Twilio's messages.
var twilio = api{
	name: "twilio",
	values: map[string]string{
		"account": "ACc0ffee", "password": hookSecret, "messaging_service": "MG1", "callback_url": reportURL,
	},
	urls:   []string{"url"},
	send:   "/2010-04-01/Accounts/ACc0ffee/Messages.json",
	status: 201,
	accept: `{"sid":"SM%d","status":"queued","error_code":null,"to":"+447700900123"}`,
	id:     "SM1",
	refusals: map[channel.Class]answer{
		channel.Temporary:   {503, `{"code":20503,"message":"unavailable","status":503}`, nil},
		channel.Throttled:   {429, `{"code":20429,"message":"Too Many Requests","status":429}`, nil},
		channel.Unreachable: {400, `{"code":21612,"message":"cannot route to +447700900123","status":400}`, nil},
		channel.InvalidRecipient: {
			400, `{"code":21211,"message":"'To' number +447700900123 is not valid","status":400}`, nil,
		},
		channel.Misconfigured: {401, `{"code":20003,"message":"Authenticate","status":401}`, nil},
	},
	documented: []documented{
		{"auth", answer{401, twilioError(20003), nil}, "misconfigured 20003"},
		{"rate", answer{429, twilioError(20429), nil}, "throttled 20429"},
		{"not a number", answer{400, twilioError(21211), nil}, "invalid recipient 21211"},
		{"country", answer{400, twilioError(21408), nil}, "unreachable 21408"},
		{"stopped", answer{400, twilioError(21610), nil}, "unreachable 21610"},
		{"queue", answer{429, twilioError(21611), nil}, "throttled 21611"},
		{"landline", answer{400, twilioError(21614), nil}, "invalid recipient 21614"},
		{"From of another account", answer{400, twilioError(21660), nil}, "misconfigured 21660"},
		{"a service without numbers", answer{400, twilioError(21703), nil}, "misconfigured 21703"},
		{"a service without senders", answer{400, twilioError(21704), nil}, "misconfigured 21704"},
		{"A2P rate", answer{400, twilioError(30022), nil}, "throttled 30022"},
		{"sender is not provisioned", answer{400, twilioError(30024), nil}, "misconfigured 30024"},
		{"toll-free is not verified", answer{400, twilioError(30032), nil}, "misconfigured 30032"},
		{"A2P is not registered", answer{400, twilioError(30034), nil}, "misconfigured 30034"},
		{"unlisted", answer{400, twilioError(21999), nil}, "unreachable 21999"},
		{"no sid", answer{201, `{}`, nil}, "unknown 201"},
	},
	pollPath: "/2010-04-01/Accounts/ACc0ffee/Messages/SM1.json",
	pollBody: `{"sid":"SM1","status":%q,"error_code":30005}`,
	polls:    []told{{"queued", ""}, {"sending", ""}, {"undelivered", "failed invalid recipient undelivered 30005"}},
	hook: posting{
		body: "MessageSid=SM1&MessageStatus=%s&To=%%2B447700900123&ErrorCode=30003&AccountSid=ACc0ffee",
		sign: signTwilio,
		tells: []told{
			{"sent", "sent unknown sent 30003"}, {"undelivered", "failed unreachable undelivered 30003"},
			{"delivered", "delivered unknown delivered 30003"},
		},
		other: "MessageSid=SM9&SmsStatus=received&Body=hello",
	},
}

func twilioError(code int) string {
	return fmt.Sprintf(`{"code":%d,"message":"about +447700900123","status":400}`, code)
}

// twilioVoice is Twilio's calls.
var twilioVoice = api{
	name: "twilio-voice",
	values: map[string]string{
		"account": "ACc0ffee", "password": hookSecret, "from": numberFrom, "callback_url": reportURL,
	},
	urls:   []string{"url"},
	send:   "/2010-04-01/Accounts/ACc0ffee/Calls.json",
	status: 201,
	accept: `{"sid":"CA%d","status":"queued"}`,
	id:     "CA1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {429, `{"code":20429,"status":429}`, nil},
		channel.Unreachable:      {400, `{"code":21215,"status":400}`, nil},
		channel.InvalidRecipient: {400, `{"code":21211,"status":400}`, nil},
		channel.Misconfigured:    {400, `{"code":21210,"status":400}`, nil},
	},
	pollPath: "/2010-04-01/Accounts/ACc0ffee/Calls/CA1.json",
	pollBody: `{"sid":"CA1","status":%q}`,
	polls: []told{
		{"ringing", ""}, {"in-progress", "sent unknown in-progress"}, {"completed", "delivered unknown completed"},
	},
	hook: posting{
		body:  "CallSid=CA1&CallStatus=%s&To=%%2B447700900123",
		sign:  signTwilio,
		tells: []told{{"busy", "failed unreachable busy"}},
		other: "CallSid=CA1&CallStatus=surprised",
	},
}
