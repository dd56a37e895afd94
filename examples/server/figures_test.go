package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func testVault(t *testing.T) *vault {
	t.Helper()
	v, err := newVault(&memoryCabinet{values: map[string]kept{}}, otp.NewKeyring())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testFigures(t *testing.T, st store.Store, v *vault) *figures {
	t.Helper()
	a := application{Name: "shop", Purposes: []string{"login"}, Currency: "EUR", Routes: []route{
		{Name: "sms", Prices: map[string]json.Number{"default": "0.09", "GB": "0.031001"}},
		{Name: "email", Prices: map[string]json.Number{"default": "0"}}}}
	if err := a.validatePrices("shop"); err != nil {
		t.Fatal(err)
	}
	return newFigures(a, st, v, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// life is what becomes of a verification: sent by SMS in 2 s, verified after 8 s.
func lifeOf(id string, born time.Time) []otp.Event {
	e := otp.Event{Challenge: id, Created: born, Region: "GB", Purpose: "login",
		To: channel.Recipient{Phone: "+44******5601"}}
	next := func(kind otp.EventKind, after time.Duration, state channel.State) otp.Event {
		out := e
		out.Kind, out.At, out.State = kind, born.Add(after), state
		if kind != otp.EventGenerated {
			out.Route, out.Step, out.Sent = "sms", 1, born
		}
		return out
	}
	return []otp.Event{next(otp.EventGenerated, 0, 0), next(otp.EventSent, time.Second, channel.Sent),
		next(otp.EventReceipt, 2*time.Second, channel.Delivered), next(otp.EventRejected, 5*time.Second, 0),
		next(otp.EventVerified, 8*time.Second, 0)}
}

// wantOf is what lifeOf counts, n times.
func wantOf(n int64) counters {
	return counters{{kindRequested, "", "GB", "login"}: n, {kindSent, "sms", "GB", "login"}: n,
		{kindDelivered, "sms", "GB", "login"}: n, {kindVerified, "sms", "GB", "login"}: n,
		{kindCost + "EUR", "sms", "GB", "login"}: 31001 * n, {kindRefused, "verify", "", ""}: n,
		{kindToDelivery, "sms", "1", ""}: n, {kindToVerification, "sms", "5", ""}: n}
}

// sumOf reads what was counted from a time on, for as long.
func sumOf(t *testing.T, f *figures, level int, from time.Time, long time.Duration) counters {
	t.Helper()
	all, err := f.read(t.Context(), level, from, from.Add(long))
	if err != nil {
		t.Fatal(err)
	}
	return total(all)
}

// A faulty store fails at times, before or after it has done as asked.
type faulty struct {
	store.Store
	mu   sync.Mutex
	dice *rand.Rand
}

var errFault = errors.New("the connection is gone")

func (f *faulty) fault() (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.dice.IntN(4) {
	case 0:
		return errFault, nil
	case 1:
		return nil, errFault
	}
	return nil, nil
}

func (f *faulty) Create(ctx context.Context, r *store.Record, now time.Time) error {
	before, after := f.fault()
	if before != nil {
		return before
	}
	return errors.Join(f.Store.Create(ctx, r, now), after)
}

func (f *faulty) Update(ctx context.Context, id string, revision uint64, value []byte, now time.Time,
) (*store.Record, error) {
	before, after := f.fault()
	if before != nil {
		return nil, before
	}
	r, err := f.Store.Update(ctx, id, revision, value, now)
	if after != nil {
		return nil, after
	}
	return r, err
}

// Three processes count at once, over a store that loses calls and answers. Another
// reads the sum of all, at each level, and each entry of the log once.
func TestFiguresAreExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, v := memstore.New(memstore.Config{}), testVault(t)
		const processes, callers, each = 3, 4, 50
		var calling sync.WaitGroup
		begun := time.Now()
		var all []*figures
		for p := range processes {
			f := testFigures(t, &faulty{Store: st, dice: rand.New(rand.NewPCG(1, uint64(p)))}, v)
			all = append(all, f)
			for c := range callers {
				calling.Go(func() {
					for i := range each {
						born := time.Now()
						for _, e := range lifeOf(fmt.Sprintf("%d-%d-%d", p, c, i), born) {
							time.Sleep(time.Until(e.At))
							f.event(t.Context(), e)
						}
					}
				})
			}
		}
		calling.Wait()
		time.Sleep(time.Minute) // until the last write that fails is repeated
		for _, f := range all {
			f.close(t.Context())
		}
		f := testFigures(t, st, v)
		defer f.close(t.Context())
		const n = processes * callers * each
		for i := range levels {
			if diff := cmp.Diff(wantOf(n), sumOf(t, f, i, begun, time.Hour), cmp.AllowUnexported(field{})); diff != "" {
				t.Errorf("by the %s: %s", levels[i].name, diff)
			}
		}
		seen := map[string]bool{}
		at := &position{hour: hourOf(time.Now()), chunk: -1}
		last := time.Now()
		for at != nil {
			found, next, err := f.before(t.Context(), *at, 7, matching("", "", ""))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range found {
				if key := e.Verification + e.Kind; seen[key] {
					t.Errorf("%s is there twice", key)
				} else {
					seen[key] = true
				}
				if e.At.Sub(last) > time.Minute { // as long as a write may be late here
					t.Errorf("an entry of %v is older than one of %v", e.At, last)
				}
				last = e.At
			}
			at = next
		}
		if len(seen) != 5*n {
			t.Errorf("the log has %d entries, want %d", len(seen), 5*n)
		}
	})
}

