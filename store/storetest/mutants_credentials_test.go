package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Credentials = (*naive)(nil)

func (s *naive) Load(ctx context.Context, subject string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return octets(s.creds[subject]), ctx.Err()
}

func (s *naive) Swap(ctx context.Context, subject string, old, new []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.creds[subject] != string(old):
		return store.ErrConflict
	case len(new) == 0:
		delete(s.creds, subject)
	default:
		s.creds[subject] = string(new)
	}
	return nil
}

// A badVault is a naive Credentials with a fault. Each is one that an SQL statement or
// a table can have.
type badVault struct {
	*naive
	fault string
	held  []byte // what "hands out what it holds" holds
	since time.Time
	order []string // in which subjects got values, for the fault that evicts
}

// evict removes the oldest value if there would be more than 1000.
func (b *badVault) evict(added string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.order = append(b.order, added); len(b.order) > 1000 {
		delete(b.creds, b.order[0])
		b.order = b.order[1:]
	}
}

// live counts values, which end after a day if that is the fault.
func (b *badVault) live(now time.Time) int {
	if b.fault == "values end" && time.Until(now) > 24*time.Hour {
		return 0
	}
	return b.naive.live(now)
}

func (b *badVault) Load(ctx context.Context, subject string) ([]byte, error) {
	switch b.fault {
	case "subjects cut at 255":
		subject = subject[:min(len(subject), 255)]
	case "one value for all":
		subject = ""
	case "values end in a day":
		if time.Since(b.since) > 24*time.Hour {
			return nil, ctx.Err()
		}
	case "subjects ignore case":
		subject = strings.ToLower(subject)
	case "subjects without spaces at an end":
		subject = strings.TrimSpace(subject)
	case "hands out what it holds":
		return b.held, ctx.Err()
	case "empty for none":
		v, err := b.naive.Load(ctx, subject)
		return append([]byte{}, v...), err
	case "context ignored":
		ctx = context.WithoutCancel(ctx)
	}
	return b.naive.Load(ctx, subject)
}

func (b *badVault) Swap(ctx context.Context, subject string, old, new []byte) error {
	now := func() string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.creds[subject]
	}
	switch b.fault {
	case "swaps without comparing":
		old = []byte(now())
	case "read, then write":
		value := now()
		pauseForOthers()
		if value == string(old) {
			old = []byte(now())
		}
	case "read, then write at once":
		if now() == string(old) {
			old = []byte(now())
		}
	case "= for NULL":
		if len(old) == 0 || now() == "" {
			return store.ErrConflict
		}
	case "NULL matches all":
		if len(old) == 0 {
			old = []byte(now())
		}
	case "truncated at 255":
		new = new[:min(len(new), 255)]
	case "compares 255 octets":
		if value := now(); value[:min(len(value), 255)] == string(old[:min(len(old), 255)]) {
			old = []byte(value)
		}
	case "ignores case":
		if value := now(); strings.EqualFold(value, string(old)) {
			old = []byte(value)
		}
	case "ignores spaces at the end":
		if value := now(); value == strings.TrimRight(string(old), " ") {
			old = []byte(value)
		}
	case "LIKE":
		if value := now(); string(old) == "%" || strings.ReplaceAll(string(old), "_", ":") == value {
			old = []byte(value)
		}
	case "subjects cut at 255":
		subject = subject[:min(len(subject), 255)]
	case "one value for all":
		subject = ""
	case "subjects ignore case":
		subject = strings.ToLower(subject)
	case "subjects without spaces at an end":
		subject = strings.TrimSpace(subject)
	case "the oldest of 1000 goes":
		b.evict(subject)
	case "0 rows is success":
		_ = b.naive.Swap(ctx, subject, old, new)
		return ctx.Err()
	case "never removes":
		if len(new) == 0 {
			return ctx.Err()
		}
	case "upserts":
		if now() == "" {
			old = nil
		}
	case "hands out what it holds":
		if string(b.held) != string(old) {
			return store.ErrConflict
		}
		b.held = new
		return ctx.Err()
	case "context ignored":
		ctx = context.WithoutCancel(ctx)
	}
	return b.naive.Swap(ctx, subject, old, new)
}

func TestCredentialsMutants(t *testing.T) {
	for fault, caught := range map[string][]string{
		"swaps without comparing":   {"conflict", "one winner", "one first", "from none to a value"},
		"read, then write":          {"one winner", "one first", "none lost"},
		"read, then write at once":  {"one first"},
		"= for NULL":                {"from none to a value", "one first"},
		"NULL matches all":          {"from none to a value", "one first"},
		"truncated at 255":          {"whole"},
		"compares 255 octets":       {"compared by octets"},
		"ignores case":              {"compared by octets"},
		"ignores spaces at the end": {"compared by octets"},
		"LIKE":                      {"compared by octets"},
		"subjects cut at 255":       {"subject as it is"},
		"one value for all":         {"subjects apart"},
		"subjects ignore case":      {"subjects apart"},
		"values end":                {"kept for ever"},
		"values end in a day":       {"kept for ever"},
		"the oldest of 1000 goes":   {"none evicted"},

		"subjects without spaces at an end": {"subjects apart"},
		"0 rows is success":                 {"conflict", "one winner"},
		"never removes":                     {"from a value to none"},
		"upserts":                           {"conflict", "from a value to none"},
		"hands out what it holds":           {"copied values"},
		"empty for none":                    {"no value"},
		"context ignored":                   {"context"},
	} {
		t.Run(strings.ReplaceAll(fault, " ", "_"), func(t *testing.T) {
			for _, name := range caught {
				catches(t, credentialsCases(), name, func() store.Credentials {
					return &badVault{naive: newNaive(), fault: fault, since: time.Now()}
				})
			}
		})
	}
}
