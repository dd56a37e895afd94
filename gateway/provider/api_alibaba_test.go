package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// alibaba is Alibaba Cloud's SMS.
var alibaba = api{
	name: "alibaba",
	values: map[string]string{
		"key_id": "AKID-ali", "secret": "ali-secret-71", "sign": "MyBank", "template": "SMS_1",
		"callback_token": hookSecret,
	},
	urls:   []string{"url"},
	send:   "/",
	accept: `{"Message":"OK","RequestId":"F655A8D5","Code":"OK","BizId":"900619746936498440%d^0"}`,
	id:     "9006197469364984401^0",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {200, alibabaCode("isv.BUSINESS_LIMIT_CONTROL"), nil},
		channel.Unreachable:      {200, alibabaCode("isv.BLACK_KEY_CONTROL_LIMIT"), nil},
		channel.InvalidRecipient: {200, alibabaCode("isv.MOBILE_NUMBER_ILLEGAL"), nil},
		channel.Misconfigured:    {400, alibabaCode("SignatureDoesNotMatch"), nil},
	},
	documented: []documented{
		{"limit", answer{200, alibabaCode("isv.BUSINESS_LIMIT_CONTROL"), nil}, "throttled isv.BUSINESS_LIMIT_CONTROL"},
		{
			"number", answer{200, alibabaCode("isv.MOBILE_NUMBER_ILLEGAL"), nil},
			"invalid recipient isv.MOBILE_NUMBER_ILLEGAL",
		},
		{
			"template", answer{200, alibabaCode("isv.SMS_TEMPLATE_ILLEGAL"), nil},
			"misconfigured isv.SMS_TEMPLATE_ILLEGAL",
		},
		{"balance", answer{200, alibabaCode("isv.AMOUNT_NOT_ENOUGH"), nil}, "misconfigured isv.AMOUNT_NOT_ENOUGH"},
		{
			"key", answer{404, alibabaCode("InvalidAccessKeyId.NotFound"), nil},
			"misconfigured InvalidAccessKeyId.NotFound",
		},
		{"unlisted", answer{200, alibabaCode("isv.NEW"), nil}, "unreachable isv.NEW"},
	},
	hook: posting{
		body: `[{"phone_number":"13811110000","success":%s,"err_code":"DELIVERED","biz_id":"9006197469364984401^0",` +
			`"out_id":"golden.1"}]`,
		sign:  signToken,
		reply: `{"code":0,"msg":"成功"}`,
		tells: []told{{"false", "failed unknown false DELIVERED"}, {"true", "delivered unknown true DELIVERED"}},
		other: `[{"phone_number":"13811110000","content":"hello"}]`,
	},
}

func alibabaCode(code string) string {
	return `{"Message":"about 447700900123","RequestId":"x","Code":"` + code + `"}`
}
