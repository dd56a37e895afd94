// Package wording writes the messages that carry a code: an SMS, and the
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
// reports the cost of each language as an SMS, and the phones that cannot fill
// in its code.
//
// # The content of a text
//
// The code comes first, in the first sentence and with the language's word for
// "code": phones and mail programs look for it there, and a preview shows it.
// Then come the brand, the life of the code, and the advice not to share it.
// The brand never stands next to the code, because it may begin with a digit. A
// text names the try, the time of the request, and the amount and payee only if
// [Data] has them. By default it shows nothing about the person. The digits of
// a code are ASCII and ungrouped in every language. A subject must not have the
// code, because bounces repeat subjects and locked screens show them.
//
// If the code has a purpose, such as [SignIn] or [Payment], the mail names it,
// and so does the SMS if that costs no segment more.
//
// # Your own wordings
//
// The wordings are a table of sentences, wordings.json, from which every
// message is composed. [Wording] has the same form. In Config.Wordings you can
// change a sentence, a whole message, the words for a purpose or for a country
// ("en-IN"), or add a language.
//
// # SMS
//
// A last line can bind the code to a web site (the origin-bound one-time codes
// of WICG), have the hash of an Android app (SMS Retriever), or both: see
// Config.Origin and Config.AppHash.
//
// In English, French, German, Italian, Dutch, Swedish, Norwegian, Danish,
// Finnish, Indonesian, Malay, Filipino, Swahili and Hausa the SMS is GSM-7. In
// the others it is UCS-2. It is one segment with a code of 6 digits, a brand of
// 11 characters and no last line. Config.Fold makes eight more of them GSM-7.
//
// # Right to left
//
// In Arabic, Persian and Urdu, and in your own wordings for Hebrew and others,
// an amount, a number, a payee or a brand keeps its order: isolates of Unicode
// (UAX #9) stand around it in text, and bdi elements in HTML.
//
// # Errors and concurrency
//
// Every error is an [*Error], which names the language and the field. It never
// shows a code or details. If a language is unusable, the error also matches
// [ErrLanguage]. A Set never changes and is safe for concurrent use.
package wording
