package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

func openFresh(t *testing.T) *Store {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.Shared(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := New(Config{DB: pool, Schema: pgtest.Schema(), Timeout: time.Minute})
	if err == nil {
		err = s.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An attemptResult is what a call of Attempt returned.
type attemptResult struct {
	record *store.Record
	err    error
}

// asBatch calls Attempt as if all calls came at one time. It returns the results, and the order of
// the calls of which they are the results.
func asBatch(t *testing.T, s *Store, batch []charge) (results []attemptResult, order []int) {
	t.Helper()
	records, err := s.charge(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	results = make([]attemptResult, len(batch))
	for i := range batch {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(i, j int) int {
		refused := func(i int) int {
			if records[i] == nil {
				return 1
			}
			return 0
		}
		return cmp.Or(refused(i)-refused(j), cmp.Compare(batch[i].id, batch[j].id), batch[i].now.Compare(batch[j].now))
	})
	for _, i := range order {
		results[i].record = records[i]
		if records[i] == nil {
			results[i] = alone(t, s, batch[i])
		}
	}
	return results, order
}

// alone calls Attempt as it is refused or repeated.
func alone(t *testing.T, s *Store, c charge) attemptResult {
	t.Helper()
	r, err := s.onChallenge(t.Context(), s.sql.attempt, c.id, int64(c.token), nanos(c.now))
	return attemptResult{r, err}
}

// subjects returns all that is kept of them.
func subjects(t *testing.T, s *Store) (all string) {
	t.Helper()
	err := s.db.QueryRow(t.Context(), `SELECT string_agg(s::text, E'\n' ORDER BY s.subject) FROM `+s.schema+
		`.subjects s`).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const randomLife = 5 * time.Minute

func randomRecord(random *rand.Rand, id string, now time.Time) store.Record {
	seconds := func(n int) time.Duration { return time.Duration(random.IntN(n)) * time.Second }
	most := 1 + random.IntN(6)
	if random.IntN(8) == 0 {
		most = math.MaxInt32
	}
	return store.Record{
		ID: id, Subject: fmt.Sprint("subject ", random.IntN(6)), Salt: []byte("salt"), Sealed: []byte("sealed"),
		Created: now, Expires: now.Add(randomLife), MaxAttempts: most, MaxFailures: random.IntN(30),
		MaxRun: random.IntN(40), Lock: seconds(40), RunLife: seconds(600), Group: "g",
	}
}

// randomCalls returns some for challenges of ids. Some repeat one of the latest calls.
func randomCalls(random *rand.Rand, ids []string, before []charge, now time.Time) (batch []charge) {
	for range 2 + random.IntN(12) {
		c := charge{ids[random.IntN(len(ids))], store.Token(random.Uint64() | 1), now}
		if random.IntN(4) == 0 { // a clock that is behind
			c.now = now.Add(-time.Duration(random.IntN(90)) * time.Second)
		}
		if all := slices.Concat(before, batch); random.IntN(6) == 0 && len(all) > 0 {
			first := all[max(0, len(all)-1-random.IntN(30))]
			c.id, c.token = first.id, first.token
		}
		batch = append(batch, c)
	}
	return batch
}

// TestRealPostgresChargeTogether: attempts that are charged together have the results, and leave
// the state, that they have one after the other.
func TestRealPostgresChargeTogether(t *testing.T) {
	t.Parallel()
	together, apart := openFresh(t), openFresh(t)
	both := []*Store{together, apart}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now := time.Unix(1_800_000_000, 0)
	var ids []string
	var calls []charge
	seen, refused := map[error]int{}, 0
	for round := range 250 {
		now = now.Add(time.Duration(random.IntN(60)) * time.Second)
		for len(ids) < 8 || random.IntN(4) == 0 {
			id := fmt.Sprintf("abc-%d-%d", round, len(ids))
			ids = append(ids, id)
			r := randomRecord(random, id, now)
			for _, s := range both {
				copied := r
				if err := s.Create(t.Context(), &copied, now); err != nil && !errors.Is(err, store.ErrLocked) {
					t.Fatal(err)
				}
			}
		}
		ids = ids[max(0, len(ids)-10):]
		batch := randomCalls(random, ids, calls, now)
		calls = append(calls, batch...)
		got, order := asBatch(t, together, batch)
		for _, i := range order {
			want := alone(t, apart, batch[i])
			if !reflect.DeepEqual(got[i], want) {
				t.Fatalf("round %d, %+v:\ntogether %+v, %v\napart    %+v, %v", round, batch[i],
					got[i].record, got[i].err, want.record, want.err)
			}
			seen[want.err]++
			if want.record != nil && want.record.LockedUntil.After(now) {
				refused++
			}
		}
		if a, b := subjects(t, together), subjects(t, apart); a != b {
			t.Fatalf("round %d, %+v:\ntogether %s\napart    %s", round, batch, a, b)
		}
		for _, s := range both {
			end := rand.New(rand.NewPCG(seed, uint64(round)+1))
			switch id := ids[end.IntN(len(ids))]; end.IntN(6) {
			case 0:
				_, _ = s.Finish(t.Context(), id, store.Verified, 7, now)
			case 1:
				_, _ = s.Finish(t.Context(), id, store.Cancelled, 7, now)
			case 2:
				subject := fmt.Sprint("subject ", end.IntN(6))
				err := s.CancelAll(t.Context(), "abc", subject, "", now.Add(randomLife), now)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, err := range []error{nil, store.ErrClosed, store.ErrLocked, store.ErrExhausted, store.ErrExpired} {
		if seen[err] == 0 {
			t.Errorf("no attempt had the error %v: %v", err, seen)
		}
	}
	if refused == 0 {
		t.Error("no attempt found its subject locked")
	}
}

// TestRealPostgresChargeTogetherSeesFinish: a challenge that is closed after the statement of a
// batch began is not charged.
func TestRealPostgresChargeTogetherSeesFinish(t *testing.T) {
	t.Parallel()
	s, now := openFresh(t), time.Now()
	var batch []charge
	for _, id := range []string{"abc-1", "abc-2"} {
		createFor(t, s, id, now)
		batch = append(batch, charge{id, 1, now})
	}
	tx, err := s.db.(*pgxpool.Pool).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	lock := fmt.Sprintf("pg_advisory_xact_lock(%d)", lockNumber("test of "+s.schema))
	if _, err := tx.Exec(t.Context(), "SELECT "+lock); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(t.Context(), inSchema(`CREATE FUNCTION otpcourier.pause() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM `+lock+`; RETURN NEW; END $$;
		CREATE TRIGGER pause BEFORE UPDATE ON otpcourier.subjects FOR EACH ROW WHEN (NEW.subject = 'abc-1')
		EXECUTE FUNCTION otpcourier.pause()`, s.schema)); err != nil {
		t.Fatal(err)
	}
	done := make(chan []*store.Record, 1)
	go func() {
		records, err := s.charge(t.Context(), batch)
		if err != nil {
			t.Error(err)
		}
		done <- records
	}()
	for waiting := false; !waiting; <-time.After(5 * time.Millisecond) {
		if err := s.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE wait_event = 'advisory' AND query LIKE '%'||$1||'%')`, s.schema).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Finish(t.Context(), "abc-2", store.Verified, 2, now); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if records := <-done; len(records) != 2 || records[0] == nil || records[1] != nil {
		t.Errorf("%v, want the first charged, and not the second", records)
	}
}

func createFor(t *testing.T, s *Store, id string, now time.Time) {
	t.Helper()
	r := store.Record{ID: id, Subject: id, Created: now, Expires: now.Add(time.Minute), MaxAttempts: 5,
		MaxFailures: 10, MaxRun: 100, Lock: time.Minute, RunLife: time.Hour}
	if err := s.Create(t.Context(), &r, now); err != nil {
		t.Fatal(err)
	}
}

// TestRealPostgresChargeTogetherWaitsForNone: a batch leaves out a subject whose row another
// transaction has locked, and charges the others.
func TestRealPostgresChargeTogetherWaitsForNone(t *testing.T) {
	t.Parallel()
	s, now := openFresh(t), time.Now()
	var batch []charge
	for _, id := range []string{"abc-free", "abc-locked"} {
		createFor(t, s, id, now)
		batch = append(batch, charge{id, 1, now}, charge{id, 2, now})
	}
	tx, err := s.db.(*pgxpool.Pool).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	within, err := New(Config{DB: tx, Schema: s.schema})
	if err == nil {
		_, err = within.Attempt(t.Context(), "abc-locked", 3, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	records, err := s.charge(t.Context(), batch)
	if err != nil || records[0] == nil || records[1] == nil || records[2] != nil || records[3] != nil {
		t.Fatalf("%v, error %v; want the first two charged", records, err)
	}
	if records[0].Attempts != 1 || records[1].Attempts != 2 {
		t.Errorf("attempts %d and %d, want 1 and 2", records[0].Attempts, records[1].Attempts)
	}
}
