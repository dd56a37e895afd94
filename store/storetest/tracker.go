package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func trackerCases() []testCase[store.Tracker] {
	return []testCase[store.Tracker]{
		{"track then match", "a key that is tracked matches its message, every time", trackThenMatch},
		{"match then track", "receipts that come early are parked, and told in the order of their coming", matchThenTrack},
		{"track again", "a repeated Track returns the parked receipts again", trackAgain},
		{"mapped once", "a key is mapped once; later messages are ignored", mappedOnce},
		{"receipt twice", "the same receipt twice is parked once", receiptTwice},
		{"bounded", "parking is bounded per key: ErrFull beyond, and nothing parked is lost", bounded},
		{"kept until the later", "what is kept is kept until the later expires", keptUntilLater},
		{"copied", "receipts handed in and out are the caller's own", receiptsCopied},
		{"parallel", "in whatever order they come, each receipt is either matched or told by Track", parallelReceipts},
	}
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
	early, err := d.Track(d.Context(), key, message, d.now.Add(time.Hour), d.now)
	if err != nil {
		d.Fatalf("Track: %v", err)
	}
	if got := texts(early); !slices.Equal(got, want) {
		d.Fatalf("Track returned %q, want %q", got, want)
	}
}

func (d *desk) match(key, receipt, want string) {
	d.Helper()
	got, err := d.Match(d.Context(), key, []byte(receipt), d.now.Add(time.Hour), d.now)
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
	d.match(key, "delivered", "message")
	d.match(key, "delivered", "message")
	d.match(other, "delivered", "")
	d.track(key, "message") // what was matched is not parked
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
	d.track(key, "first")
	if _, err := d.Track(d.Context(), key, "second", d.now.Add(time.Hour), d.now); err != nil {
		d.Fatalf("Track: %v", err)
	}
	d.match(key, "delivered", "first")
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
	var parked []string
	for len(parked) < 4096 {
		r := fmt.Sprint("receipt ", len(parked))
		_, err := d.Match(d.Context(), key, []byte(r), d.now.Add(time.Hour), d.now)
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil {
			d.Fatalf("Match: %v", err)
		}
		parked = append(parked, r)
	}
	if len(parked) == 0 || len(parked) == 4096 {
		d.Fatalf("%d receipts were parked for one key, want a bound", len(parked))
	}
	d.match(key, parked[0], "") // parked already
	d.track(key, "message", parked...)
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
	told := map[string]int{} // how often each receipt reached the message, by receipt
	var key [keys]string
	for i := range key {
		key[i] = unique("route/")
	}
	tell := func(i int, receipts ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range receipts {
			told[key[i]+" "+r]++
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
	if len(told) != keys*each {
		d.Errorf("%d of %d receipts reached their message", len(told), keys*each)
	}
	for r, n := range told {
		if n != 1 {
			d.Errorf("%s was told %d times", r, n)
		}
	}
}
