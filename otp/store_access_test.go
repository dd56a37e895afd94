package otp_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// rewriting is a store that somebody else has write access to.
type rewriting struct {
	backend
	change func(r *store.Record) // unless nil, to what the store returns
}

func (w *rewriting) changed(r *store.Record, err error) (*store.Record, error) {
	if r != nil && w.change != nil {
		w.change(r)
	}
	return r, err
}

func (w *rewriting) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return w.changed(w.backend.Get(ctx, id, now))
}

func (w *rewriting) Attempt(ctx context.Context, id string, token store.Token, now time.Time) (*store.Record, error) {
	return w.changed(w.backend.Attempt(ctx, id, token, now))
}

func (w *rewriting) Finish(ctx context.Context, id string, o store.Outcome, token store.Token,
	now time.Time) (*store.Record, error) {
	return w.changed(w.backend.Finish(ctx, id, o, token, now))
}

// kept are the fields of a record that the store itself changes. The others
// never change: the code depends on them, or they are signed.
var kept = []string{"Attempts", "Outcome", "LockedUntil", "Revision"}

// changes returns what somebody may make of a field.
func changes(v reflect.Value) (all []reflect.Value) {
	switch x := v.Interface().(type) {
	case string:
		first := map[bool]string{true: "y", false: "x"}[x[0] == 'x']
		for _, s := range []string{"", x + "x", x[:len(x)-1], first + x[1:]} {
			all = append(all, reflect.ValueOf(s))
		}
	case []byte:
		for i := range x {
			b := slices.Clone(x)
			b[i] ^= 1
			all = append(all, reflect.ValueOf(b))
		}
		all = append(all, reflect.ValueOf([]byte{}), reflect.ValueOf(append(slices.Clone(x), 0)),
			reflect.ValueOf(x[:len(x)-1]))
	case time.Time:
		for _, d := range []time.Duration{time.Hour, -time.Hour, time.Microsecond} {
			all = append(all, reflect.ValueOf(x.Add(d)))
		}
	case bool:
		all = append(all, reflect.ValueOf(!x))
	case int:
		all = append(all, reflect.ValueOf(x+1), reflect.ValueOf(1000), reflect.ValueOf(0))
	case time.Duration:
		all = append(all, reflect.ValueOf(x+1), reflect.ValueOf(time.Duration(0)))
	}
	return all
}

// No write to the store makes a code valid for longer, for more guesses, for
// another subject or purpose, or more codes valid: with any field of its record
// changed, no code passes.
func TestNoCodePassesWithAChangedRecord(t *testing.T) {
	t.Parallel()
	for _, newCode := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &rewriting{backend: newStore(t)}
			r := newRig(t, func(c *otp.Config) {
				c.Store = w
				c.Policy.NewCode, c.Policy.PerRecipient, c.Policy.MaxFailures = newCode, []otp.Rate{}, 100
			})
			typ := reflect.TypeFor[store.Record]()
			for i := range typ.NumField() {
				f := typ.Field(i)
				if slices.Contains(kept, f.Name) {
					continue
				}
				if f.Name == "Group" { // CancelAll's, which whoever writes to the store can undo
					continue
				}
				var c *otp.Challenge
				var subject string
				for n, tries := 0, 1; n < tries; n++ {
					if n%4 == 0 {
						w.change = nil
						subject = fmt.Sprint(f.Name, n)
						c = r.send(t, otp.Request{Subject: subject, Purpose: "login"})
					}
					w.change = func(rec *store.Record) {
						field := reflect.ValueOf(rec).Elem().Field(i)
						all := changes(field)
						tries = len(all)
						field.Set(all[min(n, tries-1)]) // deliveries differ in length by an octet
					}
					m := r.a.messages()
					v := otp.Verification{ID: c.ID, Subject: subject, Purpose: "login", Code: m[len(m)-1].Code}
					if err := verify(t.Context(), r, v); err == nil {
						t.Errorf("the code passes with another %s, change %d", f.Name, n)
						n = 4*(n/4) + 3
					}
				}
			}
			w.change = nil // they pass as they are
			c := r.send(t, otp.Request{Purpose: "login"})
			m := r.a.messages()
			if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Purpose: "login",
				Code: m[len(m)-1].Code}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Nor does a changed delivery have a message sent, or a state believed.
