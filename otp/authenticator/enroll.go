package authenticator

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

const (
	maxTokens   = 10 // confirmed, of a subject
	maxPending  = 3  // waiting for their Confirm
	maxConfirms = 10 // wrong codes for a pending token
)

// A Request describes a new token. Subject is required. Account is required unless
// there is a Key.
type Request struct {
	// Subject is the program's name for the person: 1 to 256 octets.
	Subject string

	// Account is the account's name in the person's app, below Config.Issuer: an
	// address or a user name, up to 256 octets without a colon.
	Account string

	// Name is the person's name for the token, for example "Ann's phone". At most 64
	// octets. Default: none.
	Name string

	// Replaces is the ID of a token to revoke in the same step in which this one is
	// confirmed. Default: none.
	Replaces string

	// Key is the key of a hard token, or the existing key of an app. Default: a
	// new key for an app, with 160 random bits, SHA-1, six digits and 30 s. All apps
	// support this set, and only this one.
	Key *Key

	// Confirmed says that codes of the Key were accepted elsewhere before. It then
	// needs no Confirm.
	Confirmed bool
}

// String names no person and no secret.
func (r Request) String() string { return "authenticator.Request" }

// GoString is String.
func (r Request) GoString() string { return r.String() }

// LogValue is String.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String.
func (r Request) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// An Enrolment is shown to the person once. PNG and SVG draw the QR code that the app
// scans. Prints and logs of it show no secret; its fields do.
type Enrolment struct {
	ID string // Token.ID

	// URI is the content of the QR code. As a link it helps a person whose app is on
	// the device that shows the page, because a camera does not see its own screen.
	// It is a secret: it must not be in a log or in another URL.
	URI string

	// Secret is the secret for typing: base32 in groups of four. Apps ignore the
	// spaces.
	Secret string
}

// String names the token and no secret.
func (e Enrolment) String() string { return "authenticator.Enrolment(" + e.ID + ")" }

// GoString is String.
func (e Enrolment) GoString() string { return e.String() }

// LogValue is String.
func (e Enrolment) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON is String.
func (e Enrolment) MarshalJSON() ([]byte, error) { return json.Marshal(e.String()) }

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// Enroll stores a token that waits for its [Service.Confirm] for Policy.Pending. A
// subject may have three waiting tokens; a fourth replaces the oldest. If the page is
// loaded again, it shows another QR code, and the first still works. A subject may
// have ten confirmed tokens. Otherwise the error is otp.ReasonFull. The caller must
// have verified the subject by a fresh login.
//
// If the Request has a Key and no Account, the Enrolment has no URI and no Secret.
// Errors match otp.ErrInvalidRequest, with the Field, or otp.ErrUnavailable.
func (s *Service) Enroll(ctx context.Context, r Request) (*Enrolment, error) {
	if err := s.validate(&r); err != nil {
		return nil, err
	}
	k := r.Key
	if k == nil {
		k = &Key{Secret: newSecret(), App: true, Digits: 6, Period: softPeriod}
	}
	t := newToken(k, s.c.Policy)
	_, _ = rand.Read(t.id[:]) // never fails, see crypto/rand
	t.secret, t.name = bytes.Clone(k.Secret), r.Name
	replaces := parseTokenID(r.Replaces)
	err := s.update(ctx, r.Subject, func(v *value, now int64) (error, bool) {
		if r.Replaces != "" && v.find(replaces) == nil {
			return invalid("Replaces", "the subject has no such token"), false
		}
		if t.ends != 0 && t.ends <= now {
			return invalid("Key.Expires", "the token has expired"), false
		}
		t.created, t.pending, t.replaces = now, now+int64(s.c.Policy.Pending/time.Second), replaces
		if r.Confirmed {
			t.pending = 0
		}
		return v.add(t, now)
	})
	e := Event{Kind: EventEnrolled}
	e.about(t.public())
	s.report(ctx, r.Subject, e, err)
	if err != nil {
		return nil, err
	}
	out := &Enrolment{ID: t.id.String()}
	if r.Account != "" {
		out.URI, out.Secret = uri(s.c.Issuer, r.Account, k), inFours(base32Text.EncodeToString(k.Secret), " ")
	}
	return out, nil
}

// validate checks a Request before anything is stored.
func (s *Service) validate(r *Request) error {
	if r.Account != "" || r.Key == nil {
		if why := badLabel(r.Account, maxAccount); why != "" {
			return invalid("Account", why)
		}
	}
	if why := badText(r.Name, maxName); why != "" {
		return invalid("Name", why)
	}
	if r.Key == nil {
		if r.Confirmed {
			return invalid("Confirmed", "a new secret must be confirmed by a code: Confirmed needs a Key")
		}
		return nil
	}
	if field, why := r.Key.fault(); why != nil {
		return &otp.Error{Reason: otp.ReasonInvalid, Field: "Key." + field, Err: why}
	}
	return nil
}

