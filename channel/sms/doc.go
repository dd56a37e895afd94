// Package sms turns a text into what an SMS carries and back: GSM 03.38
// 7-bit characters or UCS-2, in one part or in several that the phone joins.
//
// # Flow
//
// Measure says what a text costs, Fold makes it cheaper where that is wanted,
// Split makes the parts:
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
// several parts each begins with a user data header that says where it
// belongs, which leaves 153 septets or 67 units (152 or 66 with a 16-bit
// reference).
//
// # What is not GSM-7
//
// A character is GSM-7 if it is in the default alphabet or the default
// extension table of 3GPP TS 23.038 (sections 6.2.1 and 6.2.1.1); those of the
// extension table cost two septets. National language tables are not used:
// few phones and fewer SMSCs know them. Of the control characters only LF, CR
// and FF are in the tables. U+001B in particular is not: the tables use its
// septet as the escape, and a text must not be able to inject one. A text with
// any other control character is UCS-2, where it is harmless; whether to
// accept such a text at all is for the caller to say.
//
// # Errors
//
// Every error is an [*Error]. A text that is not valid UTF-8 fits no encoding.
//
// # Concurrency
//
// Everything here is a function of its arguments and safe for concurrent use.
package sms
