package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func repeatCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"create repeated", "a Create that is repeated with its Salt is nil and changes nothing, whatever came since",
			createRepeated},
		{"parallel creates", "of parallel Creates of an ID one Salt wins, and each of its calls is nil",
			parallelCreates},
		{"attempt repeated",
			"an Attempt that is repeated with its token charges neither challenge nor run, and returns its own number",
			attemptRepeated},
		{"attempt repeated later",
			"an Attempt may be repeated when the challenge is exhausted, locked or closed, and returns it as it is now",
			attemptRepeatedLater},
		{"refused token", "a token that was refused was not charged: its repeat is refused, or charged like any other",
			refusedToken},
		{"tokens apart",
			"each token is charged, however like another; that of another challenge, or of a Finish, is no repeat",
			tokensApart},
		{"parallel repeats", "64 parallel Attempts with one token charge once; each token returns its own number",
			parallelRepeats},
		{"finish repeated",
			"the token that won gets nil again, with the outcome that it gave; any other call is ErrClosed, each time",
			finishRepeated},
		{"finish repeated later", "a repeat of Verified does not end a run of failures that began later, nor its lock",
			finishRepeatedLater},
		{"parallel repeated finishes",
			"of parallel Finishes one token wins, each of its calls is nil, and ends the run once",
			parallelRepeatedFinishes},
	}
}

func createRepeated(t tester, s store.Store) {
	f := newFixture(t, s)
	r := f.record(maxFailures(2))
	first := *r
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	for _, step := range []struct {
		since string
		do    func()
	}{
		{"nothing", func() {}},
		{"an Attempt", func() { f.attempt(r.ID, nil) }},
		{"an Update", func() { f.update(r.ID, 0, "delivered", nil) }},
		{"a lock", func() { f.attempt(r.ID, nil) }},
		{"a Finish", func() { f.finish(r.ID, store.Cancelled, nil) }},
		{"most of its life", func() { f.now = r.Expires.Add(-time.Microsecond) }},
	} {
		f.now = f.now.Add(time.Millisecond)
		step.do()
		before := f.get(r.ID)
		again := first
		again.Salt, again.Attempts, again.Revision = bytes.Clone(first.Salt), 3, 5
		if err := f.Create(f.Context(), &again, f.now); err != nil {
			f.Fatalf("Create, repeated after %s: %v", step.since, err)
		}
		if again.Attempts != 0 || again.Revision != 0 {
			f.Errorf("Create, repeated after %s: Attempts %d, Revision %d in the record passed, want 0, 0", step.since,
				again.Attempts, again.Revision)
		}
		f.reads("Get after a Create that was repeated after "+step.since, f.get(r.ID), before)
	}
}

func parallelCreates(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 8 {
		id := newID(f.subject)
		salts := [][]byte{newSalt(), newSalt()}
		var won [2]atomic.Int64
		parallel(racers, func(i int) {
			r := f.record(func(r *store.Record) { r.ID, r.Salt = id, bytes.Clone(salts[i%2]) })
			switch err := f.Create(f.Context(), r, f.now); {
			case err == nil:
				won[i%2].Add(1)
			case !errors.Is(err, store.ErrExists):
				f.Errorf("Create, at the same time as others of its ID: error %v, want ErrExists or none", err)
			}
		})
		winner := 0
		if bytes.Equal(f.get(id).Salt, salts[1]) {
			winner = 1
		}
		if n, other := won[winner].Load(), won[1-winner].Load(); n != racers/2 || other != 0 {
			f.Fatalf("%d of %d parallel Creates with the stored Salt were nil, and %d with another; want all, none", n,
				racers/2, other)
		}
		var ids [racers]string // of one subject
		parallel(racers, func(i int) {
			r := f.record()
			if err := f.Create(f.Context(), r, f.now); err != nil {
				f.Errorf("Create: %v", err)
			}
			ids[i] = r.ID
		})
		for _, id := range ids {
			f.get(id)
		}
	}
	run := unique("")
	oneWins(f, "Create of one ID", func(round, _ int) (bool, bool) {
		r := f.record(func(r *store.Record) { r.ID = fmt.Sprint(run, round) })
		err := f.Create(f.Context(), r, f.now)
		return err == nil, errors.Is(err, store.ErrExists)
	})
}

