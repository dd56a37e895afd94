package provider_test

import (
	"net/http"

	"github.com/otpcourier/otpcourier/channel"
)

// sendgrid is SendGrid's mail API.
var sendgrid = api{
	name: "sendgrid", kind: channel.Email,
	values:   map[string]string{"key": "SG.key-1188", "from": "codes@mybank.example", "public_key": ecdsaPublic()},
	urls:     []string{"url"},
	send:     "/v3/mail/send",
	status:   202,
	idHeader: "X-Message-Id",
	id:       "id-1",
	refusals: map[channel.Class]answer{
		channel.Throttled:        {429, `{"errors":[{"message":"too many requests"}]}`, nil},
		channel.Unreachable:      {400, sendgridError("subject"), nil},
		channel.InvalidRecipient: {400, sendgridError("personalizations.0.to.0.email"), nil},
		channel.Misconfigured:    {403, sendgridError("from"), nil},
	},
	documented: []documented{
		{"accepted", answer{202, ``, http.Header{"X-Message-Id": {"id-1"}}}, "[id-1]"},
		{"no id", answer{202, ``, nil}, "unknown 202"},
		{
			"unauthorized", answer{401, `{"errors":[{"message":"The provided authorization grant is invalid"}]}`, nil},
			"misconfigured 401",
		},
		{"sender", answer{403, sendgridError("from"), nil}, "misconfigured from"},
		{
			"recipient", answer{400, sendgridError("personalizations.0.to.0.email"), nil},
			"invalid recipient personalizations.0.to.0.email",
		},
		{"too large", answer{413, `{"errors":[{"message":"too large"}]}`, nil}, "misconfigured 413"},
		{"down", answer{500, ``, nil}, "unknown 500"},
	},
	hook: posting{
		body: `[{"email":"ann@example.com","event":"open","sg_message_id":"id-9"},{"email":"ann@example.com",` +
			`"timestamp":1513299569,"event":%q,"status":"5.1.1","otp_message":"golden.1","sg_message_id":"id-1"}]`,
		sign: signSendGrid,
		tells: []told{
			{"processed", ""}, {"bounce", "failed invalid recipient bounce 5.1.1"},
			{"delivered", "delivered unknown delivered 5.1.1"},
		},
		other: `[{"email":"ann@example.com","event":"open","sg_message_id":"id-9"}]`,
	},
}

func sendgridError(field string) string {
	return `{"errors":[{"message":"about ann@example.com","field":"` + field + `","help":null}]}`
}
