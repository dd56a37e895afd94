// Package provider sends one-time passwords through the HTTP API of any provider:
// an SMS company, WhatsApp, e-mail, a voice call, or an app on an Android phone.
// A [Profile] describes the API as data, without code. The package has profiles for
//
//   - SMS and calls: Twilio, Vonage, Infobip, Sinch, Plivo, Telnyx, MessageBird and
//     Bird, MSG91, Africa's Talking, Termii, LabsMobile, Routee, ClickSend, Kannel,
//     Amazon SNS, Alibaba Cloud, Tencent Cloud
//   - messengers: WhatsApp, Telegram
//   - e-mail: SendGrid, Mailgun, Postmark, Resend, Brevo, Amazon SES
//   - Android phones: TextBee, httpSMS, traccar
//
// A Channel sends by one profile:
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
// Send returns once the provider has answered. The state of the message comes to
// Config.Receipt later, by webhook, by polling, or both.
//
// # The providers
//
// The page PROVIDERS.md in this package's folder lists the providers, with their Values,
// the states that become receipts, and the signatures of their webhooks. Every profile
// also has the value url, for a server of your own or a test.
//
// # Another provider
//
// [ParseProfile] reads a profile from JSON:
//
//	profile, err := provider.ParseProfile(data)
//	sms, err := provider.New(provider.Config{Profile: profile, Values: values})
//
// PROFILES.md says how a profile is written, and PROVIDERS.md how it comes into the package.
//
// # Errors
//
// Every error of [Channel.Send] is an *[channel.Error]. Its Code is the provider's or, if
// there is none, the HTTP status. Its text leaves out the provider's text, which may repeat
// the number or the code. The profile maps codes and statuses to classes. The others are:
//
//   - Temporary: no connection, or nothing of the request was written; 408, 425,
//     503
//   - Throttled: 429
//   - Unreachable: 400 or 422; another route may take the message
//   - Misconfigured: another 3xx or 4xx, 501, 505; certificates and versions of
//     TLS; a message without a field that the profile needs
//   - InvalidRecipient: no number in E.164, or no address of the profile's kind
//   - Expired: less than a second of the code's life is left
//   - Unknown: the message may have been sent. The request was written, and there was
//     no answer, another 5xx, or a 2xx without the message's id
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines poll, and end with Close or
// Shutdown. Both wait for a running call of Config.Receipt. So a Receipt must not close
// the Channel and wait for that; it may start a goroutine that does.
package provider