func attemptRepeated(t tester, s store.Store) {
	f := newFixture(t, s)
	id, other := f.create(maxFailures(5)), f.create(maxFailures(5))
	tokens := []store.Token{newToken(), newToken(), newToken()}
	for n, token := range tokens {
		if r := f.attemptAs(id, token, nil); r.Attempts != n+1 {
			f.Errorf("Attempt %d returned Attempts %d", n+1, r.Attempts)
		}
		f.now = f.now.Add(time.Second)
		for _, i := range []int{n, 0, n, n / 2} {
			want := f.get(id)
			want.Attempts = i + 1
			f.reads("a repeated Attempt", f.attemptAs(id, tokens[i], nil), want)
		}
		if r := f.get(id); r.Attempts != n+1 {
			f.Errorf("Get after %d Attempts and their repeats: Attempts %d", n+1, r.Attempts)
		}
	}
	if r := f.attempt(other, nil); !r.LockedUntil.IsZero() { // the fourth of 5
		f.Fatalf("repeated Attempts were counted as failures: locked until %v", r.LockedUntil)
	}
	if r := f.attempt(other, nil); r.LockedUntil.IsZero() {
		f.Errorf("the fifth of 5 failures did not lock")
	}
}

func attemptRepeatedLater(t tester, s store.Store) {
	f := newFixture(t, s)
	for what, end := range map[string]func(id string) (then error){
		"exhausted": func(id string) error { f.attempt(id, nil); return store.ErrExhausted },
		"locked": func(string) error {
			f.attempt(f.create(maxFailures(3)), nil)
			f.attempt(f.create(maxFailures(3)), nil)
			return store.ErrLocked
		},
		"verified":  func(id string) error { f.finish(id, store.Verified, nil); return store.ErrClosed },
		"cancelled": func(id string) error { f.finish(id, store.Cancelled, nil); return store.ErrClosed },
		"cancelled with all": func(string) error {
			f.now = f.now.Add(time.Second)
			f.cancelAll("")
			return store.ErrClosed
		},
	} {
		f.subject = unique("subject-")
		id, token := f.create(maxAttempts(2), maxFailures(3)), newToken()
		f.attemptAs(id, token, nil)
		then := end(id)
		f.update(id, 0, "delivered", nil)
		f.now = f.now.Add(time.Second)
		stored := f.get(id)
		want := *stored
		want.Attempts = 1
		for range 2 {
			f.attempt(id, then)
			f.reads("an Attempt that was repeated when its challenge was "+what, f.attemptAs(id, token, nil), &want)
		}
		f.reads("Get after Attempts on a challenge that was "+what, f.get(id), stored)
	}
}

func refusedToken(t tester, s store.Store) {
	f := newFixture(t, s)
	locked, closed := f.create(maxFailures(1), expires(f.now.Add(time.Hour))), f.create()
	exhausted := f.create(maxAttempts(1), maxFailures(0), expires(f.now.Add(time.Hour)))
	f.attempt(exhausted, nil)
	token := newToken()
	for range 3 {
		f.attemptAs(exhausted, token, store.ErrExhausted)
	}
	f.attempt(locked, nil)
	f.finish(closed, store.Cancelled, nil)
	for range 3 {
		f.attemptAs(closed, token, store.ErrClosed)
		f.attemptAs(locked, token, store.ErrLocked)
	}
	f.now = f.get(locked).LockedUntil
	if r := f.attemptAs(locked, token, nil); r.Attempts != 2 || r.LockedUntil.IsZero() {
		f.Errorf("a token that was refused before: Attempts %d, LockedUntil %v; want it charged, 2 and a lock",
			r.Attempts, r.LockedUntil)
	}
}