// add adds a token, in place of the tokens that it replaces.
func (v *value) add(t token, now int64) (answer error, write bool) {
	for i := range v.tokens {
		if o := &v.tokens[i]; o.pending == 0 && o.hotp == t.hotp && bytes.Equal(o.secret, t.secret) &&
			o.id != t.replaces {
			return invalid("Key.Secret", "the subject has a token of this secret"), false
		}
	}
	waiting := 0
	for i := len(v.tokens) - 1; i >= 0; i-- { // the newest first
		o := &v.tokens[i]
		if o.pending == 0 {
			continue
		}
		if waiting++; !o.waits(now) || waiting >= maxPending || bytes.Equal(o.secret, t.secret) {
			o.pending = -1
		}
	}
	v.drop(func(o *token) bool { return o.pending < 0 || t.pending == 0 && o.id == t.replaces })
	if v.full(t.replaces) {
		return refuse(otp.ReasonFull), false
	}
	v.tokens = append(v.tokens, t)
	return nil, true
}

// full reports whether there is no room for a token that replaces another.
func (v *value) full(replaces tokenID) bool {
	confirmed := 0
	for i := range v.tokens {
		if t := &v.tokens[i]; t.pending == 0 && t.id != replaces {
			confirmed++
		}
	}
	return confirmed >= maxTokens
}

// Confirm confirms the waiting token that produced code, and uses the code up. Verify
// accepts its codes from then on. It revokes the token's Replaces, and drops the
// other waiting tokens. A hard token with a wrong clock or counter needs two
// consecutive codes, code and next, as in [Service.Resync].
//
// After ten wrong codes a waiting token is dropped. These failures are not charged to
// the subject's logins. Errors are as those of Verify; after Policy.Pending any code
// is wrong.
func (s *Service) Confirm(ctx context.Context, subject, code string, next ...string) (*Token, error) {
	var got *Token
	e := Event{Kind: EventConfirmed}
	err := s.confirm(ctx, subject, code, next, &got, &e)
	if err != nil {
		got = nil
	} else {
		e.about(got)
	}
	s.report(ctx, subject, e, err)
	return got, err
}

func (s *Service) confirm(
	ctx context.Context, subject, code string, next []string, got **Token, e *Event,
) error {
	typed := make([]string, 0, 2)
	for _, c := range append([]string{code}, next...) {
		c, ok := clean(c)
		if !ok {
			return refuse(otp.ReasonMalformed)
		}
		typed = append(typed, c)
	}
	if len(typed) > 2 {
		return invalid("next", "two codes are enough")
	}
	return s.update(ctx, subject, func(v *value, now int64) (error, bool) {
		*got, e.Failures = nil, 0
		for i := len(v.tokens) - 1; i >= 0; i-- { // the newest first
			t := &v.tokens[i]
			if !t.waits(now) || !t.valid(now) || !t.confirmedBy(typed, s.c.Policy, now) {
				continue
			}
			if v.full(t.replaces) {
				return refuse(otp.ReasonFull), false
			}
			*got = v.confirm(i).public()
			return nil, true
		}
		return v.failConfirm(now, e)
	})
}

// confirmedBy reports whether one code, or two consecutive ones, belong to the token,
// and uses them up.
func (t *token) confirmedBy(typed []string, p Policy, now int64) bool {
	if len(typed) == 1 {
		verdict, step := t.check(typed[0], p, now)
		if verdict == right {
			t.take(step, now)
		}
		return verdict == right
	}
	at, found := t.find(typed[0], typed[1], p, now)
	if found {
		t.take(at, now)
		if t.maxDrift > 0 {
			t.allowDrift(p)
		}
	}
	return found
}

// confirm confirms the i-th token, and returns it.
func (v *value) confirm(i int) *token {
	t := v.tokens[i]
	replaces := t.replaces
	t.pending, t.failures, t.replaces, t.used = 0, 0, tokenID{}, 0
	v.tokens[i] = t
	v.drop(func(o *token) bool { return o.pending != 0 || o.id == replaces && replaces != tokenID{} })
	return v.find(t.id)
}

// failConfirm counts a wrong code with each waiting token, and drops tokens with too
// many.
func (v *value) failConfirm(now int64, e *Event) (answer error, write bool) {
	any := false
	err := refuse(otp.ReasonWrong)
	for i := range v.tokens {
		t := &v.tokens[i]
		any = any || t.pending != 0
		if !t.waits(now) {
			continue
		}
		t.failures++
		e.Failures = max(e.Failures, t.failures)
		err.AttemptsLeft = max(err.AttemptsLeft, maxConfirms-t.failures)
		write = true
	}
	if !any {
		return refuse(otp.ReasonNotFound), false
	}
	v.drop(func(t *token) bool { return t.pending != 0 && t.failures >= maxConfirms })
	return err, write
}
