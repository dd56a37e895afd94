package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// newPrinter returns a provider that prints what it is sent, and always gives the
// same answer.
func newPrinter(answer string) *httptest.Server {
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Printf("%s %s\n%s\n", r.Method, r.URL, folded(string(body)))
		_, _ = io.WriteString(w, answer)
	}))
}

// folded breaks a long body into lines, at the commas of JSON or the "&" of a
// form.
func folded(body string) string {
	if len(body) < 100 {
		return body
	}
	return strings.NewReplacer(`,"`, ",\n\"", "&", "\n&").Replace(body)
}

// sendCode sends a code through a channel of its own, as ExampleNew does at
// length.
func sendCode(c provider.Config) {
	sms, err := provider.New(c)
	if err != nil {
		fmt.Println(err) // names the field
		return
	}
	defer func() { _ = sms.Close() }()
	submission, err := sms.Send(context.Background(), &channel.Message{
		ID: "c4n7.1", To: channel.Recipient{Phone: "+447400123456"},
		Code: "582037", Text: "582037 is your MyBank code.", Sender: "MyBank", Language: "en-GB",
	})
	fmt.Println(submission.State, submission.ProviderIDs, err)
}

// LabsMobile, whose JSON API says in the body whether it has taken a message.
func ExampleNew_labsMobile() {
	api := newPrinter(`{"code":"0","message":"Message has been successfully sent","subid":"56fb0a"}`)
	defer api.Close()
	sendCode(provider.Config{
		Provider: "labsmobile",
		Values: map[string]string{
			"user": "ann@example.com", "token": "the API token",
			"url": api.URL, // leave it out
		},
		Client: api.Client(), // leave it out, too
	})
	// Output:
	// POST /json/send
	// {"long":"1",
	// "message":"582037 is your MyBank code.",
	// "recipient":[{"msisdn":"447400123456"}],
	// "tpoa":"MyBank"}
	// sent [56fb0a] <nil>
}

// Routee, which gives out a token for the application's id and secret first.
func ExampleNew_routee() {
	api := newPrinter(`{"access_token":"12ab","expires_in":3600,"trackingId":"cf5f9ee1"}`) // both answers in one
	defer api.Close()
	sendCode(provider.Config{
		Provider: "routee",
		Values: map[string]string{
			"application": "the application's id", "secret": "the application's secret", "from": "MyBank",
			"url": api.URL, "auth_url": api.URL, // leave them out
		},
		Client: api.Client(), // leave it out, too
	})
	// Output:
	// POST /oauth/token
	// grant_type=client_credentials
	// POST /sms
	// {"body":"582037 is your MyBank code.","from":"MyBank","to":"+447400123456"}
	// sent [cf5f9ee1] <nil>
}

// A voice that spells the code, and then again, by Twilio.
func ExampleNew_voice() {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.FormValue("To"), strings.ReplaceAll(r.FormValue("Twiml"), "><", ">\n<"))
		_, _ = io.WriteString(w, `{"sid":"CA1234","status":"queued"}`)
	}))
	defer api.Close()
	sendCode(provider.Config{
		Provider: "twilio-voice",
		Values: map[string]string{
			"account": "AC5678", "password": "the auth token", "from": "+442071234567",
			"url": api.URL, // leave it out
		},
		Client: api.Client(), // leave it out, too
	})
	// Output:
	// +447400123456 <Response>
	// <Pause length="1"/>
	// <Say language="en-GB">5, 8, 2, 0, 3, 7 is your MyBank code.</Say>
	// <Pause length="1"/>
	// <Say language="en-GB">5, 8, 2, 0, 3, 7 is your MyBank code.</Say>
	// </Response>
	// sent [CA1234] <nil>
}

// WhatsApp, by a template of the category authentication. Its wording is Meta's.
func ExampleNew_whatsApp() {
	api := newPrinter(`{"messages":[{"id":"wamid.HBgM"}]}`)
	defer api.Close()
	sendCode(provider.Config{
		Provider: "whatsapp",
		Values: map[string]string{
			"phone_number_id": "106540352242922", "token": "the system user's token", "template": "login_code",
			"template_language": "en_GB",
			"url":               api.URL, // leave it out
		},
		Client: api.Client(), // leave it out, too
	})
	// Output:
	// POST /106540352242922/messages
	// {"messaging_product":"whatsapp",
	// "recipient_type":"individual",
	// "template":{"components":[{"parameters":[{"text":"582037",
	// "type":"text"}],
	// "type":"body"},{"index":"0",
	// "parameters":[{"text":"582037",
	// "type":"text"}],
	// "sub_type":"url",
	// "type":"button"}],
	// "language":{"code":"en_GB"},
	// "name":"login_code"},
	// "to":"447400123456",
	// "type":"template"}
	// sent [wamid.HBgM] <nil>
}