// alike returns tokens that a backend might take for one: that differ in one
// bit, beyond the precision of a float, or are parts of two that follow each
// other.
func alike() []store.Token {
	a, b := newToken(), newToken()
	tokens := []store.Token{1, 1 << 31, 1 << 32, 1<<32 + 1, 1 << 53, 1<<53 + 1, 1 << 63, 1<<63 + 1,
		math.MaxInt64, math.MaxUint64, math.MaxUint64 - 1, a, b}
	for bits := 8; bits < 64; bits += 8 {
		tokens = append(tokens, a<<bits|b>>(64-bits), a>>bits|b<<(64-bits)) // the highest octet first, or the lowest
	}
	return tokens
}

func tokensApart(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(maxAttempts(100), maxFailures(0))
	tokens := alike()
	for n, token := range tokens {
		if r := f.attemptAs(id, token, nil); r.Attempts != n+1 {
			f.Fatalf("Attempt with token %#x, new after %#x: Attempts %d, want %d", token, tokens[:n], r.Attempts, n+1)
		}
	}
	for n, token := range tokens {
		if r := f.attemptAs(id, token, nil); r.Attempts != n+1 {
			f.Errorf("Attempt repeated with token %#x: Attempts %d, want %d", token, r.Attempts, n+1)
		}
	}
	other := f.create(maxFailures(0))
	if r := f.attemptAs(other, tokens[5], nil); r.Attempts != 1 {
		f.Errorf("Attempt with the token of another challenge: Attempts %d, want 1", r.Attempts)
	}
	f.attemptAs(other, tokens[5], nil)
	if r := f.get(other); r.Attempts != 1 {
		f.Errorf("Get after an Attempt with the token of another challenge: Attempts %d, want 1", r.Attempts)
	}
	won := newToken()
	f.finishAs(other, store.Cancelled, won, nil)
	f.attemptAs(other, won, store.ErrClosed)
	f.finishAs(other, store.Cancelled, tokens[5], store.ErrClosed)
	f.finishAs(id, store.Verified, tokens[5], nil) // a call may use one token for both
	f.attemptAs(id, tokens[5], nil)
	f.finishAs(id, store.Verified, tokens[5], nil)
}

