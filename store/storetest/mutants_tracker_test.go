package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A badTracker is a naive tracker with a fault.
type badTracker struct {
	*naive
	fault string
}

func (b *badTracker) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	switch b.fault {
	case "keys never end":
		now = start().Add(-horizon)
	case "parking takes all room":
		if len(b.tracks) >= maxParking && b.tracks[key] == nil {
			return nil, store.ErrFull
		}
	}
	early, err := b.naive.Track(ctx, key, message, expires, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tracks[key]
	switch b.fault {
	case "tells any message":
		early = t.parked
	case "forgets parked receipts":
		early = nil
	case "tells only once":
		t.parked = nil
	case "maps again":
		t.message = message
	case "hands out what it holds":
		early = t.parked
	case "keeps until the last":
		t.expires = expires
	}
	return early, err
}

func (b *badTracker) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (string, error) {
	switch b.fault {
	case "keys never end", "parked for ever":
		now = start().Add(-horizon)
	case "takes any length":
		receipt = receipt[:min(len(receipt), maxReceipt)]
	case "no long receipts":
		if len(receipt) == maxReceipt {
			return "", errors.New("too long")
		}
	}
	b.mu.Lock()
	t := b.tracks[key]
	if t == nil {
		t = &naiveTrack{expires: expires}
		b.tracks[key] = t
	}
	switch b.fault {
	case "parks twice", "parks without bound":
		if t.message == "" {
			t.parked = append(t.parked, receipt)
			b.mu.Unlock()
			return "", nil
		}
	case "check, then park":
		message := t.message
		b.mu.Unlock()
		if message == "" {
			pauseForOthers()
			b.mu.Lock()
			t.parked = append(t.parked, receipt)
			b.mu.Unlock()
		}
		return message, nil
	}
	b.mu.Unlock()
	return b.naive.Match(ctx, key, receipt, expires, now)
}

// pauseForOthers lets all other goroutines of a bubble run until they wait.
func pauseForOthers() {
	timer := time.NewTimer(time.Nanosecond)
	<-timer.C
}

func TestTrackerMutants(t *testing.T) {
	for fault, caught := range map[string]string{
		"forgets parked receipts": "match then track",
		"tells only once":         "track again",
		"maps again":              "mapped once",
		"hands out what it holds": "copied",
		"keeps until the last":    "kept until the later",
		"keys never end":          "key ends",
		"parked for ever":         "parked ends",
		"parking takes all room":  "room for Track",
		"takes any length":        "long receipt",
		"no long receipts":        "long receipt",
		"tells any message":       "mapped once",
		"parks twice":             "receipt twice",
		"parks without bound":     "bounded",
		"check, then park":        "parallel",
	} {
		t.Run(strings.ReplaceAll(fault, " ", "_"), func(t *testing.T) {
			catches(t, trackerCases(), caught, func() store.Tracker { return &badTracker{newNaive(), fault} })
		})
	}
}
