package memstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A full store takes no new subject, and evicts none.
func TestCredentialsRoom(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{MaxCredentials: 2})
	ctx := t.Context()
	for _, subject := range []string{"a", "b"} {
		if err := s.Swap(ctx, subject, nil, []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Swap(ctx, "c", nil, []byte("value")); !errors.Is(err, store.ErrFull) {
		t.Errorf("a third subject: %v, want ErrFull", err)
	}
	if err := s.Swap(ctx, "a", []byte("value"), []byte("other")); err != nil {
		t.Errorf("a new value in a full store: %v", err)
	}
	if err := s.Swap(ctx, "a", []byte("other"), nil); err != nil {
		t.Error(err)
	}
	if err := s.Swap(ctx, "c", nil, []byte("value")); err != nil {
		t.Errorf("a subject after one was removed: %v", err)
	}
}

func TestCredentialsTooLong(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	long := []byte(strings.Repeat("x", store.MaxCredentials+1))
	if err := s.Swap(t.Context(), "a", nil, long); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("Swap of %d bytes: %v, want an error", len(long), err)
	}
	if v, err := s.Load(t.Context(), "a"); err != nil || v != nil {
		t.Errorf("Load: %q, error %v", v, err)
	}
}
