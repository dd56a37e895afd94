// Package wording words the messages that carry a code: an SMS, and the
// subject, plain text and HTML of an e-mail, in 41 languages.
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
// [New] checks every template of the Config when a program starts. [Set.Lint]
// says what each language costs as an SMS, and which phones cannot fill in its
// code.
//
// # What a text says
//
// The code comes first, in the first sentence and with the language's word for
// "code": phones and mail programs look for it there, and a preview shows it.
// Then come the brand, how long the code lives, and not to share it. The brand
// never stands beside the code, since it may begin with a digit. The try, the
// time of the request, and the amount and payee are said only if [Data] has
// them: by default a text holds nothing about the person. The digits of a code
// are ASCII and ungrouped in every language. A subject does not hold the code:
// subjects are echoed in bounces and shown on locked screens.
//
// A code for a purpose, such as [SignIn] or [Payment], is worded for it in the
// mail, and in the SMS if that costs no segment more.
//
// # Own wordings
//
// The wordings are a table of sentences, wordings.json; every message is
// composed of them. [Wording] has the same form. In Config.Wordings an embedder
// changes a sentence, a whole message, the words for a purpose or for a country
// ("en-IN"), or adds a language.
//
// # SMS
//
// A last line can bind the code to a web site (the origin-bound one-time codes
// of WICG), carry the hash of an Android app (SMS Retriever), or both: see
// Config.Origin and Config.AppHash.
//
// In English, French, German, Italian, Dutch, Swedish, Norwegian, Danish,
// Finnish, Indonesian, Malay, Filipino, Swahili and Hausa the SMS is GSM-7. In
// the others it is UCS-2, and one segment with a code of 6 digits, a brand of
// 11 characters and no last line. Config.Fold makes eight more of them GSM-7.
//
// # Right to left
//
// In Arabic, Persian and Urdu, and in wordings of the embedder for Hebrew and
// others, an amount, a number, a payee or a brand keeps its order: isolates of
// Unicode (UAX #9) stand around it in text, and bdi elements in HTML.
//
// # Errors and concurrency
//
// Every error is an [*Error], which names the language and the field. None
// holds a code or details. An unusable language is also [ErrLanguage]. A Set
// does not change and is safe for concurrent use.
package wording
