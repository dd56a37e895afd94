package otp_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// answers is the table of the page of [otp.Reason], for an HTTP API: the status, and
// the text to show.
var answers = map[otp.Reason]struct {
	status int
	show   func(e *otp.Error) string
}{
	otp.ReasonWrong:       {http.StatusUnprocessableEntity, invalidCode},
	otp.ReasonMalformed:   {http.StatusUnprocessableEntity, invalidCode},
	otp.ReasonNotFound:    {http.StatusUnprocessableEntity, invalidCode},
	otp.ReasonExpired:     {http.StatusUnprocessableEntity, invalidCode},
	otp.ReasonClosed:      {http.StatusUnprocessableEntity, invalidCode},
	otp.ReasonAttempts:    {http.StatusConflict, text("That was the last try. Ask for a new code.")},
	otp.ReasonLocked:      {http.StatusTooManyRequests, later},
	otp.ReasonTooSoon:     {http.StatusTooManyRequests, later},
	otp.ReasonLimited:     {http.StatusTooManyRequests, later},
	otp.ReasonSends:       {http.StatusConflict, elsewhere},
	otp.ReasonStepUp:      {http.StatusForbidden, text("Please solve the captcha.")},
	otp.ReasonGuarded:     {http.StatusTooManyRequests, elsewhere},
	otp.ReasonInvalid:     {http.StatusUnprocessableEntity, wrongField},
	otp.ReasonConflict:    {http.StatusUnprocessableEntity, text("Please start again.")},
	otp.ReasonUndelivered: {http.StatusBadGateway, text("The message could not be sent. Use another address.")},
	otp.ReasonUnavailable: {http.StatusServiceUnavailable, text("Please try again in a minute.")},
	otp.ReasonFull:        {http.StatusServiceUnavailable, text("Please try again in a minute.")},
}

func text(s string) func(*otp.Error) string { return func(*otp.Error) string { return s } }

// invalidCode is one text for all reasons of ErrInvalidCode.
func invalidCode(*otp.Error) string { return "The code is wrong or has expired." }

func wrongField(e *otp.Error) string { return e.Field + " is wrong." }

func later(e *otp.Error) string {
	return fmt.Sprintf("Please try again in %d s.", max(1, int((e.RetryAfter+time.Second-1)/time.Second)))
}

func elsewhere(e *otp.Error) string {
	if e.Alternatives != 0 {
		return "Use your " + strings.ReplaceAll(e.Alternatives.String(), "+", " or ") + "."
	}
	return "Please call " + e.Support + "."
}

// An HTTP API turns an error into a status and a text. Texts for the person never
// tell a wrong code from one that has expired or never was.
func ExampleReason() {
	for _, err := range []error{
		&otp.Error{Reason: otp.ReasonWrong, AttemptsLeft: 4},
		&otp.Error{Reason: otp.ReasonNotFound},
		&otp.Error{Reason: otp.ReasonTooSoon, RetryAfter: 20 * time.Second},
		&otp.Error{Reason: otp.ReasonSends, Support: "+44 20 7946 0000"},
		&otp.Error{Reason: otp.ReasonInvalid, Field: "To.Phone"},
	} {
		var e *otp.Error
		if !errors.As(err, &e) {
			continue
		}
		a := answers[e.Reason]
		fmt.Println(a.status, a.show(e))
	}
	// Output:
	// 422 The code is wrong or has expired.
	// 422 The code is wrong or has expired.
	// 429 Please try again in 20 s.
	// 409 Please call +44 20 7946 0000.
	// 422 To.Phone is wrong.
}
