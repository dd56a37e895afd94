// Package wording words the messages that carry a code: an SMS, and the
// subject, plain text and HTML of an e-mail, in 29 languages.
//
// # Flow
//
//	set, err := wording.New(wording.Config{Brand: "MyBank"})
//	if err != nil {
//		return err
//	}
//	tag, err := set.Language(r.Header.Get("Accept-Language"), "FR")
//	if err != nil {
//		return err
//	}
//	text, err := set.Render(wording.Data{Language: tag, Code: "482910", Minutes: 5})
//	// text.SMS: 482910 est votre code MyBank. Il expire dans 5 minutes. …
//
// New parses and renders every template once, so that a fault in one is found
// when a program starts and not when a person waits. Lint says what each
// language costs as an SMS.
//
// # What a text says
//
// The code comes first, in the first sentence and with the language's word for
// "code", where phones and mail programs look for it and where a preview shows
// it. Then the brand, how long the code lives, and not to share it. The try,
// the time of the request, and the amount and payee are said only when [Data]
// has them: by default a text holds nothing about the person. The digits of a
// code are ASCII and ungrouped in every language. A subject does not hold the
// code: subjects are echoed in bounces and shown on locked screens.
//
// # Wording
//
// The wording is a table of sentences, wordings.json, a language to a block
// and a sentence to a line; every message is composed of them. [Wording] has
// the same form: an embedder changes a sentence, a whole message or adds a
// language with Config.Wordings, or reads a table of their own with
// encoding/json.
//
// # SMS
//
// A last line can bind the code to a web site (the origin-bound one-time codes
// of WICG, read by browsers and phones), carry the hash of an Android app (SMS
// Retriever), or both. See Config.Origin and Config.AppHash.
//
// In English, French, German, Italian, Dutch, Swedish, Norwegian, Danish,
// Finnish, Indonesian, Malay, Swahili and Hausa the SMS is GSM-7. In the
// others it is UCS-2 and still one segment with a code of 6 digits, a brand of
// 11 characters and no last line.
//
// # Errors
//
// Every error is an [*Error], which names the language and the field. None
// holds a code or details. An unusable language is also [ErrLanguage].
//
// # Concurrency
//
// A Set does not change once made and is safe for concurrent use.
package wording
