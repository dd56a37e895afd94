package pgstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// createdBy calls Create of the function that takes any call.
func (s *Store) createdBy(t *testing.T, r *store.Record, now time.Time) error {
	t.Helper()
	var status int
	var locked int64
	if err := s.row(t.Context(), []any{&status, &locked}, s.sql.createAny, rowOf(r, now)...); err != nil {
		t.Fatal(err)
	}
	return created(r, status, locked)
}

// challenges returns all that is kept of them.
func challenges(t *testing.T, s *Store) (all string) {
	t.Helper()
	err := s.db.QueryRow(t.Context(), `SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM `+s.schema+
		`.challenges c`).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A pair is two Stores that get the same calls: plain uses plain statements where it can, and by uses
// functions only.
type pair struct {
	t         *testing.T
	plain, by *Store
	done      map[string]int // calls of a batch that its statement has done
}

func (p pair) create(r store.Record, now time.Time) (results [2]attemptResult) {
	a, b := r, r
	results[0] = attemptResult{&a, p.plain.Create(p.t.Context(), &a, now)}
	results[1] = attemptResult{&b, p.by.createdBy(p.t, &b, now)}
	return results
}

func (p pair) attempt(id string, token store.Token, now time.Time) (results [2]attemptResult) {
	r, err := p.plain.Attempt(p.t.Context(), id, token, now)
	return [2]attemptResult{{r, err}, alone(p.t, p.by, charge{id, token, now})}
}

func (p pair) finish(id string, o store.Outcome, token store.Token, now time.Time) (results [2]attemptResult) {
	ctx := p.t.Context()
	r, err := p.plain.Finish(ctx, id, o, token, now)
	s, by := p.by.onChallenge(ctx, p.by.sql.finishAny, id, int(o), int64(token), nanos(now))
	return [2]attemptResult{{r, err}, {s, by}}
}

func (p pair) update(id string, revision uint64, text string, now time.Time) (results [2]attemptResult) {
	ctx := p.t.Context()
	r, err := p.plain.Update(ctx, id, revision, []byte(text), now)
	s, by := p.by.onChallenge(ctx, p.by.sql.updateAny, id, int64(revision), []byte(text), nanos(now))
	return [2]attemptResult{{r, err}, {s, by}}
}

// inOrder returns the places of a batch's calls: those that were done come first.
func inOrder(records []*store.Record) (order []int) {
	for i, r := range records {
		if r != nil {
			order = append(order, i)
		}
	}
	for i, r := range records {
		if r == nil {
			order = append(order, i)
		}
	}
	return order
}

// done returns how many calls of a batch were done.
func done(records []*store.Record) (n int) {
	for _, r := range records {
		if r != nil {
			n++
		}
	}
	return n
}

// finishAll finishes as if all calls came at one time, and returns the results of the first call that
// differ, or of the last.
func (p pair) finishAll(batch []finishing) (results [2]attemptResult) {
	ctx := p.t.Context()
	records, err := p.plain.finish(ctx, batch)
	if err != nil {
		p.t.Fatal(err)
	}
	p.done["finish"] += done(records)
	for _, i := range inOrder(records) {
		f := batch[i]
		args := []any{int(store.Verified), int64(f.token), nanos(f.now)}
		results[0] = attemptResult{records[i], nil}
		if records[i] == nil {
			results[0].record, results[0].err = p.plain.onChallenge(ctx, p.plain.sql.finishAny, f.id, args...)
		}
		results[1].record, results[1].err = p.by.onChallenge(ctx, p.by.sql.finishAny, f.id, args...)
		if !reflect.DeepEqual(results[0], results[1]) {
			break
		}
	}
	return results
}

// updateAll is finishAll for calls of Update.
func (p pair) updateAll(batch []updating) (results [2]attemptResult) {
	ctx := p.t.Context()
	records, err := p.plain.update(ctx, batch)
	if err != nil {
		p.t.Fatal(err)
	}
	p.done["update"] += done(records)
	for _, i := range inOrder(records) {
		u := batch[i]
		args := []any{u.revision, u.delivery, nanos(u.now)}
		results[0] = attemptResult{records[i], nil}
		if records[i] == nil {
			results[0].record, results[0].err = p.plain.onChallenge(ctx, p.plain.sql.updateAny, u.id, args...)
		}
		results[1].record, results[1].err = p.by.onChallenge(ctx, p.by.sql.updateAny, u.id, args...)
		if !reflect.DeepEqual(results[0], results[1]) {
			break
		}
	}
	return results
}

// cancelAll is the same for both.
func (p pair) cancelAll(subject string, now time.Time) (results [2]attemptResult) {
	for i, s := range []*Store{p.plain, p.by} {
		results[i].err = s.CancelAll(p.t.Context(), "abc", subject, "", now.Add(randomLife), now)
	}
	return results
}

// TestRealPostgresPlainStatements: the plain statements have the results, and leave the state, of
// the functions that take any call.
func TestRealPostgresPlainStatements(t *testing.T) {
	t.Parallel()
	p := pair{t, openFresh(t), openFresh(t), map[string]int{}}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now := time.Unix(1_800_000_000, 0)
	seen := map[string]int{}
	var ids []string
	lately := "" // a subject that was locked
	for round := range 1000 {
		now = now.Add(time.Duration(random.IntN(9)) * time.Second)
		at := now
		if random.IntN(4) == 0 { // a clock that is behind
			at = now.Add(-time.Duration(random.IntN(90)) * time.Second)
		}
		id, what := fmt.Sprint("abc-", round), "create"
		if len(ids) > 2 {
			id, what = ids[random.IntN(len(ids))], []string{
				"create", "create", "create", "attempt", "attempt", "attempt", "attempt", "finish", "update", "update",
				"finish all", "update all", "update all",
			}[random.IntN(13)]
			if random.IntN(50) == 0 {
				what = "cancel all"
			}
		}
		var got [2]attemptResult
		switch what {
		case "create":
			if random.IntN(4) > 0 {
				id = fmt.Sprint("abc-", round)
				ids = append(ids, id)
			}
			r := randomRecord(random, id, at)
			r.Subject, r.MaxFailures = fmt.Sprint("subject ", random.IntN(16)), random.IntN(4)
			r.Lock = time.Duration(random.IntN(300)) * time.Second
			if lately != "" && random.IntN(3) == 0 {
				r.Subject = lately
			}
			if random.IntN(3) == 0 {
				r.Salt = []byte("pepper")
			}
			got = p.create(r, at)
		case "attempt":
			got = p.attempt(id, store.Token(1+random.IntN(200)), at)
		case "finish":
			got = p.finish(id, store.Verified+store.Outcome(random.IntN(4)/3), store.Token(1+random.IntN(3)), at)
		case "update":
			got = p.update(id, uint64(random.IntN(2)), fmt.Sprint("delivery ", round), at)
		case "finish all":
			var batch []finishing
			for range 2 + random.IntN(3) {
				batch = append(batch, finishing{ids[random.IntN(len(ids))], store.Token(1 + random.IntN(3)), at})
			}
			got = p.finishAll(batch)
		case "update all":
			var batch []updating
			for range 2 + random.IntN(5) {
				text := fmt.Sprint("delivery ", round, len(batch))
				batch = append(batch, updating{ids[random.IntN(len(ids))], int64(random.IntN(2)), []byte(text), at})
			}
			got = p.updateAll(batch)
		case "cancel all":
			got = p.cancelAll(fmt.Sprint("subject ", random.IntN(16)), at)
		}
		ids = ids[max(0, len(ids)-16):]
		seen[fmt.Sprint(what, ": ", got[1].err)]++
		if r := got[1].record; r != nil && r.LockedUntil.After(at) {
			lately = r.Subject
		}
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Fatalf("round %d, %s %s:\nplain %+v, %v\nby function %+v, %v", round, what, id, got[0].record, got[0].err,
				got[1].record, got[1].err)
		}
		for _, all := range []func(*testing.T, *Store) string{subjects, challenges} {
			if a, b := all(t, p.plain), all(t, p.by); a != b {
				t.Fatalf("round %d, %s %s:\nplain %s\nby function %s", round, what, id, a, b)
			}
		}
	}
	t.Logf("calls %v, of batches done %v", seen, p.done)
	if p.done["finish"] < 5 || p.done["update"] < 5 {
		t.Errorf("of batches done %v, want at least five of each", p.done)
	}
	for _, want := range []error{nil, store.ErrExists, store.ErrLocked} {
		if seen[fmt.Sprint("create: ", want)] == 0 {
			t.Errorf("no create had the error %v: %v", want, seen)
		}
	}
	for _, want := range []error{nil, store.ErrClosed, store.ErrExpired} {
		if seen[fmt.Sprint("finish: ", want)] == 0 {
			t.Errorf("no finish had the error %v: %v", want, seen)
		}
	}
	for _, want := range []error{nil, store.ErrConflict, store.ErrExpired} {
		if seen[fmt.Sprint("update: ", want)] == 0 {
			t.Errorf("no update had the error %v: %v", want, seen)
		}
	}
}

// TestRealPostgresOpensOfOne: of parallel Opens and Creates of one record one creates it, and the
// limits count at most once.
func TestRealPostgresOpensOfOne(t *testing.T) {
	t.Parallel()
	s, now := openFresh(t), time.Now()
	const trials, calls = 40, 8
	for trial := range trials {
		l := store.Limit{Key: fmt.Sprint("limit ", trial), Most: 2, Per: time.Hour}
		r := store.Record{ID: fmt.Sprint("abc-", trial), Subject: fmt.Sprint(trial), Salt: []byte("salt"), Created: now,
			Expires: now.Add(time.Minute), MaxAttempts: 5}
		errs := make(chan error, calls)
		for i := range calls {
			go func() {
				own := r
				if trial%2 == 1 && i == 0 {
					errs <- s.Create(t.Context(), &own, now)
					return
				}
				d, err := s.Open(t.Context(), &own, now, l)
				if err == nil && !d.Allowed {
					err = errors.New("not allowed")
				}
				errs <- err
			}()
		}
		for range calls {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if d, err := s.Take(t.Context(), now, l); err != nil || !d.Allowed {
			t.Errorf("trial %d: Take: %+v, error %v; want that the limit counts the record once at most", trial, d, err)
		}
	}
}
