package guard

import (
	"context"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/otpcourier/otpcourier/otp"
)

// A Keyword is the request in a message from a person.
type Keyword uint8

// The keywords.
const (
	NoKeyword Keyword = iota
	Stop              // no more messages
	Start             // messages again
)

// keywords are those of carriers and of the CTIA, in English and French, and what
// people type for them in some other languages.
var keywords = map[string]Keyword{
	"STOP": Stop, "STOPALL": Stop, "UNSUBSCRIBE": Stop, "CANCEL": Stop, "END": Stop, "QUIT": Stop, "REVOKE": Stop,
	"OPTOUT": Stop, "OPT-OUT": Stop, "OPT OUT": Stop, "STOP ALL": Stop, "REMOVE": Stop, "TD": Stop,
	"ARRET": Stop, "ARRÊT": Stop, "ALTO": Stop, "PARAR": Stop, "STOPP": Stop, "СТОП": Stop,
	"START": Start, "UNSTOP": Start, "YES": Start,
}

// ReadKeyword reads a message that a person has sent. The whole message must be
// the keyword, in any case and width, with accents composed or not; signs around it that are
// no letters and no digits are ignored.
func ReadKeyword(text string) Keyword {
	sign := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return keywords[strings.ToUpper(strings.TrimFunc(norm.NFKC.String(text), sign))]
}

// A List keeps the numbers that want no messages: a table of the embedder's. Its
// methods are safe for concurrent use. Numbers are E.164.
type List interface {
	Contains(ctx context.Context, number string) (bool, error)
	Add(ctx context.Context, number string) error
	Remove(ctx context.Context, number string) error
}

// A Suppression keeps messages from numbers that have opted out. [Suppression.Check]
// is a [Check], and [Suppression.Receive] gets the messages that people send.
// An alphanumeric sender gets no replies: offer a page instead, and change the
// List there.
type Suppression struct{ List List }

// RuleOptOut is the rule of [Suppression.Check].
const RuleOptOut = "opt-out"

// Check drops messages to numbers of the List. The Service answers as if they
// were sent, so that nobody learns who has opted out.
func (s Suppression) Check(ctx context.Context, a otp.Attempt) (otp.Verdict, error) {
	if a.Phone.E164 == "" {
		return otp.Verdict{}, nil
	}
	out, err := s.List.Contains(ctx, a.Phone.E164)
	if err != nil || !out {
		return otp.Verdict{Rule: RuleOptOut}, err
	}
	shown, _ := blockOf(a.Phone.E164)
	return otp.Verdict{Action: otp.Drop, Rule: RuleOptOut, Key: shown}, nil
}

// Receive adds the sender of a message to the List, or removes it, if the text is
// a keyword. The caller answers the person, and lets a failed call be repeated.
func (s Suppression) Receive(ctx context.Context, from, text string) (Keyword, error) {
	k := ReadKeyword(text)
	switch k {
	case Stop:
		return k, s.List.Add(ctx, from)
	case Start:
		return k, s.List.Remove(ctx, from)
	}
	return NoKeyword, nil
}
