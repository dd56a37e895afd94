package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// tencent is Tencent Cloud's SMS.
var tencent = api{
	name: "tencent",
	values: map[string]string{
		"region": "ap-guangzhou", "key_id": "AKID-tc", "secret": "tc-secret-58", "app": "1400006666",
		"template": "1110", "sign": "MyBank", "callback_token": hookSecret,
	},
	urls: []string{"url"},
	send: "/",
	accept: `{"Response":{"SendStatusSet":[{"SerialNo":"5000:104571066915705%d","PhoneNumber":"+447700900123",` +
		`"Fee":1,"SessionContext":"golden.1","Code":"Ok","Message":"send success","IsoCode":"GB"}],"RequestId":"r"}}`,
	id: "5000:1045710669157051",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {200, tencentStatus("LimitExceeded.PhoneNumberThirtySecondLimit"), nil},
		channel.Unreachable:      {200, tencentStatus("FailedOperation.PhoneNumberInBlacklist"), nil},
		channel.InvalidRecipient: {200, tencentStatus("InvalidParameterValue.IncorrectPhoneNumber"), nil},
		channel.Misconfigured:    {200, tencentError("AuthFailure.SignatureFailure"), nil},
	},
	documented: []documented{
		{
			"signature", answer{200, tencentError("AuthFailure.SignatureFailure"), nil},
			"misconfigured AuthFailure.SignatureFailure",
		},
		{
			"number", answer{200, tencentStatus("InvalidParameterValue.IncorrectPhoneNumber"), nil},
			"invalid recipient InvalidParameterValue.IncorrectPhoneNumber",
		},
		{
			"package", answer{200, tencentStatus("FailedOperation.InsufficientBalanceInSmsPackage"), nil},
			"misconfigured FailedOperation.InsufficientBalanceInSmsPackage",
		},
		{"too many", answer{200, tencentError("RequestLimitExceeded"), nil}, "throttled RequestLimitExceeded"},
		{"unlisted", answer{200, tencentStatus("FailedOperation.New"), nil}, "unreachable FailedOperation.New"},
	},
	hook: posting{
		body: `[{"user_receive_time":"2026-10-17 08:03:04","mobile":"7700900123","report_status":%q,` +
			`"nationcode":"44","errmsg":"DELIVRD","sid":"5000:1045710669157051"}]`,
		sign:  signToken,
		reply: `{"errmsg":"OK","result":0}`,
		tells: []told{{"FAIL", "failed unknown FAIL DELIVRD"}, {"SUCCESS", "delivered unknown SUCCESS DELIVRD"}},
		other: `[{"mobile":"7700900123","text":"hello"}]`,
	},
}

func tencentStatus(code string) string {
	return `{"Response":{"SendStatusSet":[{"SerialNo":"","PhoneNumber":"+447700900123","Code":"` + code + `"}]}}`
}

func tencentError(code string) string {
	return `{"Response":{"Error":{"Code":"` + code + `","Message":"about +447700900123"},"RequestId":"r"}}`
}