// An Android gateway such as Oxtro's, with an API in the manner of SMSGate's: the
// server knows the message's id, and says with 409 that it has it already.
func ExampleParseProfile_oxtro() {
	server := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "user", Password: "secret"})
	defer server.Close()
	server.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
	profile, err := provider.ParseProfile([]byte(`{
		"name": "oxtro",
		"values": {"url": null, "user": null, "password": null, "device": "", "sim": "", "signing_key": ""},
		"auth": {"basic": {"user": "{{user}}", "password": "{{password}}"}},
		"send": {
			"url": "{{url}}/messages",
			"json": {
				"id": "{{id}}",
				"deviceId": "{{device}}",
				"textMessage": {"text": "{{text}}"},
				"phoneNumbers": ["{{to}}"],
				"simNumber": "{{number sim}}",
				"ttl": "{{number ttl}}",
				"withDeliveryReport": true
			}
		},
		"answer": {"statuses": [202, 409], "id": "id"},
		"poll": {"url": "{{url}}/messages/{{provider_id}}", "status": "state"},
		"states": {
			"Pending": "waiting", "Processed": "waiting", "Sent": "sent", "Delivered": "delivered", "Failed": "failed",
			"sms:sent": "sent", "sms:delivered": "delivered", "sms:failed": "failed"
		},
		"webhook": {
			"id": "payload.messageId",
			"message": "payload.messageId",
			"status": "event",
			"verify": {"hmac": {"header": "X-Signature", "timestamp": "X-Timestamp", "secrets": ["{{signing_key}}"]}}
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		sendCode(provider.Config{
			Profile: profile,
			Values: map[string]string{
				"url": server.URL, "user": "user", "password": "secret", "device": "pixel", "sim": "1",
			},
			Client: server.Client(),
		})
	}
	for _, m := range server.Messages() {
		fmt.Println(m.DeviceID, m.SIM, m.Numbers, m.Text)
	}
	// Output:
	// sent [c4n7.1] <nil>
	// sent [] <nil>
	// pixel 1 [+447400123456] 582037 is your MyBank code.
}

// A signer signs requests, as Amazon's SDK does with Signature Version 4.
type signer struct{ next http.RoundTripper }

func (s signer) RoundTrip(r *http.Request) (*http.Response, error) {
	signed := r.Clone(r.Context())
	signed.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…")
	return s.next.RoundTrip(signed)
}

// An API such as that of Amazon SNS, whose requests are signed: the client's
// transport does it.
func ExampleParseProfile_sns() {
	api := newPrinter(`{"PublishResponse":{"PublishResult":{"MessageId":"567910cd-659e-55d4-8ccb-5aaf14679dc0"}}}`)
	defer api.Close()
	profile, err := provider.ParseProfile([]byte(`{
		"name": "sns",
		"values": {"url": "https://sns.eu-west-1.amazonaws.com"},
		"headers": {"Accept": "application/json"},
		"send": {
			"url": "{{url}}/",
			"form": {
				"Action": "Publish",
				"Version": "2010-03-31",
				"PhoneNumber": "{{to}}",
				"Message": "{{text}}",
				"MessageAttributes.entry.1.Name": "AWS.SNS.SMS.SMSType",
				"MessageAttributes.entry.1.Value.DataType": "String",
				"MessageAttributes.entry.1.Value.StringValue": "Transactional"
			}
		},
		"answer": {"id": "PublishResponse.PublishResult.MessageId", "code": "Error.Code"},
		"classes": {"Throttling": "throttled", "InvalidParameter": "invalid recipient", "OptedOut": "unreachable"}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	sendCode(provider.Config{
		Profile: profile,
		Values:  map[string]string{"url": api.URL}, // leave it out
		Client:  &http.Client{Transport: signer{api.Client().Transport}},
	})
	// Output:
	// POST /
	// Action=Publish
	// &Message=582037+is+your+MyBank+code.
	// &MessageAttributes.entry.1.Name=AWS.SNS.SMS.SMSType
	// &MessageAttributes.entry.1.Value.DataType=String
	// &MessageAttributes.entry.1.Value.StringValue=Transactional
	// &PhoneNumber=%2B447400123456
	// &Version=2010-03-31
	// sent [567910cd-659e-55d4-8ccb-5aaf14679dc0] <nil>
}

// Resend, for codes by e-mail: the profile says which address it needs.
func ExampleBuiltIn() {
	api := newPrinter(`{"id":"49a3999c"}`)
	defer api.Close()
	profile, err := provider.BuiltIn("resend")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("needs", profile.Address(), "and", profile.Values())
	mail, err := provider.New(provider.Config{
		Profile: profile,
		Values: map[string]string{
			"key": "the API key", "from": "MyBank <codes@mybank.example>",
			"url": api.URL, // leave it out
		},
		Client: api.Client(), // leave it out, too
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()
	submission, err := mail.Send(context.Background(), &channel.Message{
		ID: "c4n7.1", To: channel.Recipient{Email: "ann@example.com"},
		Subject: "Your code", Body: "582037 is your code.",
	})
	fmt.Println(submission.State, submission.ProviderIDs, err)
	// Output:
	// needs email and [from key url webhook_secret]
	// POST /emails
	// {"from":"MyBank \u003ccodes@mybank.example\u003e",
	// "subject":"Your code",
	// "text":"582037 is your code.",
	// "to":["ann@example.com"]}
	// sent [49a3999c] <nil>
}

// MSG91, whose texts are templates with an ID for each purpose and language.
func ExampleNew_templates() {
	api := newPrinter(`{"type":"success","message":"3763646c"}`)
	defer api.Close()
	sms, err := provider.New(provider.Config{
		Provider: "msg91",
		Values: map[string]string{
			"key":               "the auth key",
			"template":          "665f00", // for other purposes
			"template:login":    "665f01",
			"template:login/hi": "665f02",
			"url":               api.URL, // leave it out
		},
		Client: api.Client(), // leave it out, too
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sms.Close() }()
	for i, language := range []string{"en", "hi-IN"} {
		_, err = sms.Send(context.Background(), &channel.Message{
			ID: fmt.Sprintf("c4n7.%d", i), To: channel.Recipient{Phone: "+919812345678"}, Code: "582037",
			Purpose: "login", Language: language,
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// POST /api/v5/flow
	// {"recipients":[{"CRQID":"c4n7.0",
	// "OTP":"582037",
	// "mobiles":"919812345678"}],
	// "short_url":"0",
	// "template_id":"665f01"}
	// POST /api/v5/flow
	// {"recipients":[{"CRQID":"c4n7.1",
	// "OTP":"582037",
	// "mobiles":"919812345678"}],
	// "short_url":"0",
	// "template_id":"665f02"}
}
