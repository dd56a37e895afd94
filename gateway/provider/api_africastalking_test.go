package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// africasTalking is Africa's Talking's SMS API.
var africasTalking = api{
	name:   "africastalking",
	values: map[string]string{"username": "u", "key": "at-key-5512", "callback_token": hookSecret},
	urls:   []string{"url"},
	send:   "/version1/messaging",
	status: 201,
	accept: `{"SMSMessageData":{"Message":"Sent to 1/1","Recipients":[{"statusCode":101,"number":"+447700900123",` +
		`"status":"Success","cost":"KES 0.8000","messageId":"ATPid_%d"}]}}`,
	id: "ATPid_1",
	refusals: map[channel.Class]answer{
		channel.Temporary:        {201, africasTalkingResult("500"), nil},
		channel.Unreachable:      {201, africasTalkingResult("406"), nil},
		channel.InvalidRecipient: {201, africasTalkingResult("403"), nil},
		channel.Misconfigured:    {201, africasTalkingResult("405"), nil},
	},
	documented: []documented{
		{"invalid number", answer{201, africasTalkingResult("403"), nil}, "invalid recipient 403"},
		{"balance", answer{201, africasTalkingResult("405"), nil}, "misconfigured 405"},
		{"blacklist", answer{201, africasTalkingResult("406"), nil}, "unreachable 406"},
		{"gateway error", answer{201, africasTalkingResult("501"), nil}, "temporary 501"},
		{
			"sender", answer{201, `{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`, nil},
			"misconfigured InvalidSenderId",
		},
		{"auth", answer{401, `The supplied authentication is invalid`, nil}, "misconfigured 401"},
	},
	hook: posting{
		body: "id=ATPid_1&status=%s&phoneNumber=%%2B447700900123&networkCode=63902&failureReason=UserInBlackList",
		sign: signToken,
		tells: []told{
			{"Sent", "sent unknown Sent UserInBlackList"}, {"Failed", "failed unreachable Failed UserInBlackList"},
			{"Success", "delivered unknown Success UserInBlackList"},
		},
		other: "id=in-1&from=%2B447700900123&text=hello",
	},
}

func africasTalkingResult(code string) string {
	return `{"SMSMessageData":{"Message":"Sent to 0/1","Recipients":[{"statusCode":` + code +
		`,"number":"+447700900123","status":"x","cost":"0","messageId":"None"}]}}`
}
