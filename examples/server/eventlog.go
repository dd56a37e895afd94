package main

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/store"
)

const (
	logLife    = 72 * time.Hour
	maxEntries = 500 // that wait for the writer; more are dropped

	// The most that a process logs in an hour; it drops the rest. TestRealLogOctets measures
	// the octets of an entry.
	maxHourly, maxHourlyOctets = 50_000, 4 << 20

	maxChunks = 2000 // that one question looks at
	straggle  = 5 * time.Second
)

// An entry is an event as operators see it: no code, addresses masked, and of the
// subject its keyed hash only.
type entry struct {
	ID           string      `json:"id"` // the cursor
	At           time.Time   `json:"at"`
	Kind         string      `json:"kind"`
	Verification string      `json:"verification,omitempty"`
	Request      string      `json:"request,omitempty"`
	Reference    string      `json:"reference,omitempty"`
	Subject      string      `json:"subject,omitempty"`
	Purpose      string      `json:"purpose,omitempty"`
	To           *otphttp.To `json:"to,omitempty"`
	Country      string      `json:"country,omitempty"`
	Step         int         `json:"step,omitempty"`
	Route        string      `json:"route,omitempty"`
	State        string      `json:"state,omitempty"`
	ProviderCode string      `json:"provider_code,omitempty"`
	Operation    string      `json:"operation,omitempty"`
	Reason       string      `json:"reason,omitempty"`
	Rule         string      `json:"rule,omitempty"`
	AttemptsLeft *int        `json:"attempts_left,omitempty"`
}

func entryOf(e *otp.Event) entry {
	out := entry{At: e.At.UTC(), Kind: string(e.Kind), Verification: e.Challenge, Request: e.RequestID,
		Reference: e.Reference, Subject: e.Subject, Purpose: e.Purpose, Country: e.Region, Step: e.Step, Route: e.Route,
		ProviderCode: e.Code, Operation: string(e.Operation), Reason: string(e.Reason), Rule: e.Rule}
	if e.To != (channel.Recipient{}) {
		to := otphttp.To(e.To.Masked())
		out.To = &to
	}
	if e.State != 0 {
		out.State = e.State.String()
	}
	if e.Kind == otp.EventRejected {
		out.AttemptsLeft = &e.AttemptsLeft
	}
	return out
}

// A position is a place in the log: the entry of a chunk of an hour.
type position struct{ hour, chunk, entry int64 }

func (p position) String() string { return fmt.Sprintf("%d.%d.%d", p.hour, p.chunk, p.entry) }

// parsePosition reads what String returns.
func parsePosition(s string) (p position, ok bool) {
	n, err := fmt.Sscanf(s, "%d.%d.%d", &p.hour, &p.chunk, &p.entry)
	return p, err == nil && n == 3 && p.String() == s && p.hour >= 0 && p.chunk >= 0 && p.entry >= 0
}

func hourOf(at time.Time) int64 { return at.Unix() / 3600 }

// A chunk is what one process logs of half a second. Chunks of an hour are numbered from
// 0 without gaps by all processes together: a record is created by one of them only.
type chunk struct {
	salt   []byte
	sealed []byte
}

func (f *figures) chunkID(hour, number int64) string {
	return fmt.Sprintf("events%d-%s-%d", hour, f.app, number)
}

// logName is what a sealed chunk belongs to.
func (f *figures) logName() string { return "log/" + f.app }

// writeLog adds a chunk to the log. One that fails is written the next time.
func (f *figures) writeLog(ctx context.Context) error {
	now := time.Now()
	if hour := hourOf(now); hour > f.tail.hour {
		f.tail, f.hourly, f.octets = position{hour: hour}, 0, 0
	}
	if f.chunk == nil {
		room := maxHourly - f.hourly
		if f.octets >= maxHourlyOctets {
			room = 0
		}
		entries := f.takeEntries(room)
		if len(entries) == 0 {
			return nil
		}
		sealed, err := f.pack(entries)
		if err != nil {
			return err
		}
		f.chunk, f.hourly, f.octets = &chunk{newSalt(), sealed}, f.hourly+len(entries), f.octets+len(sealed)
	}
	ends := time.Unix((f.tail.hour+1)*3600, 0).Add(logLife) // all chunks of an hour at once: there are no gaps
	for {
		r := record(f.chunkID(f.tail.hour, f.tail.chunk), f.chunk.salt, now, ends)
		r.Sealed = f.chunk.sealed
		err := f.store.Create(ctx, r, now)
		switch {
		case errors.Is(err, store.ErrExists): // other processes have written
			if f.tail.chunk, err = f.end(ctx, f.tail.hour, f.tail.chunk+1); err != nil {
				return err
			}
			continue
		case err == nil:
			f.tail.chunk, f.chunk = f.tail.chunk+1, nil
		}
		return err
	}
}

// pack seals entries as compressed JSON: members and masked addresses are alike.
func (f *figures) pack(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	if f.deflate == nil {
		f.deflate, _ = flate.NewWriter(nil, flate.BestSpeed) // a level that there is
	}
	f.deflate.Reset(&b)
	if err := errors.Join(json.NewEncoder(f.deflate).Encode(entries), f.deflate.Close()); err != nil {
		return nil, err
	}
	return f.vault.aead.Seal(nil, nil, b.Bytes(), []byte(f.logName())), nil
}

