// Package provider sends one-time passwords through the HTTP API of any provider:
// an SMS company, WhatsApp, a voice call, or an app on an Android phone. A
// [Profile], which is data and not code, describes the API. Profiles of some
// providers come with the package, see [Config].
//
//	sms, err := provider.New(provider.Config{
//		Provider: "twilio",
//		Values: map[string]string{
//			"account":      "AC…",
//			"password":     os.Getenv("TWILIO_AUTH_TOKEN"),
//			"from":         "+18005550199",
//			"callback_url": "https://otp.example.com/webhooks/twilio",
//		},
//		Receipt: receipts.For("twilio"),
//	})
//	if err != nil {
//		return err // names the field, or the value
//	}
//	defer sms.Close()
//	http.Handle("/webhooks/twilio", sms.WebhookHandler())
//	submission, err := sms.Send(ctx, message)
//
// Send returns once the provider has answered. The message's state comes to
// Config.Receipt later, by webhook, by polling, or both, as the profile says.
//
// # Another provider
//
// [ParseProfile] reads a profile from JSON:
//
//	profile, err := provider.ParseProfile(data)
//	sms, err := provider.New(provider.Config{Profile: profile, Values: values})
//
// A provider comes with the package if there is a file profiles/NAME.json; the
// comment of [Config] lists its values. Its tests are a file api_NAME_test.go,
// which describes the API from the provider's documents, and testdata/profiles/
// NAME.http, the request to the letter (go test -update-profiles writes it).
//
// # Errors
//
// Every error of [Channel.Send] is an *[channel.Error] whose Code is the
// provider's own, or else the HTTP status. Its text leaves out the provider's,
// which may repeat the number or the code. The profile maps codes and statuses to
// classes. Beyond that:
//
//   - Temporary: no connection, or nothing of the request was written; 408, 425,
//     503
//   - Throttled: 429
//   - Unreachable: 400 or 422; another route may take the message
//   - Misconfigured: another 3xx or 4xx, 501, 505; certificates and versions of
//     TLS; a message without a field that the profile needs
//   - InvalidRecipient: no number in E.164
//   - Expired: less than a second of the code's life is left
//   - Unknown: the message may have been sent. The request was written and not
//     answered, or answered with another 5xx
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines poll, and end with Close or
// Shutdown, which wait for a Receipt that is running: a Receipt that closes the
// Channel must do so in another goroutine and must not wait for it.
package provider
