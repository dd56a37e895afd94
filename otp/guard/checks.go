package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/otpcourier/otpcourier/otp"
)

// errLate is the error of a Check that took too long.
var errLate = errors.New("otp/guard: the check is late")

// ask calls the Checks.
func (g *Guard) ask(ctx context.Context, a otp.Attempt, s *settings) otp.Verdict {
	if len(s.checks) == 0 {
		return otp.Verdict{}
	}
	ctx, cancel := context.WithTimeout(ctx, g.c.CheckTimeout)
	defer cancel()
	for _, check := range s.checks {
		v, err := call(ctx, check, a)
		if err == nil {
			if v.Action != otp.Allow {
				v.Rule = cmp.Or(v.Rule, RuleCheck)
				return v
			}
			continue
		}
		failed := Alert{Rule: cmp.Or(v.Rule, RuleCheck), Key: "failed", Err: masked(err, &a)}
		if g.c.ChecksRefuse {
			failed.Action = otp.Refuse
		}
		g.tell(context.WithoutCancel(ctx), &a, failed)
		if g.c.ChecksRefuse {
			return otp.Verdict{Action: otp.Refuse, Rule: failed.Rule, Key: failed.Key}
		}
		if ctx.Err() != nil { // no time is left for the others
			return otp.Verdict{}
		}
	}
	return otp.Verdict{}
}

// masked returns err without the address that the message goes to: a Check may
// have quoted it.
func masked(err error, a *otp.Attempt) error {
	text := err.Error()
	for _, address := range [...]string{a.Phone.E164, strings.TrimPrefix(a.Phone.E164, "+"), a.Email, a.Subject} {
		if address != "" {
			text = strings.ReplaceAll(text, address, "…")
		}
	}
	return errors.New(text)
}

// call calls a Check, and does not wait for longer than ctx. A panic is an error.
func call(ctx context.Context, check Check, a otp.Attempt) (otp.Verdict, error) {
	type answer struct {
		v   otp.Verdict
		err error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // its value may hold an address
				done <- answer{err: fmt.Errorf("otp/guard: a check panicked with a %T", p)}
			}
		}()
		v, err := check(ctx, a)
		done <- answer{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return otp.Verdict{}, errLate
	}
}