// unpack reads what pack returned.
func (f *figures) unpack(sealed []byte) (all []entry, err error) {
	packed, err := f.vault.aead.Open(nil, nil, sealed, []byte(f.logName()))
	if err != nil {
		return nil, errSealed
	}
	err = json.NewDecoder(flate.NewReader(bytes.NewReader(packed))).Decode(&all)
	return all, err
}

// takeEntries returns the entries that wait, as far as there is room for them.
func (f *figures) takeEntries(room int) []entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries := f.entries[:min(room, len(f.entries))]
	if lost := f.dropped + len(f.entries) - len(entries); lost > 0 {
		f.log.Warn("figures: the log of events has no room; the figures have all", "dropped", lost)
	}
	f.entries, f.dropped = nil, 0
	return entries
}

// end returns the number of the first chunk of an hour, at or after from, that there is
// not.
func (f *figures) end(ctx context.Context, hour, from int64) (int64, error) {
	there := func(n int64) (bool, error) {
		_, err := f.store.Get(ctx, f.chunkID(hour, n), time.Now())
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
			return false, nil
		}
		return err == nil, err
	}
	step := int64(1)
	for ; ; step *= 2 {
		if ok, err := there(from + step - 1); err != nil {
			return 0, err
		} else if !ok {
			break
		}
	}
	low, high := from+step/2, from+step-1 // all before low are there, high is not
	for low < high {
		middle := (low + high) / 2
		ok, err := there(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// entriesOf reads a chunk; nil: there is none.
func (f *figures) entriesOf(ctx context.Context, hour, number int64) (all []entry, err error) {
	r, err := f.store.Get(ctx, f.chunkID(hour, number), time.Now())
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if all, err = f.unpack(r.Sealed); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].ID = position{hour, number, int64(i)}.String()
	}
	return all, nil
}

// before returns up to limit entries that match and are older than a position, the
// latest first, and the position from which to go on; nil: there is no more. It looks at
// maxChunks at most, so there may be more even if it returns none.
func (f *figures) before(ctx context.Context, at position, limit int, match func(*entry) bool,
) (found []entry, next *position, err error) {
	latest := hourOf(time.Now())
	oldest := latest - int64(logLife/time.Hour)
	if at.hour > latest+1 {
		at = position{hour: latest, chunk: -1}
	}
	for looked := 0; at.hour >= oldest; at = (position{hour: at.hour - 1, chunk: -1}) {
		if at.chunk < 0 {
			if at.chunk, err = f.end(ctx, at.hour, 0); err != nil {
				return nil, nil, err
			}
			at.entry = 0
		}
		for ; at.chunk >= 0; at.chunk, at.entry = at.chunk-1, 1<<62 {
			if at.entry == 0 {
				continue
			}
			if looked++; looked > maxChunks {
				return found, &at, nil
			}
			all, err := f.entriesOf(ctx, at.hour, at.chunk)
			if err != nil {
				return nil, nil, err
			}
			for i := min(at.entry, int64(len(all))) - 1; i >= 0; i-- {
				if !match(&all[i]) {
					continue
				}
				if found = append(found, all[i]); len(found) == limit {
					return found, &position{at.hour, at.chunk, i}, nil
				}
			}
		}
	}
	return found, nil, nil
}

// after returns the entries that follow a position, up to the next chunk that there is
// not, and the position for the next call.
func (f *figures) after(ctx context.Context, at position, now time.Time) ([]entry, position, error) {
	all, err := f.entriesOf(ctx, at.hour, at.chunk)
	switch {
	case err != nil:
		return nil, at, err
	case all != nil:
		return all[min(at.entry, int64(len(all))):], position{at.hour, at.chunk + 1, 0}, nil
	case hourOf(now.Add(-straggle)) > at.hour:
		return nil, position{hour: at.hour + 1}, nil
	}
	return nil, at, nil
}

// now is the position after the latest entry.
func (f *figures) now(ctx context.Context) (position, error) {
	hour := hourOf(time.Now())
	n, err := f.end(ctx, hour, 0)
	return position{hour: hour, chunk: n}, err
}

// matching returns a match for entries that one of the words names; all empty: any.
func matching(verification, request, any string) func(*entry) bool {
	return func(e *entry) bool {
		return (verification == "" || e.Verification == verification) && (request == "" || e.Request == request) &&
			(any == "" || any == e.Verification || any == e.Request || any == e.Reference || any == e.Subject ||
				e.To != nil && (any == e.To.Phone || any == e.To.Email || any == e.To.Push || any == e.To.Chat))
	}
}

// Address is where the message went, masked.
func (e entry) Address() string {
	if e.To == nil {
		return ""
	}
	return cmp.Or(e.To.Phone, e.To.Email, e.To.Push, e.To.Chat)
}

// Time is when it was.
func (e entry) Time() string { return e.At.Format("15:04:05") }
