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
// A number has 4 to 32 characters: digits of any script, spaces, tabs, and
// dashes, dots, slashes, tildes, parentheses and brackets in all the forms that
// keyboards and word processors produce. Invisible characters, and quotes
// around the number, are dropped: they come with numbers that people copy.
// Letters are refused, as in "1-800-FLOWERS". A tel URI (RFC 3966) is read too.
// Its phone-context completes a local number, and its ext is an extension;
// other parameters are ignored.
//
// A number without a plus is read as it is dialled in the default region:
//
//   - in national form, with or without the trunk prefix: 07912 345678
//   - in international form, behind the prefix of the region (011 in the US) or,
//     in every region, behind 00. 00 and the region's own calling code never mean
//     another country.
//   - in international form without anything before it, if it has the calling
//     code of the region: 491622897306 in Germany
//
// If the digits can be read as two numbers, a number in a known range takes
// precedence. If both are in known ranges, a number that can receive a text
// message does. If both can receive one, the error is [Ambiguous]: ask for the
// plus. For example, 0081 90 1234 5678 in South Korea is a number of Japan, and
// also a number of the United States that is called over the carrier 008.
//
// Some countries write a number in more than one way. Parse reads them all:
//
//   - Argentina: a mobile number has a 9 before its area code, 15 behind it, or
//     neither. E164 has the 9. A landline looks like a mobile number without its
//     9, and is read as one.
//   - Mexico: mobile numbers had a 1 behind the calling code, or 01, 044 or 045
//     before the number, until 2019. E164 has none of them.
//   - France: 0692 11 22 33 is a number of Réunion, +262 692112233. This holds
//     also if the calling code of another part of the country was written.
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
