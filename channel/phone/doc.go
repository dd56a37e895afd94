// Package phone reads a telephone number as a person types it. It returns the
// number in E.164, its country and its kind, so that a program can refuse a
// number before it sends a message.
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
// Numbers are checked against libphonenumber's metadata (through
// github.com/nyaruka/phonenumbers): a number is valid if its range is assigned.
// The number may still be unused. The metadata adds about 6 MB to the binary
// and 2 MB of memory to a program that imports this package, and 10 MB more of
// memory once it has read numbers of all countries.
//
// Every error is an [*Error]. All functions are safe for concurrent use.
//
// # How a number may be written
//
// A person may write a number in national or international form, with or
// without separators, in digits of any script, or as a tel URI. For example,
// "07912 345678", "(+44) 7912-345678" and "0044 7912 345678" are one number if
// the default region is GB. [Parse] has the rules.
//
// # Ranges that the metadata does not know
//
// Countries open new ranges every month, and the metadata is months old. Parse
// returns a number in no known range with [Number.UnknownRange], if it is as
// long as a mobile number of its country, and refuses it otherwise. A program
// may refuse such a number too; otp.Config.KnownRangesOnly does. Parse refuses
// numbers that will never be assigned, for example the numbers that Ofcom keeps
// for films.
//
// # Updating the metadata
//
// The metadata is part of the module github.com/nyaruka/phonenumbers. Update it
// in the module of your program; it needs no release of this module:
//
//	go get github.com/nyaruka/phonenumbers@latest
//
// If the newest release of that module is too old, build the metadata from
// libphonenumber's newest data. Remove the replacement once there is a release:
//
//	git clone https://github.com/nyaruka/phonenumbers
//	cd phonenumbers && go run ./cmd/buildmetadata
//	cd ../program && go mod edit -replace github.com/nyaruka/phonenumbers=../phonenumbers
package phone
