// Package phone reads telephone numbers as people type them and says which
// number it is, of which country and of which kind, before anything is sent to
// it.
//
//	n, err := phone.Parse("07912 345 678", "GB")
//	if err != nil {
//		return err // safe to log: it never holds the number
//	}
//	if !n.Type.SMS() {
//		return errNoTexts // a landline, a premium number
//	}
//	send(n.E164) // +447912345678
//
// Numbers are judged by libphonenumber's metadata (through
// github.com/nyaruka/phonenumbers): a number is valid if its range is
// assigned, which does not say that anyone answers. The metadata costs about
// 6 MB of binary and 2 MB of memory in a program that imports this package.
//
// Every error is an [*Error]. All functions are safe for concurrent use.
package phone
