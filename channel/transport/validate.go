package transport

import (
	"fmt"
	"log/slog"
	"time"
)

// A Validator collects the first error of a Config and fills in defaults. After
// an error its methods do nothing. It is not safe for concurrent use.
type Validator struct {
	at  string
	err error
}

// Validate returns a Validator whose errors begin with at, for example "smpp:
// Config.", and the name of the field.
func Validate(at string) *Validator { return &Validator{at: at} }

// Err returns the first error, or nil.
func (v *Validator) Err() error { return v.err }

// Failed reports whether a field was wrong.
func (v *Validator) Failed() bool { return v.err != nil }

// Check records an error, "field: problem", unless ok. The problem is formatted
// with args. It must not repeat a secret.
func (v *Validator) Check(ok bool, field, problem string, args ...any) {
	if !ok {
		v.Error(field, fmt.Errorf(problem, args...))
	}
}

// Error records err as the error of a field, unless err is nil.
func (v *Validator) Error(field string, err error) {
	if err != nil && v.err == nil {
		v.err = fmt.Errorf("%s%s: %w", v.at, field, err)
	}
}

// Duration refuses a negative duration, and replaces zero by the default.
func (v *Validator) Duration(field string, d *time.Duration, def time.Duration) {
	if v.Check(*d >= 0, field, "%v is negative", *d); *d == 0 {
		*d = def
	}
}

// Int replaces zero by the default, and refuses other numbers outside
// least..most.
func (v *Validator) Int(field string, n *int, least, def, most int) {
	if *n == 0 {
		*n = def
		return
	}
	v.Check(least <= *n && *n <= most, field, "%d is not within %d..%d", *n, least, most)
}

// Logger sets *l to a logger that discards everything, if it is nil.
func (v *Validator) Logger(l **slog.Logger) {
	if *l == nil {
		*l = slog.New(slog.DiscardHandler)
	}
}

// Steps runs functions that validate a part each, and records the first error.
// Use it for a Config of many fields.
func (v *Validator) Steps(steps ...func(*Validator)) error {
	for _, step := range steps {
		if step(v); v.err != nil {
			break
		}
	}
	return v.err
}