// A verification counts when it was created, though it is verified two hours later by
// another process.
func TestCohorts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, v := memstore.New(memstore.Config{}), testVault(t)
		one, other := testFigures(t, st, v), testFigures(t, st, v)
		born := time.Now()
		life := lifeOf("x", born)
		one.event(t.Context(), life[0])
		one.event(t.Context(), life[1])
		time.Sleep(2 * time.Hour)
		one.close(t.Context())
		life[4].At = time.Now()
		other.event(t.Context(), life[4])
		other.close(t.Context())
		first, err := other.read(t.Context(), 0, born, born.Add(time.Minute))
		if err != nil || len(first) != 1 {
			t.Fatal(len(first), err)
		}
		want := counters{{kindRequested, "", "GB", "login"}: 1, {kindSent, "sms", "GB", "login"}: 1,
			{kindVerified, "sms", "GB", "login"}: 1, {kindCost + "EUR", "sms", "GB", "login"}: 31001,
			{kindToVerification, "sms", "15", ""}: 1}
		if diff := cmp.Diff(want, first[0], cmp.AllowUnexported(field{})); diff != "" {
			t.Error(diff)
		}
		if p50, ok := first[0].quantile(kindToVerification, "sms", 0.5); !ok || p50 != 300 {
			t.Errorf("got %v %v", p50, ok)
		}
		time.Sleep(13 * time.Hour) // minutes are gone by then, hours are not
		if c := sumOf(t, other, 0, born, time.Second); len(c) != 0 {
			t.Errorf("minutes live on: %v", c)
		}
		if c := sumOf(t, other, 1, born, time.Second); c.sum(kindVerified, "", "") != 1 {
			t.Errorf("hours are gone: %v", c)
		}
	})
}

// No caller can make figures grow: names that are not known are others, and so are
// fields without room.
func TestFieldsAreBounded(t *testing.T) {
	t.Parallel()
	f := &figures{routes: []string{"sms"}, purposes: []string{"login"}, shards: map[bucket]*shard{}}
	now := time.Unix(1_800_000_000, 0) // a whole minute
	for i := range 3000 {
		f.count(&otp.Event{Kind: otp.EventSent, At: now, Created: now, Route: fmt.Sprint("route", i),
			State: channel.Sent, Region: fmt.Sprint("X", i), Purpose: fmt.Sprint("purpose", i)}, now)
	}
	for _, s := range f.shards {
		if len(s.counters) != 1 || s.sum(kindSent, otherName, otherName) != 3000 {
			t.Errorf("got %v", s.counters)
		}
	}
	for i := range 2 * maxEntries {
		f.event(t.Context(), otp.Event{At: now, Challenge: fmt.Sprint(i)})
	}
	if len(f.entries) != maxEntries || f.dropped != maxEntries {
		t.Errorf("%d entries wait, %d were dropped", len(f.entries), f.dropped)
	}
}

// In a shard without room for more pairs of country and purpose, the ratios of those that
// it tells apart, and of the others, are still not over one, and no message is lost.
func TestRatiosOfFullShards(t *testing.T) {
	t.Parallel()
	f := &figures{routes: []string{"sms"}, purposes: []string{"login", "a/b"}, shards: map[bucket]*shard{}}
	now := time.Unix(1_800_000_000, 0) // a whole minute
	var lives [][]otp.Event
	for i, region := range slices.Concat(phone.Regions(), phone.Regions()) {
		events := lifeOf("x", now)
		for j := range events {
			events[j].Region, events[j].Purpose = region, []string{"login", "a/b", "x"}[i%3]
		}
		lives = append(lives, events)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for left := len(lives); left > 0; { // in any order between them
		i := dice.IntN(len(lives))
		if len(lives[i]) == 0 {
			continue
		}
		f.count(&lives[i][0], now)
		if lives[i] = lives[i][1:]; len(lives[i]) == 0 {
			left--
		}
	}
	for b, s := range f.shards {
		if n := int64(len(lives)); s.sum(kindVerified, "", "") != n || s.sum(kindRequested, "", "") != n ||
			s.ofPurpose("login").sum(kindSent, "", "") != n/3+1 {
			t.Errorf("%s: %v", levels[b.level].name, s.counters)
		}
		other := 0
		for pair, verified := range s.byPair(kindVerified) {
			if requested := s.byPair(kindRequested)[pair]; verified > requested {
				t.Errorf("%s: of %v %d are verified, and %d requested", levels[b.level].name, pair, verified, requested)
			}
			if pair[0] == otherName {
				other++
			}
		}
		if len(s.told) != maxTold || other != 3 {
			t.Errorf("%d pairs are told apart; there are others of %d purposes", len(s.told), other)
		}
	}
}

// byPair sums a kind by country and purpose.
func (s *shard) byPair(kind string) map[[2]string]int64 {
	out := map[[2]string]int64{}
	for f, n := range s.counters {
		if f.kind == kind {
			out[[2]string{f.b, f.purpose}] += n
		}
	}
	return out
}

// Names come back as they were, whatever is in them.
func TestFieldText(t *testing.T) {
	t.Parallel()
	for _, f := range []field{{kindSent, "a/b %2F", "GB", "c/d%"}, {kindRefused, "verify", "", ""},
		{kindRequested, "", otherName, "login"}} {
		text, err := json.Marshal(counters{f: 1})
		if err != nil {
			t.Fatal(err)
		}
		back := counters{}
		if err := json.Unmarshal(text, &back); err != nil || back[f] != 1 {
			t.Errorf("%s became %v %v", text, back, err)
		}
	}
	for _, bad := range []string{`{"sent":1}`, `{"sent/a/b/c/d":1}`, `{"sent/%/b/c":1}`} {
		if err := json.Unmarshal([]byte(bad), &counters{}); err == nil {
			t.Errorf("%s passes", bad)
		}
	}
}

// Quantiles are read off in a straight line between the edges.
func TestQuantile(t *testing.T) {
	t.Parallel()
	c := counters{}
	for i := range 100 {
		c[field{kindToDelivery, "sms", edgeOf(time.Duration(i) * 100 * time.Millisecond), ""}]++ // 0 to 9.9 s
	}
	for q, want := range map[float64]float64{0.5: 5, 0.99: 9.9, 0.1: 1} {
		if got, ok := c.quantile(kindToDelivery, "sms", q); !ok || got < want-0.3 || got > want+0.3 {
			t.Errorf("q %v: got %v, want %v", q, got, want)
		}
	}
	if _, ok := c.quantile(kindToDelivery, "email", 0.5); ok {
		t.Error("an empty histogram has a quantile")
	}
}
