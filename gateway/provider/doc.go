// Package provider sends one-time passwords through the HTTP API of any provider:
// an SMS company, WhatsApp, e-mail, a voice call, or an app on an Android phone.
// A [Profile], which is data and not code, describes the API. Profiles come with
// the package for
//
//   - SMS and calls: Twilio, Vonage, Infobip, Sinch, Plivo, Telnyx, MessageBird and
//     Bird, MSG91, Africa's Talking, Termii, LabsMobile, Routee, ClickSend, Kannel,
//     Amazon SNS, Alibaba Cloud, Tencent Cloud
//   - messengers: WhatsApp, Telegram
//   - e-mail: SendGrid, Mailgun, Postmark, Resend, Brevo, Amazon SES
//   - Android phones: TextBee, httpSMS, traccar
//
// "The providers" below lists them with their values and peculiarities.
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
// # The providers
//
// Each has its name for Config.Provider, then its Values, optional ones in
// parentheses. Every profile has the value url besides, for a server of one's own
// or a test. Without the values for webhooks there are none, and the provider is
// polled if it can be. States are those that become receipts.
//
// SMS and calls:
//
//   - twilio. Values: account, password, from or messaging_service (user: an API
//     key, and auth_token beside it; callback_url). States: sent, delivered, failed;
//     polled. Signed with auth_token, or else password: HMAC-SHA-1 of callback_url
//     and the form. Note: the password is the auth token, unless user is set.
//   - twilio-voice, a call that spells the code. Values: account, password, from
//     (voice_language: "de-DE"; user, auth_token, callback_url). States: sent,
//     delivered, failed; polled. Signed as twilio's. Note: sent is a call that was
//     answered, delivered one that ended after that.
//   - vonage, the Messages API. Values: key, secret, from (callback_url,
//     signature_secret). States: sent, delivered, failed. Signed with
//     signature_secret: a JWT with the body's hash. Note: it delivers no message
//     whose code lives less than 20 s.
//   - vonage-sms, the older API. Values: key, secret, from (callback_url and
//     callback_token). States: delivered, failed. Not signed: callback_token is added to
//     callback_url. Note: of a long text each part has an id.
//   - infobip. Values: url, key, from (callback_url and callback_token). States:
//     delivered, failed; polled. Not signed: callback_token is added to callback_url.
//     Note: url is the account's own, https://xxxxx.api.infobip.com.
//   - sinch. Values: plan, token, from (callback_url, callback_basic). States: sent,
//     delivered, failed; polled; cancelled. Not signed: callback_basic,
//     "user:password", which Sinch sets up for an account. Note: url names the region,
//     https://us.sms.api.sinch.com.
//   - plivo. Values: auth_id, auth_token, from (callback_url). States: sent,
//     delivered, failed; polled. Signed with auth_token: HMAC-SHA-256 of callback_url
//     and a nonce, not of the body.
//   - telnyx. Values: key, and from or messaging_profile (callback_url, public_key).
//     States: sent, delivered, failed; polled. Signed: Ed25519, verified with
//     public_key, at most 5 minutes old.
//   - messagebird. Values: key, from (callback_url, signing_key). States: sent,
//     delivered, failed; polled. Signed with signing_key: a JWT with the URL's hash.
//   - bird, the API that follows it. Values: key, workspace, channel (callback_url,
//     signing_key). States: sent, delivered, failed; polled. Signed with signing_key:
//     HMAC-SHA-256 of time, URL and body. Note: the sender is the channel's.
//   - msg91. Values: key, template (callback_secret). States: sent, delivered,
//     failed. Not signed: callback_secret in a header X-Hook-Secret, which you set up
//     there. Note: the text is the template's, whose variable is ##OTP##; variants of
//     template choose one by purpose and language.
//   - africastalking. Values: username, key (from; callback_token). States: sent,
//     delivered, failed. Not signed: the URL that is set there ends with
//     "?token=" and callback_token.
//   - termii. Values: key, from (route: "generic"; secret). States: sent, delivered,
//     failed. Signed with secret: HMAC-SHA-512 of the body. Note: route is "dnd"
//     unless set, which reaches numbers on the do-not-disturb list.
//   - labsmobile. Values: user, token (from; callback_url and callback_token).
//     States: sent, delivered, failed. Not signed: callback_url ends with "?token="
//     and callback_token.
//   - routee. Values: application, secret (auth_url, from; callback_token). States:
//     sent, delivered, failed; polled. Not signed: the URL that is set there ends
//     with "?token=" and callback_token. Note: auth_url is another server's.
//   - clicksend. Values: user, key (from; callback_token). States: delivered, failed;
//     polled; cancelled. Not signed: the URL that is set there ends with "?token="
//     and callback_token.
//   - aws-sns, Amazon SNS. Values: url, https://sns.eu-west-1.amazonaws.com, region,
//     key_id, secret (session_token, sender_id). States: none. Note: delivery is
//     only in CloudWatch. The sender is "OTP", where a country allows one, unless
//     sender_id is set.
//   - alibaba, Alibaba Cloud. Values: key_id, secret, sign, template (callback_token).
//     States: delivered, failed. Not signed: the URL that is set there ends with
//     "?token=" and callback_token. Note: the template has a variable code; variants
//     of sign and template choose one by purpose and language.
//   - tencent, Tencent Cloud. Values: region, key_id, secret, app, template (sign;
//     callback_token). States: delivered, failed. Not signed: the URL that is set
//     there ends with "?token=" and callback_token. Note: the template has one
//     parameter; variants of sign and template choose one by purpose and language.
//   - kannel, your own Kannel's sendsms, in front of any SMSC. Values: url, user,
//     password (from; smsc: an smsc-id; callback_url, in which "%" must be "%%", and
//     callback_token, of letters and digits). States: sent, delivered, failed. Not
//     signed: callback_token is added to callback_url. Note: the id is Message.ID. The
//     password stands in the URL of the request: put TLS before Kannel, or call it on
//     the same host.
//
// Messengers:
//
//   - whatsapp, an authentication template with a button to copy the code. Values:
//     phone_number_id, token, template (template_language; app_secret and
//     verify_token). States: sent, delivered, failed. Signed with app_secret:
//     HMAC-SHA-256 of the body. Note: Meta calls the webhook once with verify_token.
//   - telegram-gateway. Values: token (sender_username, callback_url). States: sent,
//     delivered, failed; polled; cancelled. Signed with token: HMAC-SHA-256 of time
//     and body. Note: the text is Telegram's, a code has 4 to 8 digits, and its life
//     is 30 s to an hour.
//
// E-mail:
//
//   - sendgrid. Values: key, from (from_name, public_key). States: delivered, failed.
//     Signed: ECDSA, verified with public_key.
//   - mailgun. Values: domain, key, from (signing_key). States: delivered, failed.
//     Signed with signing_key: HMAC-SHA-256 of time and token, not of the event.
//     Note: url of the EU is https://api.eu.mailgun.net.
//   - postmark. Values: token, from (stream, webhook_basic). States: sent, delivered,
//     failed; polled. Not signed: webhook_basic, "user:password", is in the URL that
//     is set there.
//   - resend. Values: key, from (webhook_secret). States: sent, delivered, failed;
//     polled. Signed with webhook_secret: HMAC-SHA-256 of id, time and body, at most
//     5 minutes old.
//   - brevo. Values: key, from (from_name, webhook_token). States: sent, delivered,
//     failed. Not signed: webhook_token as a bearer token, which you set up there.
//   - ses, version 2 of Amazon SES's API. Values: url,
//     https://email.eu-west-1.amazonaws.com, region, key_id, secret, from
//     (session_token, configuration_set, topic, certificate). States: sent,
//     delivered, failed. Signed as SNS signs, for topic: RSA, verified with
//     certificate, which SNS names in SigningCertURL and renews now and then.
//
// Android phones, see also gateway/smsgate and gateway/pull:
//
//   - textbee. Values: device, key (sim: a subscription id; webhook_secret). States:
//     sent, delivered, failed; polled. Signed with webhook_secret: HMAC-SHA-256 of
//     the body. Note: a server of one's own without a queue returns no batch ID, so
//     that no states are known; a warning in the log says so.
//   - httpsms. Values: key, from (webhook_url and webhook_key). States: sent,
//     delivered, failed; polled. Signed with webhook_key: a JWT for webhook_url,
//     which does not sign the body. Note: let its phone try once; a second try comes
//     after the code's life.
//   - traccar, traccar-sms-gateway on a phone. Values: url, key (slot: 0 or 1).
//     States: none. Note: a 200 says only that the phone has the message.
//
// Oxtro and similar apps that publish no API are profiles of one's own: the example of
// [ParseProfile] shows one that talks to an sms-gate.app server.
//
// # Another provider
//
// [ParseProfile] reads a profile from JSON:
//
//	profile, err := provider.ParseProfile(data)
//	sms, err := provider.New(provider.Config{Profile: profile, Values: values})
//
// A provider comes with the package if there is a file profiles/NAME.json and an
// entry above. Its tests are a file api_NAME_test.go, which describes the
// API from the provider's documents, and testdata/profiles/NAME.http, the request
// to the letter (go test -update-profiles writes it). TestDocumented holds the
// profiles against what the documents have: 192 of 192 answers, 29 of 29 signatures
// and tokens, genuine and forged.
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
//   - InvalidRecipient: no number in E.164, or no address of the profile's kind
//   - Expired: less than a second of the code's life is left
//   - Unknown: the message may have been sent. The request was written and not
//     answered, or answered with another 5xx, or with a 2xx that has not the
//     message's id
//
// # Concurrency
//
// A Channel is safe for concurrent use. Its goroutines poll, and end with Close or
// Shutdown, which wait for a Receipt that is running: a Receipt that closes the
// Channel must do so in another goroutine and must not wait for it.
package provider