func parallelRepeats(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 4 {
		f.subject = unique("subject-")
		tokens := []store.Token{newToken(), newToken(), newToken(), newToken()}
		for _, n := range []int{1, len(tokens)} {
			id := f.create(maxFailures(6)) // 5 in all
			var mu sync.Mutex
			numbers := map[int]store.Token{} // of Attempts
			parallel(racers, func(i int) {
				token := tokens[i%n]
				r, err := f.Attempt(f.Context(), id, token, f.now)
				if err != nil {
					f.Errorf("Attempt: %v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if other, ok := numbers[r.Attempts]; ok && other != token {
					f.Errorf("Attempts with two tokens returned Attempts %d; want one number each", r.Attempts)
				}
				numbers[r.Attempts] = token
			})
			if r := f.get(id); len(numbers) != n || r.Attempts != n {
				f.Errorf("%d parallel Attempts with %d tokens: %d numbers, Attempts %d; want %d, %d", racers, n,
					len(numbers), r.Attempts, n, n)
			}
		}
		last := f.create(maxFailures(6))
		if until := f.get(last).LockedUntil; !until.IsZero() {
			f.Fatalf("repeated Attempts were counted as failures: locked until %v", until)
		}
		if r := f.attempt(last, nil); r.LockedUntil.IsZero() {
			f.Errorf("the sixth of 6 failures did not lock")
		}
	}
}

func finishRepeated(t tester, s store.Store) {
	f := newFixture(t, s)
	outcomes := []store.Outcome{store.Verified, store.Cancelled}
	for i, o := range outcomes {
		id, won, lost := f.create(), newToken(), newToken()
		f.attemptAs(id, lost, nil) // charged, and not the winner
		f.finishAs(id, o, won, nil)
		f.update(id, 0, "recalled", nil)
		want := f.get(id)
		if want.Outcome != o {
			f.Fatalf("Get after Finish as %v: %v", o, want.Outcome)
		}
		for range 3 {
			f.now = f.now.Add(time.Second)
			f.reads("a repeated Finish", f.finishAs(id, o, won, nil), want)
			other := f.finishAs(id, outcomes[1-i], won, store.ErrClosed)
			f.reads("Finish of the winner, with another outcome", other, want)
			for _, o := range outcomes {
				f.reads("Finish of a loser", f.finishAs(id, o, lost, store.ErrClosed), want)
			}
		}
		f.reads("Get after repeated Finishes", f.get(id), want)
	}
}

func finishRepeatedLater(t tester, s store.Store) {
	f := newFixture(t, s)
	id, won := f.create(maxFailures(3)), newToken()
	f.attempt(id, nil)
	f.finishAs(id, store.Verified, won, nil)
	f.now = f.now.Add(time.Second)
	other := f.create(maxFailures(3))
	for range 2 {
		f.attempt(other, nil)
		f.finishAs(id, store.Verified, won, nil)
	}
	until := f.attempt(other, nil).LockedUntil
	if until.IsZero() {
		f.Fatalf("the third failure did not lock: a repeat of Verified ended the run")
	}
	if r := f.finishAs(id, store.Verified, won, nil); !r.LockedUntil.Equal(until) {
		f.Errorf("a repeat of Verified: LockedUntil %v, want that of the later run, %v", r.LockedUntil, until)
	}
	f.attempt(other, store.ErrLocked)
	f.refused(store.ErrLocked)
}

func parallelRepeatedFinishes(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 4 {
		f.subject = unique("subject-")
		id, won := f.create(maxFailures(0)), newToken()
		later := f.create(maxAttempts(racers), maxFailures(racers))
		f.attempt(id, nil)
		parallel(racers, func(int) {
			if _, err := f.Finish(f.Context(), id, store.Verified, won, f.now); err != nil {
				f.Errorf("Finish with the token that has won: %v", err)
			}
			if _, err := f.Attempt(f.Context(), later, newToken(), f.now); err != nil {
				f.Errorf("Attempt after it: %v", err)
			}
		})
		if r := f.get(later); r.LockedUntil.IsZero() {
			f.Errorf("%d failures, each after a Finish with one token, did not lock: the run was ended more than once",
				racers)
		}
		f.subject = unique("subject-")
		f.contendedFinish()
	}
}

// contendedFinish has several tokens contend for a challenge, each in several
// calls. Every other one gives Verified.
func (f *fixture) contendedFinish() {
	f.Helper()
	const contenders = 8
	id := f.create()
	var won [contenders]atomic.Int64
	var tokens [contenders]store.Token
	for i := range tokens {
		tokens[i] = newToken()
	}
	parallel(racers, func(i int) {
		i %= contenders
		o := []store.Outcome{store.Verified, store.Cancelled}[i%2]
		r, err := f.Finish(f.Context(), id, o, tokens[i], f.now)
		switch {
		case err == nil && r.Outcome == o:
			won[i].Add(1)
		case !errors.Is(err, store.ErrClosed) || r == nil || r.Outcome == store.Open:
			f.Errorf("a Finish that lost: %v, error %v", r, err)
		}
	})
	winners := 0
	for i := range won {
		if n := won[i].Load(); n == racers/contenders {
			winners++
		} else if n != 0 {
			f.Errorf("%d of %d Finishes with one token won, want all or none", n, racers/contenders)
		}
	}
	if winners != 1 {
		f.Errorf("%d tokens won, want 1", winners)
	}
}
