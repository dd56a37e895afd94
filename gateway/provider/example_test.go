package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// A phone with the TextBee app: a device id, a key, and the secret of a webhook.
func ExampleNew() {
	textbee := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"data":{"success":true,"smsBatchId":"66f1"}}`))
	}))
	defer textbee.Close()

	var receipts channel.Receipts // joins the channel to an otp.Service
	phone, err := provider.New(provider.Config{
		Provider: "textbee",
		Values: map[string]string{
			"device":         "65f1c0ffee",
			"key":            "the API key",
			"webhook_secret": "the webhook's secret",
			"url":            textbee.URL, // leave it out for textbee.dev
		},
		Client:  textbee.Client(), // leave it out, too
		Receipt: receipts.For("phone"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = phone.Close() }()
	http.NewServeMux().Handle("/webhooks/textbee", phone.WebhookHandler())

	submission, err := phone.Send(context.Background(), &channel.Message{
		ID:      "c4n7.1",
		To:      channel.Recipient{Phone: "+447911123456"},
		Text:    "582037 is your MyBank code.",
		Expires: time.Now().Add(5 * time.Minute),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(submission.State, submission.ProviderIDs)
	// Output:
	// POST /api/v1/gateway/devices/65f1c0ffee/send-sms
	// sent [66f1]
}

// A provider of one's own, described in JSON.
func ExampleParseProfile() {
	acme := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			To, Text string
			TTL      int
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.To == "+447911000000" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"code":"bad_number","message":"+447911000000 is not in use"}}`))
			return
		}
		fmt.Println(r.URL.Path, body.To, body.Text)
		_, _ = w.Write([]byte(`{"data":{"id":"msg-1"}}`))
	}))
	defer acme.Close()

	profile, err := provider.ParseProfile([]byte(`{
		"name": "acme",
		"values": {"url": "https://api.acme.example", "token": null},
		"auth": {"bearer": "{{token}}"},
		"send": {
			"url": "{{url}}/v1/messages",
			"json": {"to": "{{to}}", "text": "{{text}}", "ttl": "{{number ttl}}"}
		},
		"answer": {"id": "data.id", "code": "error.code"},
		"classes": {"bad_number": "invalid recipient", "http 402": "misconfigured"}
	}`))
	if err != nil {
		fmt.Println(err) // names the member that is wrong
		return
	}
	sms, err := provider.New(provider.Config{
		Profile: profile,
		Values:  map[string]string{"url": acme.URL, "token": "s3cret"},
		Client:  acme.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sms.Close() }()

	for _, number := range []string{"+447911123456", "+447911000000"} {
		submission, err := sms.Send(context.Background(), &channel.Message{
			ID:      "c4n7.1",
			To:      channel.Recipient{Phone: number},
			Text:    "582037 is your code.",
			Expires: time.Now().Add(5 * time.Minute),
		})
		fmt.Println(submission.State, submission.ProviderIDs, err)
	}
	// Output:
	// /v1/messages +447911123456 582037 is your code.
	// sent [msg-1] <nil>
	// failed [] provider: send: invalid recipient (bad_number)
}
