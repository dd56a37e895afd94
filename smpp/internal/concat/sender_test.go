package concat

import (
	"errors"
	"testing"
	"time"
)

// Unfinished messages of one sender do not keep those of another out.
func TestOneSenderDoesNotUseUpTheLimit(t *testing.T) {
	t.Parallel()
	r := New(Limits{Life: time.Minute, PerOwner: 10, PerSender: 3, Octets: 100})
	add := func(from string, reference, part int) (*Message, error) {
		m, _, err := r.Add(Key{From: from, Reference: reference, Parts: 2}, part, Part{Text: []byte("x")})
		return m, err
	}
	for i := range 10 {
		if _, err := add("+447911123456", i, 1); (i >= 3) != errors.Is(err, ErrFull) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if _, err := add("+447911123457", 1, 1); err != nil {
		t.Errorf("another sender: %v", err)
	}
	m, err := add("+447911123456", 0, 2)
	if m == nil || err != nil {
		t.Fatalf("the first message is not complete: %v", err)
	}
	r.Forget(m)
	if _, err := add("+447911123456", 11, 1); err != nil {
		t.Errorf("after one was complete: %v", err)
	}
}
