package storetest

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func recordCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"round trip", "every field comes back as it was stored, times as the same instants", roundTrip},
		{"create resets", "Create sets Attempts 0 and Revision 0, in the record passed too", createResets},
		{"create exists",
			"Create returns ErrExists while a record of the ID and another Salt has not expired, and changes nothing",
			createExists},
		{"create after expiry", "an ID whose record has expired can be created again, and starts anew",
			createAfterExpiry},
		{"copies", "records handed in and out are the caller's own", copies},
		{"not found", "an unknown ID is ErrNotFound", notFound},
		{"expiry", "a challenge is found until now reaches its Expires, and from then on is ErrExpired or ErrNotFound",
			expiry},
		{"update", "Update replaces Delivery and counts Revision, on a closed challenge too", update},
		{"update conflict", "Update returns ErrConflict and the newer record once Updates moved Revision on",
			updateConflict},
		{"parallel updates", "compare-and-swap: no update is lost", parallelUpdates},
		{"parallel methods", "of Updates beside Attempts, and beside a Finish, none undoes another", parallelMethods},
		{"none evicted", "a record, and a subject's lock, outlive thousands of others; ErrFull refuses the new ones",
			noneEvicted},
	}
}

func roundTrip(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, newCode := range []bool{false, true} {
		r := f.record(func(r *store.Record) {
			r.Created = f.now.Add(-time.Second)
			r.NewCode = newCode
			r.Key = "key of " + strconv.FormatBool(newCode)
			r.Sealed = bytes.Repeat([]byte{0, 1, 0xff, '"', '\n'}, 400)
			r.Group = "\x00 16 octets, \r\n\xff"
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
		f.Errorf("Get after Create of a record without optional fields, and Created the zero time:%s", d)
	}
}

func createResets(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record(func(r *store.Record) { r.Attempts, r.Revision = 3, 5 })
	want := *r
	want.Attempts, want.Revision = 0, 0
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
	f.now = r.Expires.Add(-time.Microsecond)
	n := len(r.Salt)
	for what, salt := range map[string][]byte{
		"another Salt": newSalt(), "no Salt": nil, "a longer Salt": append(r.Salt[:n:n], 0),
		"a shorter Salt":        r.Salt[:n-1],
		"a Salt of another end": append(r.Salt[:n-1:n-1], ^r.Salt[n-1]),
	} {
		again := f.record(func(again *store.Record) { again.ID, again.Salt = r.ID, salt })
		if err := f.Create(f.Context(), again, f.now); !errors.Is(err, store.ErrExists) {
			f.Fatalf("Create of a live ID with %s: error %v, want ErrExists", what, err)
		}
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
	charged, won := newToken(), newToken()
	f.attempt(r.ID, nil)
	f.attemptAs(r.ID, charged, nil)
	f.update(r.ID, 0, "delivered", nil)
	f.finishAs(r.ID, store.Cancelled, won, nil)
	f.now = r.Expires
	again := f.record(func(again *store.Record) { again.ID, again.Key, again.Delivery = r.ID, "k2", []byte("new") })
	if err := f.Create(f.Context(), again, f.now); err != nil {
		f.Fatalf("Create of an ID whose record has expired: error %v, want the new record in its place", err)
	}
	f.reads("Get after the second Create", f.get(r.ID), again)
	again.Attempts = 1
	f.reads("Attempt with a token of the first", f.attemptAs(r.ID, charged, nil), again)
	f.finishAs(r.ID, store.Cancelled, won, nil)
	again.Outcome = store.Cancelled
	f.reads("Get after Finish with a token of the first", f.get(r.ID), again)
}

func copies(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record()
	want := newRecord(f.subject, f.now)
	want.ID, want.Salt = r.ID, bytes.Clone(r.Salt)
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
	charged, won := newToken(), newToken()
	for range 2 {
		scribble(f.attemptAs(id, charged, nil))
	}
	for range 2 {
		scribble(f.finishAs(id, store.Cancelled, won, nil))
	}
	for range 2 {
		scribble(f.attempt(id, store.ErrClosed))
		scribble(f.finish(id, store.Verified, store.ErrClosed))
		scribble(f.update(id, 0, "late", store.ErrConflict))
	}
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
	*r = store.Record{}
}

// all calls every method that takes the ID of a challenge.
func (f *fixture) all(id string, check func(op string, r *store.Record, err error)) {
	r, err := f.Get(f.Context(), id, f.now)
	check("Get", r, err)
	r, err = f.Attempt(f.Context(), id, newToken(), f.now)
	check("Attempt", r, err)
	r, err = f.Update(f.Context(), id, 0, nil, f.now)
	check("Update", r, err)
	r, err = f.Finish(f.Context(), id, store.Verified, newToken(), f.now)
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
		token := newToken()
		f.attemptAs(r.ID, token, nil)
		f.finishAs(r.ID, store.Cancelled, token, nil)
		f.now = r.Expires.Add(after)
		gone := func(op string, got *store.Record, err error) {
			f.Helper()
			if !errors.Is(err, store.ErrExpired) && !errors.Is(err, store.ErrNotFound) {
				f.Errorf("%s %v after Expires: error %v, want ErrExpired or ErrNotFound", op, after, err)
			} else if errors.Is(err, store.ErrExpired) == (got == nil) {
				f.Errorf("%s %v after Expires: error %v and record %v, want a record with ErrExpired only", op, after,
					err, got)
			}
		}
		f.all(r.ID, gone)
		again, err := f.Attempt(f.Context(), r.ID, token, f.now)
		gone("a repeated Attempt", again, err)
		again, err = f.Finish(f.Context(), r.ID, store.Cancelled, token, f.now)
		gone("a repeated Finish", again, err)
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
	f.update(id, 1, "second", nil)
	f.update(id, 1, "third", store.ErrConflict)
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
	f.contend("Update of one revision", store.ErrConflict, func(id string, _ int) error {
		_, err := f.Update(f.Context(), id, 0, []byte("delivered"), f.now)
		return err
	})
}

// updateOnce reads the record, and updates it until no other update comes between.
func (f *fixture) updateOnce(id string) {
	for {
		r, err := f.Get(f.Context(), id, f.now)
		if err == nil {
			_, err = f.Update(f.Context(), id, r.Revision, []byte("delivered"), f.now)
		}
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			f.Errorf("Get or Update: %v", err)
		}
		return
	}
}

func parallelMethods(t tester, s store.Store) {
	f := newFixture(t, s)
	const half = racers / 2
	for range 4 {
		id, closed := f.create(maxAttempts(racers), maxFailures(0)), f.create()
		parallel(racers, func(i int) {
			if i < half {
				f.updateOnce(id)
			} else if _, err := f.Attempt(f.Context(), id, newToken(), f.now); err != nil {
				f.Errorf("Attempt: %v", err)
			}
		})
		if r := f.get(id); r.Attempts != half || r.Revision != half {
			f.Errorf("after %d Attempts and as many Updates: Attempts %d, Revision %d", half, r.Attempts, r.Revision)
		}
		parallel(half, func(i int) {
			if i > 0 {
				f.updateOnce(closed)
			} else if _, err := f.Finish(f.Context(), closed, store.Verified, newToken(), f.now); err != nil {
				f.Errorf("Finish: %v", err)
			}
		})
		if r := f.get(closed); r.Outcome != store.Verified || r.Revision != half-1 {
			f.Errorf("after a Finish and %d Updates: %v, Revision %d", half-1, r.Outcome, r.Revision)
		}
	}
}

// crowd is how many things a case adds to see if the first is evicted.
const crowd = 2100

func noneEvicted(t tester, s store.Store) {
	f := newFixture(t, s)
	id, locked := f.create(), unique("locked-")
	f.update(id, 0, "delivered", nil)
	want := f.get(id)
	create := func(subject string) {
		r := newRecord(subject, f.now, maxFailures(1))
		err := f.Create(f.Context(), r, f.now)
		if err == nil {
			_, err = f.Attempt(f.Context(), r.ID, newToken(), f.now)
		}
		if err != nil && !errors.Is(err, store.ErrFull) {
			f.Errorf("Create or Attempt: %v, want success or ErrFull", err)
		}
	}
	create(locked)
	parallel(racers, func(int) {
		for range crowd / racers {
			create(unique("other-"))
		}
	})
	f.reads("Get", f.get(id), want)
	f.subject = locked
	f.refused(store.ErrLocked)
}
