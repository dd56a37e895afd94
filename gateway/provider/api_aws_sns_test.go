package provider_test

import (
	"net/http"

	"github.com/otpcourier/otpcourier/channel"
)

// awsSNS is Amazon SNS, for SMS.
var awsSNS = api{
	name:   "aws-sns",
	values: map[string]string{"region": "eu-west-1", "key_id": "AKID-sns", "secret": "aws-secret-93"},
	urls:   []string{"url"},
	send:   "/",
	accept: `{"PublishResponse":{"PublishResult":{"MessageId":"567910cd-%d","SequenceNumber":null}}}`,
	id:     "567910cd-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {400, `{"Error":{"Code":"Throttling"}}`, nil},
		channel.Unreachable:      {400, `{"Error":{"Code":"OptedOut"}}`, nil},
		channel.InvalidRecipient: {400, `{"Error":{"Code":"InvalidParameter"}}`, nil},
		channel.Misconfigured:    {403, `{"Error":{"Code":"InvalidClientTokenId"}}`, nil},
	},
	documented: []documented{
		{
			"XML", answer{200, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>` +
				`<MessageId>567910cd-659e</MessageId></PublishResult></PublishResponse>`, xmlHeader}, "[567910cd-659e]",
		},
		{
			"XML error", answer{400, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>` +
				`<Type>Sender</Type><Code>Throttling</Code></Error></ErrorResponse>`, xmlHeader},
			"throttled Throttling",
		},
		{
			"number", answer{400, `{"Error":{"Code":"InvalidParameter","Message":"to +447700900123"}}`, nil},
			"invalid recipient InvalidParameter",
		},
		{
			"signature", answer{403, `{"Error":{"Code":"SignatureDoesNotMatch"}}`, nil},
			"misconfigured SignatureDoesNotMatch",
		},
		{"down", answer{503, `{"Error":{"Code":"ServiceUnavailable"}}`, nil}, "temporary ServiceUnavailable"},
		{"no id", answer{200, `{"PublishResponse":{}}`, nil}, "unknown 200"},
	},
}

var xmlHeader = http.Header{"Content-Type": {"text/xml"}}
