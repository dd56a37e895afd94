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
// 6 MB of binary and 2 MB of memory in a program that imports this package, and
// 10 MB more of memory once numbers of all countries have been read.
//
// Every error is an [*Error]. All functions are safe for concurrent use.
//
// # How a number may be written
//
// A number has 4 to 32 characters: digits of any script, spaces, tabs, and
// dashes, dots, slashes, tildes, parentheses and brackets in all the forms that
// keyboards and word processors have for them. What comes along when a number is
// copied is dropped: invisible characters, and quotes around the number. Letters
// are refused: "1-800-FLOWERS" is not for machines. A tel URI (RFC 3966) is read
// too. Its phone-context completes a local number, and its ext is an extension;
// other parameters count for nothing.
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
// If the digits can be read as two numbers, one in a known range counts more than
// one that is only possible. If both are in known ranges, one that can receive a
// text message counts more. If both can, the error is [Ambiguous]: ask for the
// plus. For example, 0081 90 1234 5678 in South Korea is a number of Japan, and
// also one of the United States that is called over the carrier 008.
//
// In some countries a number is written in more than one way. All are read:
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
// Countries open new ranges every month, and the metadata is months old. A
// number in no known range that is as long as a mobile number of its country is
// returned with [Number.UnknownRange]; any other is refused. A program may refuse
// such a number too, as otp.Config.KnownRangesOnly does. Numbers that will never
// be assigned are refused, such as those that Ofcom keeps for films.
//
// # Updating the metadata
//
// The metadata comes with the module github.com/nyaruka/phonenumbers. Update it
// in the module of your program, which needs no release of this one:
//
//	go get github.com/nyaruka/phonenumbers@latest
//
// If the newest release of that module is too old, build it from
// libphonenumber's newest data, and remove the replacement once there is a
// release:
//
//	git clone https://github.com/nyaruka/phonenumbers
//	cd phonenumbers && go run ./cmd/buildmetadata
//	cd ../program && go mod edit -replace github.com/nyaruka/phonenumbers=../phonenumbers
package phone
