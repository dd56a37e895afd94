package wording

import (
	"errors"
	"strings"
)

// ErrLanguage is in the chain of an error about a language: a malformed tag, or
// a tag without wording in the Set.
var ErrLanguage = errors.New("no such language")

// Error is the type of every error of this package.
type Error struct {
	Language string // a BCP 47 tag, or "" if it is not about one language
	Field    string // for example "Config.Brand", "Wording.SMS" or "Data.Details"
	Reason   string // the problem; never the value of a code or of details
	Err      error  // the cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("otp/wording: ")
	if e.Language != "" {
		b.WriteString(e.Language + ": ")
	}
	b.WriteString(e.Field + " " + e.Reason)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }
