package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func trackerCases() []testCase[store.Tracker] {
	return append(trackerContextCases(), []testCase[store.Tracker]{
		{"track then match", "a key that is tracked matches its message, every time", trackThenMatch},
		{"keys apart", "each key has a message and receipts of its own; keys are octets, of which each counts",
			trackedApart},
		{"tracked not evicted", "a key that is tracked outlives thousands of others; ErrFull refuses the new ones",
			trackedNotEvicted},
		{"match then track", "receipts that come early are parked, and Track returns them in their order",
			matchThenTrack},
		{"parked by clocks that differ",
			"receipts are in the order in which they came, whatever times their calls gave", parkedByClocks},
		{"track again", "a repeated Track returns the parked receipts again", trackAgain},
		{"mapped once", "a key is mapped once; a later message changes nothing and gets no receipts", mappedOnce},
		{"receipt twice", "the same receipt twice is parked once", receiptTwice},
		{"bounded", "parking is bounded per key: ErrFull beyond, and nothing parked is lost", bounded},
		{"kept until the later", "what is kept is kept until the later expires", keptUntilLater},
		{"key ends", "from its expires on a key is mapped to nothing, and can be mapped anew", keyEnds},
		{"parked ends", "what is parked for a key is forgotten with it, and makes room", parkedEnds},
		{"room for Track", "when no more receipts are parked, Track still has room", roomForTrack},
		{"long receipt", "a receipt of 4096 bytes is taken, one of more is refused with an error other than ErrFull",
			longReceipt},
		{"copied", "receipts handed in and out are the caller's own", receiptsCopied},
		{"parallel", "in whatever order they come, each receipt is matched or returned by Track", parallelReceipts},
	}...)
}

// A desk is a tracker under test at a time that the case moves.
type desk struct {
	tester
	store.Tracker
	now time.Time
}

func newDesk(t tester, tr store.Tracker) *desk { return &desk{t, tr, start()} }

func (d *desk) track(key, message string, want ...string) {
	d.Helper()
	early, err := d.Track(d.Context(), key, message, d.now.Add(time.Hour).In(elsewhere), d.now)
	if err != nil {
		d.Fatalf("Track: %v", err)
	}
	if got := texts(early); !slices.Equal(got, want) {
		d.Fatalf("Track returned %q, want %q", got, want)
	}
}

func (d *desk) match(key, receipt, want string) {
	d.Helper()
	got, err := d.Match(d.Context(), key, []byte(receipt), d.now.Add(time.Hour).In(elsewhere), d.now)
	if err != nil || got != want {
		d.Fatalf("Match: %q, error %v, want %q", got, err, want)
	}
}

func texts(receipts [][]byte) []string {
	var s []string
	for _, r := range receipts {
		s = append(s, string(r))
	}
	return s
}

func trackThenMatch(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key, other := unique("route/"), unique("route/")
	d.track(key, "message")
	d.match(key, "sent", "message")
	for range 20 {
		d.match(key, "delivered", "message")
	}
	d.match(other, "delivered", "")
	d.track(key, "message") // a matched receipt is not parked
}

func trackedApart(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	keys := alikeKeys("application/scope/route/")
	for _, route := range []string{"route a", "route b"} { // one id of two providers
		keys = append(keys, route+keys[0])
	}
	message := func(i int) string { return fmt.Sprint(strings.Repeat("m", 100), i) }
	for i, key := range keys {
		d.match(key, fmt.Sprint("early ", i), "")
	}
	for i, key := range keys {
		d.track(key, message(i), fmt.Sprint("early ", i))
	}
	for i, key := range keys {
		d.match(key, "delivered", message(i))
	}
}

func trackedNotEvicted(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	d.match(key, "early", "")
	d.track(key, "message", "early")
	parallel(racers, func(int) {
		for range crowd / racers {
			_, err := d.Track(d.Context(), unique("route/"), "another", d.now.Add(time.Hour), d.now)
			if err != nil && !errors.Is(err, store.ErrFull) {
				d.Errorf("Track: %v, want success or ErrFull", err)
			}
		}
	})
	d.track(key, "message", "early")
	d.match(key, "delivered", "message")
}

func matchThenTrack(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key, other := unique("route/"), unique("route/")
	d.match(key, "\x00queued\xff", "")
	d.match(other, "another's", "")
	d.match(key, "sent", "")
	d.match(key, "delivered", "")
	d.track(key, "message", "\x00queued\xff", "sent", "delivered")
	d.match(key, "delivered", "message")
}

func trackAgain(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	d.match(key, "sent", "")
	d.track(key, "message", "sent")
	d.match(key, "delivered", "message")
	d.track(key, "message", "sent")
	d.now = d.now.Add(time.Minute)
	d.track(key, "message", "sent")
}

func mappedOnce(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	d.match(key, "sent", "")
	d.track(key, "first", "sent")
	d.track(key, "second")
	d.match(key, "delivered", "first")
	d.track(key, "first", "sent")
}

func receiptTwice(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	for _, r := range []string{"sent", "sent", "delivered", "sent", "delivered"} {
		d.match(key, r, "")
	}
	d.track(key, "message", "sent", "delivered")
}

func bounded(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	parked := d.fill(key)
	if len(parked) == 0 || len(parked) == 4096 {
		d.Fatalf("%d receipts were parked for one key, want a bound", len(parked))
	}
	d.match(key, parked[0], "") // parked already
	d.track(key, "message", parked...)
}

// fill parks receipts for key, up to 4096, until there is no room for more.
func (d *desk) fill(key string) (parked []string) {
	d.Helper()
	for len(parked) < 4096 {
		r := unique("receipt ")
		if !d.park(key, r) {
			break
		}
		parked = append(parked, r)
	}
	return parked
}

// park parks a receipt for an hour, and reports whether there was room.
func (d *desk) park(key, receipt string) bool {
	d.Helper()
	message, err := d.Match(d.Context(), key, []byte(receipt), d.now.Add(time.Hour), d.now)
	if message != "" || err != nil && !errors.Is(err, store.ErrFull) {
		d.Fatalf("Match: %q, error %v, want the receipt parked or ErrFull", message, err)
	}
	return err == nil
}

func keyEnds(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key, again := unique("route/"), unique("route/")
	for _, k := range []string{key, again} {
		d.match(k, "early", "")
		d.track(k, "old", "early")
	}
	d.now = d.now.Add(time.Hour)
	d.match(key, "late", "")
	d.track(key, "new", "late")
	d.match(key, "later", "new")
	d.track(again, "new")
}

func parkedEnds(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	tracked, parked := unique("route/"), unique("route/")
	d.match(tracked, "sent", "")
	n := len(d.fill(parked))
	d.now = d.now.Add(time.Hour)
	d.track(tracked, "message")
	if again := d.fill(parked); len(again) != n {
		d.Errorf("%d receipts were parked when the %d before had expired, want as many", len(again), n)
	}
}

func roomForTrack(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	var keys []string
	for len(keys) < 4096 {
		key := unique("route/")
		if !d.park(key, "early") {
			break
		}
		keys = append(keys, key)
	}
	if len(keys) == 4096 {
		d.Logf("not tested: this backend has room for %d parked receipts", len(keys))
		return
	}
	for range max(len(keys)/2, 1) {
		key := unique("route/")
		d.track(key, "message")
		d.match(key, "delivered", "message")
	}
	for _, key := range keys {
		d.track(key, "message", "early")
	}
}

func longReceipt(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	longest := strings.Repeat("x", 4096)
	refused := func() {
		d.Helper()
		message, err := d.Match(d.Context(), key, []byte(longest+"x"), d.now.Add(time.Hour), d.now)
		if err == nil || errors.Is(err, store.ErrFull) || message != "" {
			d.Fatalf("Match of 4097 bytes: %q, error %v, want an error other than ErrFull", message, err)
		}
	}
	refused()
	d.match(key, longest, "")
	d.track(key, "message", longest)
	d.match(key, longest, "message")
	refused()
}

func keptUntilLater(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	later, sooner := d.now.Add(time.Hour), d.now.Add(time.Minute)
	for _, expires := range [][2]time.Time{{later, sooner}, {sooner, later}} {
		key := unique("route/")
		if _, err := d.Match(d.Context(), key, []byte("sent"), expires[0], d.now); err != nil {
			d.Fatalf("Match: %v", err)
		}
		if _, err := d.Track(d.Context(), key, "message", expires[1], d.now); err != nil {
			d.Fatalf("Track: %v", err)
		}
		last := &desk{d.tester, d.Tracker, later.Add(-time.Microsecond)}
		last.match(key, "delivered", "message")
		last.track(key, "message", "sent")
	}
}

func receiptsCopied(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	receipt := []byte("sent")
	if _, err := d.Match(d.Context(), key, receipt, d.now.Add(time.Hour), d.now); err != nil {
		d.Fatalf("Match: %v", err)
	}
	clear(receipt)
	early, err := d.Track(d.Context(), key, "message", d.now.Add(time.Hour), d.now)
	if err != nil || len(early) != 1 || string(early[0]) != "sent" {
		d.Fatalf("Track: %q, error %v", early, err)
	}
	clear(early[0])
	d.track(key, "message", "sent")
}

func parallelReceipts(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	const keys, each = 32, 6
	var mu sync.Mutex
	reached := map[string]int{} // how often each receipt reached the message, by receipt
	var key [keys]string
	for i := range key {
		key[i] = unique("route/")
	}
	tell := func(i int, receipts ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range receipts {
			reached[key[i]+" "+r]++
		}
	}
	parallel(keys*(each+1), func(n int) {
		i, which := n%keys, n/keys
		message := fmt.Sprint("message ", i)
		if which == each/2 {
			early, err := d.Track(d.Context(), key[i], message, d.now.Add(time.Hour), d.now)
			if err != nil {
				d.Errorf("Track: %v", err)
			}
			tell(i, texts(early)...)
			return
		}
		r := fmt.Sprint("receipt ", which)
		got, err := d.Match(d.Context(), key[i], []byte(r), d.now.Add(time.Hour), d.now)
		switch {
		case err != nil || (got != "" && got != message):
			d.Errorf("Match: %q, error %v, want %q or none", got, err, message)
		case got != "":
			tell(i, r)
		}
	})
	if len(reached) != keys*each {
		d.Errorf("%d of %d receipts reached their message", len(reached), keys*each)
	}
	for r, n := range reached {
		if n != 1 {
			d.Errorf("%s reached its message %d times", r, n)
		}
	}
	route := unique("route/")
	oneWins(d, "a receipt's way to its message", func(round, i int) (reached, mayNot bool) {
		key, now := fmt.Sprint(route, round), d.now.Add(time.Duration(round)*time.Minute) // makes room
		expires := now.Add(time.Minute)
		if i == 0 {
			message, err := d.Match(d.Context(), key, []byte("sent"), expires, now)
			return message != "", err == nil
		}
		early, err := d.Track(d.Context(), key, "message", expires, now)
		return len(early) > 0, err == nil
	})
}
