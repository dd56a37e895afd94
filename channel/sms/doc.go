// Package sms encodes a text for SMS and decodes it. The encoding is GSM 03.38
// 7-bit characters or UCS-2, in one part or in several that the phone joins.
//
// # Flow
//
// Measure returns the cost of a text, Fold makes a text cheaper, and Split cuts
// it into parts:
//
//	text = sms.Fold(text)
//	parts, err := sms.Split(text, sms.Detect(text), sms.Ref8(42))
//	if err != nil {
//		return err
//	}
//	for _, p := range parts {
//		send(slices.Concat(p.UDH, p.Data)) // esm_class 0x40 if p.UDH != nil
//	}
//
// # Size
//
// A part holds 140 octets: 160 septets, or 70 UTF-16 units. In a message of
// several parts, each part begins with a user data header that numbers it. The
// header leaves room for 153 septets or 67 units (152 or 66 with a 16-bit
// reference).
//
// # What is not GSM-7
//
// A character is GSM-7 if it is in the default alphabet or the default
// extension table of 3GPP TS 23.038 (sections 6.2.1 and 6.2.1.1). A character
// of the extension table costs two septets. National language tables are not
// used, because few phones and fewer SMSCs know them. Of the control characters
// only LF, CR and FF are in the tables. U+001B is not: the tables use its
// septet as the escape, and a text must not be able to inject an escape. A text
// with any other control character is UCS-2, where the character is harmless.
// The caller decides whether to accept such a text.
//
// # Errors
//
// Every error is an [*Error]. A text that is not valid UTF-8 fits no encoding.
//
// # Concurrency
//
// All functions are safe for concurrent use.
package sms
