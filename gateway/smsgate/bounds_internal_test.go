package smsgate

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

func TestReplays(t *testing.T) {
	t.Parallel()
	var r replays
	a, b, now := [sha256.Size]byte{1}, [sha256.Size]byte{2}, time.Now()
	for i, row := range []struct {
		mac  [sha256.Size]byte
		at   time.Duration
		want bool
	}{
		{a, 0, true}, {a, 1, false}, {b, 2, true}, {a, time.Minute, false}, {a, time.Minute + 1, true},
		{b, time.Minute + 2, false},
	} {
		if got := r.begin(row.mac, now.Add(row.at), time.Minute); got != row.want {
			t.Errorf("%d: %t, want %t", i, got, row.want)
		}
	}
	r.undo(b)
	if !r.begin(b, now.Add(time.Minute+3), time.Minute) {
		t.Error("a webhook that was not accepted cannot be repeated")
	}
	for i := range 2 * maxReplays {
		r.begin([sha256.Size]byte{3, byte(i), byte(i >> 8), byte(i >> 16)}, now.Add(time.Hour), time.Minute)
	}
	if len(r.seen) > maxReplays || len(r.order) > maxReplays {
		t.Errorf("%d and %d are kept", len(r.seen), len(r.order))
	}
}

// How long a token holds is the server's to say, by its own clock.
func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 22, 45, 0, time.UTC)
	for name, row := range map[string]struct {
		date    string
		expires time.Time
		want    time.Duration
	}{
		"our clock":       {"", now.Add(15 * time.Minute), 15 * time.Minute},
		"ours is behind":  {"Sat, 21 Nov 2026 03:52:45 GMT", now.Add(45 * time.Minute), 15 * time.Minute},
		"ours is ahead":   {"Sat, 21 Nov 2026 02:52:45 GMT", now.Add(-15 * time.Minute), 15 * time.Minute},
		"over":            {"", now.Add(-time.Minute), 0},
		"too long":        {"", now.Add(1000 * time.Hour), 24 * time.Hour},
		"it does not say": {"", time.Time{}, 5 * time.Minute},
	} {
		r := web.Response{Header: http.Header{"Date": {row.date}}}
		if got := lifetime(r, row.expires, now); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

// Messages that are over are not kept until there is no room for others, and
// those that are not make room at the bound, all but the ones under way.
func TestPinsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	add := func(d *devices, n int, name string, p pin) {
		for i := range n {
			d.prune(now)
			d.pins[fmt.Sprint(name, i)] = &pin{expires: p.expires, users: p.users}
		}
	}
	d := newDevices(nil)
	add(d, 20*minPins, "over", pin{expires: now})
	if n := len(d.pins); n > minPins {
		t.Errorf("%d messages that are over are kept", n)
	}
	d = newDevices(nil)
	add(d, minPins, "submitted", pin{expires: now, users: 1})
	add(d, maxPins, "alive", pin{expires: now.Add(time.Minute)})
	if n := len(d.pins); n > maxPins || n < maxPins/2 {
		t.Errorf("%d messages are bound", n)
	}
	for i := range minPins {
		if d.pins[fmt.Sprint("submitted", i)] == nil {
			t.Fatal("a message is forgotten that is being submitted")
		}
	}
}
