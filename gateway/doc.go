// Package gateway is a page: it tells which of its packages sends a code as SMS
// through a phone or a provider.
//
//	you have                                                       use
//	an Android phone with the SMSGate app (sms-gate.app)           gateway/smsgate
//	an account with a provider: Twilio, Vonage, Infobip, Sinch,
//	  Plivo, Telnyx, Bird, MSG91, Termii, WhatsApp, Telegram,
//	  SendGrid, Mailgun, Postmark, Resend, Brevo and others; or an
//	  app with an HTTP API: TextBee, httpSMS, traccar, your own    gateway/provider
//	an Android phone that polls, with CHT Gateway or multiOTP's
//	  SMSGatewayApp, because no server can call it                 gateway/pull
//	a test without a phone                                         gateway/gatewaytest
//
// Each of the first three has a Config, a New and a Channel, which implements
// package channel's Channel:
//
//	sms, err := smsgate.New(smsgate.Config{Username: "K2V6TX", Password: password})
//	sms, err := provider.New(provider.Config{Provider: "twilio", Values: values})
//	sms, err := pull.New(pull.Config{Phones: []pull.Phone{{ID: "pixel", Password: password}}})
//
// They differ in when Send returns. smsgate and provider return once the server
// has the message. pull returns once a phone has fetched the message, which takes
// as long as the phone's interval, and withdraws the message if no phone does.
package gateway
