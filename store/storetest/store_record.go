package storetest

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func roundTrip(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, newCode := range []bool{false, true} {
		r := f.record(func(r *store.Record) {
			r.Created = f.now.Add(-time.Second)
			r.NewCode = newCode
			r.Key = "key of " + strconv.FormatBool(newCode)
			r.Sealed = bytes.Repeat([]byte{0, 1, 0xff, '"', '\n'}, 400)
			r.Waits = []time.Duration{time.Second, time.Minute, time.Hour}
		})
		if err := f.Create(f.Context(), r, f.now); err != nil {
			f.Fatalf("Create: %v", err)
		}
		if d := diff(f.get(r.ID), r); d != "" {
			f.Errorf("Get after Create:%s", d)
		}
	}
	bare := &store.Record{ID: newID(f.subject), Subject: f.subject, Expires: f.now.Add(time.Minute), MaxAttempts: 1}
	if err := f.Create(f.Context(), bare, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	if d := diff(f.get(bare.ID), bare); d != "" {
		f.Errorf("Get after Create of a record without optional fields:%s", d)
	}
}

func createResets(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record(func(r *store.Record) { r.Attempts, r.Sends, r.Revision = 3, 4, 5 })
	want := *r
	want.Attempts, want.Sends, want.Revision, want.NextSend = 0, 1, 0, f.now.Add(r.Waits[0])
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	if d := diff(r, &want); d != "" {
		f.Errorf("the record passed to Create:%s", d)
	}
	if d := diff(f.get(r.ID), &want); d != "" {
		f.Errorf("Get after Create:%s", d)
	}
}

func createExists(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record()
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	f.finish(r.ID, store.Cancelled, nil)
	before := f.get(r.ID)
	again := f.record(func(again *store.Record) { again.ID, again.Key = r.ID, "k2" })
	f.now = r.Expires.Add(-time.Microsecond)
	if err := f.Create(f.Context(), again, f.now); !errors.Is(err, store.ErrExists) {
		f.Fatalf("Create of a live ID: error %v, want ErrExists", err)
	}
	if d := diff(f.get(r.ID), before); d != "" {
		f.Errorf("Get after ErrExists:%s", d)
	}
}

func createAfterExpiry(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record()
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	f.attempt(r.ID, nil)
	f.update(r.ID, 0, "delivered", nil)
	f.finish(r.ID, store.Cancelled, nil)
	f.now = r.Expires
	again := f.record(func(again *store.Record) { again.ID, again.Key, again.Delivery = r.ID, "k2", []byte("new") })
	if err := f.Create(f.Context(), again, f.now); err != nil {
		f.Fatalf("Create of an expired ID: %v", err)
	}
	if d := diff(f.get(r.ID), again); d != "" {
		f.Errorf("Get after the second Create:%s", d)
	}
}

func copies(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record()
	want := newRecord(f.subject, f.now)
	want.ID, want.Sends, want.NextSend = r.ID, 1, f.now.Add(r.Waits[0])
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	id := r.ID
	scribble(r)
	got := f.get(id)
	if d := diff(got, want); d != "" {
		f.Fatalf("Get after the caller changed what it had passed to Create:%s", d)
	}
	for _, b := range [][]byte{got.Salt, got.Sealed, got.Delivery} {
		_ = append(b, "overrun"...)
	}
	if d := diff(got, want); d != "" {
		f.Fatalf("appending to one field of a record changed another:%s", d)
	}
	scribble(got)
	if d := diff(f.get(id), want); d != "" {
		f.Fatalf("Get after the caller changed what Get had returned:%s", d)
	}
	delivery := []byte("delivered")
	got, err := f.Update(f.Context(), id, 0, delivery, f.now)
	f.wants("Update", got, err, nil)
	clear(delivery)
	scribble(got)
	want.Delivery, want.Revision = []byte("delivered"), 1
	if d := diff(f.get(id), want); d != "" {
		f.Fatalf("Get after the caller changed what Update was given and returned:%s", d)
	}
	scribble(f.attempt(id, nil))
	scribble(f.resend(id, store.ErrTooSoon))
	scribble(f.finish(id, store.Cancelled, nil))
	want.Attempts, want.Outcome = 1, store.Cancelled
	if d := diff(f.get(id), want); d != "" {
		f.Fatalf("Get after the caller changed what other methods had returned:%s", d)
	}
}

// scribble writes over all that r holds.
func scribble(r *store.Record) {
	for _, b := range [][]byte{r.Salt, r.Sealed, r.Delivery} {
		for i := range b {
			b[i] = '!'
		}
	}
	clear(r.Waits)
	*r = store.Record{}
}

// all calls every method that takes the ID of a challenge.
func (f *fixture) all(id string, check func(op string, r *store.Record, err error)) {
	r, err := f.Get(f.Context(), id, f.now)
	check("Get", r, err)
	r, err = f.Attempt(f.Context(), id, f.now)
	check("Attempt", r, err)
	r, err = f.Resend(f.Context(), id, f.now)
	check("Resend", r, err)
	r, err = f.Update(f.Context(), id, 0, nil, f.now)
	check("Update", r, err)
	r, err = f.Finish(f.Context(), id, store.Verified, f.now)
	check("Finish", r, err)
}

func notFound(t tester, s store.Store) {
	f := newFixture(t, s)
	f.create()
	f.all(newID(f.subject), func(op string, r *store.Record, err error) {
		if !errors.Is(err, store.ErrNotFound) || r != nil {
			f.Errorf("%s of an unknown ID: %v, error %v, want nil, ErrNotFound", op, r, err)
		}
	})
}

func expiry(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, after := range []time.Duration{0, time.Microsecond, time.Hour} {
		r := f.record(maxFailures(0))
		if err := f.Create(f.Context(), r, f.now); err != nil {
			f.Fatalf("Create: %v", err)
		}
		f.now = r.Expires.Add(-time.Microsecond)
		f.get(r.ID)
		f.attempt(r.ID, nil)
		f.now = r.Expires.Add(after)
		f.all(r.ID, func(op string, _ *store.Record, err error) {
			if !errors.Is(err, store.ErrExpired) && !errors.Is(err, store.ErrNotFound) {
				f.Errorf("%s %v after Expires: error %v, want ErrExpired or ErrNotFound", op, after, err)
			}
		})
	}
}

func update(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create()
	want := f.get(id)
	for i, delivery := range []string{"longer than what it replaces, by far", "", "short"} {
		want.Delivery, want.Revision = []byte(delivery), uint64(i+1)
		if d := diff(f.update(id, uint64(i), delivery, nil), want); d != "" {
			f.Errorf("Update %d:%s", i+1, d)
		}
		if d := diff(f.get(id), want); d != "" {
			f.Errorf("Get after Update %d:%s", i+1, d)
		}
	}
	f.finish(id, store.Verified, nil)
	if r := f.update(id, 3, "after the end", nil); string(r.Delivery) != "after the end" ||
		r.Outcome != store.Verified {
		f.Errorf("Update of a closed challenge: Delivery %q, %v", r.Delivery, r.Outcome)
	}
}

func updateConflict(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create()
	f.update(id, 0, "first", nil)
	for _, revision := range []uint64{0, 2, 1 << 40} {
		r := f.update(id, revision, "second", store.ErrConflict)
		if string(r.Delivery) != "first" || r.Revision != 1 {
			f.Errorf("with ErrConflict: Delivery %q, Revision %d, want the newer record", r.Delivery, r.Revision)
		}
	}
	f.now = f.get(id).NextSend
	f.resend(id, nil)
	f.update(id, 1, "second", store.ErrConflict)
	f.update(id, 2, "second", nil)
}

func parallelUpdates(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(func(r *store.Record) { r.Delivery = []byte("0") })
	const goroutines, each = 16, 8
	parallel(goroutines, func(int) {
		for range each {
			r, err := f.Get(f.Context(), id, f.now)
			for {
				if err != nil {
					f.Errorf("Get or Update: %v", err)
					return
				}
				n, _ := strconv.Atoi(string(r.Delivery))
				r, err = f.Update(f.Context(), id, r.Revision, strconv.AppendInt(nil, int64(n+1), 10), f.now)
				if err == nil {
					break
				}
				if errors.Is(err, store.ErrConflict) {
					err = nil
				}
			}
		}
	})
	r := f.get(id)
	if want := strconv.Itoa(goroutines * each); string(r.Delivery) != want || r.Revision != goroutines*each {
		f.Errorf("after %s increments: counter %s, Revision %d", want, r.Delivery, r.Revision)
	}
}

func resend(t tester, s store.Store) {
	f := newFixture(t, s)
	waits := []time.Duration{30 * time.Second, time.Minute}
	id := f.create(func(r *store.Record) { r.Waits = waits })
	for i, wait := range waits {
		due := f.now.Add(wait)
		if r := f.get(id); !r.NextSend.Equal(due) || r.Sends != i+1 {
			f.Fatalf("before resend %d: Sends %d, NextSend %v, want %d, %v", i+1, r.Sends, r.NextSend, i+1, due)
		}
		f.now = due.Add(-time.Microsecond)
		if r := f.resend(id, store.ErrTooSoon); !r.NextSend.Equal(due) {
			f.Errorf("with ErrTooSoon: NextSend %v, want %v", r.NextSend, due)
		}
		f.now = due
		if r := f.resend(id, nil); r.Sends != i+2 || r.Revision != uint64(i+1) {
			f.Errorf("resend %d: Sends %d, Revision %d", i+1, r.Sends, r.Revision)
		}
	}
	f.now = f.now.Add(2 * time.Minute)
	if r := f.resend(id, store.ErrExhausted); !r.NextSend.IsZero() || r.Sends != len(waits)+1 {
		f.Errorf("with sends used up: Sends %d, NextSend %v, want %d, zero", r.Sends, r.NextSend, len(waits)+1)
	}
}

func noResend(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(func(r *store.Record) { r.Waits = nil })
	if r := f.resend(id, store.ErrExhausted); r.Sends != 1 || !r.NextSend.IsZero() {
		f.Errorf("Sends %d, NextSend %v, want 1, zero", r.Sends, r.NextSend)
	}
}

func parallelResends(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create()
	for want := 2; want <= 3; want++ {
		f.now = f.get(id).NextSend
		tooSoon := store.ErrTooSoon
		if want == 3 {
			tooSoon = store.ErrExhausted
		}
		won := count(racers, func() error {
			_, err := f.Resend(f.Context(), id, f.now)
			return err
		}, nil, f, tooSoon)
		if r := f.get(id); won != 1 || r.Sends != want || r.Revision != uint64(want-1) {
			f.Errorf("%d of %d parallel Resends won, Sends %d, Revision %d; want 1, %d, %d", won, racers, r.Sends,
				r.Revision, want, want-1)
		}
	}
}