func TestNothingIsSentWithAChangedRecord(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"Delivery", "Sealed", "Salt", "Expires", "Created", "Subject", "ID", "MaxAttempts",
		"NewCode"} {
		synctest.Test(t, func(t *testing.T) {
			w := &rewriting{backend: newStore(t)}
			r := newRig(t, func(c *otp.Config) { c.Store = w })
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			work(t, r.Service)
			c := r.send(t, otp.Request{})
			w.change = func(rec *store.Record) {
				f := reflect.ValueOf(rec).Elem().FieldByName(field)
				f.Set(changes(f)[0])
			}
			if s, err := r.Status(t.Context(), ref(c.ID)); err == nil {
				t.Errorf("%s: %+v", field, s)
			}
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err == nil {
				t.Errorf("%s: a Resend succeeds", field)
			}
			time.Sleep(4 * time.Minute)
			if got := r.sent(); got != [3]int{1, 0, 0} {
				t.Errorf("%s: messages %v", field, got)
			}
		})
	}
}

// A record of one's own in the place of another's does not help: neither the
// code that came to oneself passes for the other, nor one's own subject with it.
func TestRecordInAnothersPlace(t *testing.T) {
	t.Parallel()
	w := &rewriting{backend: newStore(t)}
	r := newRig(t, func(c *otp.Config) { c.Store = w })
	victim := r.send(t, otp.Request{Subject: "ann", Purpose: "login"})
	own := &sameStore{backend: w.backend}
	r.cfg.Store = own
	_, err := r.another(t).Send(t.Context(), otp.Request{Subject: "eve", Purpose: "login"})
	if err == nil {
		t.Fatal("a request without an address")
	}
	mine, err := r.another(t).Send(t.Context(), otp.Request{Subject: "eve", Purpose: "login", To: both})
	if err != nil {
		t.Fatal(err)
	}
	_ = mine
	code := r.a.messages()[1].Code
	for _, id := range []bool{false, true} { // with the victim's ID in it, too
		w.change = func(rec *store.Record) {
			at := rec.ID
			*rec = *own.record
			if id {
				rec.ID = at
			}
		}
		if err := verify(t.Context(), r, otp.Verification{ID: victim.ID, Subject: "ann", Purpose: "login",
			Code: code}); err == nil {
			t.Errorf("id=%v: the code passes for another's challenge", id)
		}
	}
}

// Two IDs of one subject look as unlike as those of two.
func TestIDsOfOneSubjectLookUnrelated(t *testing.T) {
	t.Parallel()
	const n = 256
	s := benchConfig(t)
	agree := func(subject func(i int) string, key func(i int) string) (most int) {
		var ids []string
		for i := range n {
			c, err := s.Send(t.Context(), otp.Request{Subject: subject(i), To: both, IdempotencyKey: key(i)})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, c.ID)
		}
		for at := range len(ids[0]) - 1 { // the last character has few values
			count := map[byte]int{}
			for _, id := range ids {
				count[id[at]]++
				most = max(most, count[id[at]])
			}
		}
		return most
	}
	none := func(int) string { return "" }
	for name, most := range map[string]int{
		"one subject": agree(func(int) string { return "u1" }, none),
		"one subject, keys": agree(func(int) string { return "u1" },
			func(i int) string { return fmt.Sprint(i) }),
		"many subjects": agree(func(i int) string { return fmt.Sprint(i) }, none),
		"many subjects with one key": agree(func(i int) string { return fmt.Sprint("k", i) },
			func(int) string { return "k" }),
	} {
		if most > 30 { // of 256, 8 are to be expected, and 30 are eight standard deviations more
			t.Errorf("%s: %d IDs of %d have the same character in one place", name, most, n)
		}
	}
}

// benchConfig is a Service without limits that sends nowhere.
func benchConfig(t *testing.T) *otp.Service {
	t.Helper()
	r := newRig(t, func(c *otp.Config) {
		c.Channel, c.Receipts, c.Events = sink, nil, nil
		c.Policy.PerRecipient, c.Policy.PerIP = []otp.Rate{}, []otp.Rate{}
	})
	return r.Service
}
