package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func credentialsCases() []testCase[store.Credentials] {
	return []testCase[store.Credentials]{
		{"no value", "a subject without a value has none, and Load of it is no error", noValue},
		{"from none to a value", "Swap of an empty old stores the first value, and only the first", fromNone},
		{"from a value to none", "Swap to an empty new removes the value, and a first one may follow", toNone},
		{"value to value", "Swap replaces the value if it is still old", valueToValue},
		{"conflict", "if the value is another, Swap returns ErrConflict and the value stays", conflicts},
		{"compared by octets", "values that differ in case, in length or in spaces are different values", byOctets},
		{"whole", "a value of 4096 octets, of all printable ASCII characters, comes back as it was", wholeValue},
		{"subjects apart", "subjects that differ in an octet have values of their own", subjectsApart},
		{"none evicted", "a value outlives a thousand others; ErrFull refuses the new ones", valueNotEvicted},
		{"kept for ever", "a value has no end: it is there until it is removed", keptForEver},
		{"subject as it is", "a subject of 256 octets, with spaces, quotes and letters of any script, is one subject",
			subjectAsItIs},
		{"copied values", "values handed in and out are the caller's own", valuesCopied},
		{"one winner", "of 64 parallel Swaps of one old value, one succeeds", oneWinner},
		{"one first", "of 64 parallel Swaps of the first value, one succeeds", oneFirst},
		{"none lost", "parallel callers that load and swap until they succeed lose no change", noneLost},
		{"context", "if the context has ended, Swap changes nothing", swapAfterEnd},
	}
}

// A vault is a Credentials under test, of one subject.
type vault struct {
	tester
	store.Credentials
	subject string
}

func newVault(t tester, c store.Credentials) *vault { return &vault{t, c, unique("subject ")} }

// has checks the subject's value.
func (v *vault) has(want string) {
	v.Helper()
	got, err := v.Load(v.Context(), v.subject)
	if err != nil || string(got) != want {
		v.Fatalf("Load: %.80q, error %v, want %.80q", got, err, want)
	}
	if want == "" && got != nil {
		v.Fatalf("Load of no value: not nil")
	}
}

// swap swaps, and checks the answer of Swap and the value after it.
func (v *vault) swap(old, new string) {
	v.Helper()
	if err := v.Swap(v.Context(), v.subject, octets(old), octets(new)); err != nil {
		v.Fatalf("Swap from %.80q to %.80q: %v", old, new, err)
	}
	v.has(new)
}

// conflicts swaps, while the value is now, and wants ErrConflict.
func (v *vault) conflicts(now, old, new string) {
	v.Helper()
	if err := v.Swap(v.Context(), v.subject, octets(old), octets(new)); !errors.Is(err, store.ErrConflict) {
		v.Fatalf("Swap from %.80q to %.80q, where %.80q is: %v, want ErrConflict", old, new, now, err)
	}
	v.has(now)
}

// octets returns nil for no value.
func octets(value string) []byte {
	if value == "" {
		return nil
	}
	return []byte(value)
}

func noValue(t tester, c store.Credentials) {
	newVault(t, c).has("")
}

func fromNone(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "first")
	v.conflicts("first", "", "another")
	v.conflicts("first", "", "first")
	v.swap("first", "")
}

func toNone(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "first")
	v.conflicts("first", "second", "")
	v.swap("first", "")
	v.conflicts("", "first", "second")
	v.conflicts("", "first", "")
	v.swap("", "first")
	v.swap("first", "")
}

func valueToValue(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "1")
	for i := 2; i < 10; i++ {
		v.swap(fmt.Sprint(i-1), fmt.Sprint(i))
	}
	v.swap("9", "")
}

func conflicts(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.conflicts("", "old", "new")
	v.swap("", "value")
	v.conflicts("value", "old", "new")
	v.conflicts("value", "old", "value")
	v.swap("value", "newer")
	v.conflicts("newer", "value", "newest")
	v.swap("newer", "")
}

func byOctets(t tester, c store.Credentials) {
	v := newVault(t, c)
	const value = "otp1:k1:AbCd"
	v.swap("", value)
	for _, other := range []string{
		strings.ToUpper(value), strings.ToLower(value), value + " ", " " + value, value + "A", value[:len(value)-1],
		"otp1:k1:Abcd", "otp1_k1%AbCd", "%", "0",
	} {
		v.conflicts(value, other, "otp1:k1:new")
	}
	long := value + strings.Repeat("x", 2000)
	v.swap(value, long+"1")
	v.conflicts(long+"1", long+"2", "otp1:k1:new")
	v.swap(long+"1", "")
}

func wholeValue(t tester, c store.Credentials) {
	v := newVault(t, c)
	var all strings.Builder
	for b := byte(' '); b <= '~'; b++ {
		all.WriteByte(b)
	}
	text := "otp1:" + strings.Repeat(all.String()+" ", store.MaxCredentials)
	before := ""
	for _, n := range []int{1, 5, 127, 128, 255, 256, 257, 1023, 1024, 2048, store.MaxCredentials} {
		value := text[:n-1] + "." // no white space at an end
		v.swap(before, value)
		before = value
	}
	v.swap(before, "")
}

func valueNotEvicted(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "value")
	parallel(racers, func(int) {
		var others []string
		for range crowd / 2 / racers {
			other := unique("subject ")
			if err := c.Swap(t.Context(), other, nil, []byte("value")); err == nil {
				others = append(others, other)
			} else if !errors.Is(err, store.ErrFull) {
				v.Errorf("Swap: %v, want success or ErrFull", err)
			}
		}
		for _, other := range others {
			if err := c.Swap(t.Context(), other, []byte("value"), nil); err != nil {
				v.Errorf("Swap to no value: %v", err)
			}
		}
	})
	v.has("value")
	v.swap("value", "")
}

// keptForEver asks the harness, and waits where that takes no time.
func keptForEver(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "value")
	if v.virtual() {
		<-time.After(horizon)
		v.has("value")
	}
	if now := time.Now(); v.live(now) > 0 && v.live(now.Add(horizon)) == 0 {
		v.Errorf("nothing lives on after %v: want a value that has no end", horizon)
	}
	v.swap("value", "")
}

func subjectsApart(t tester, c store.Credentials) {
	a, b := newVault(t, c), newVault(t, c)
	a.swap("", "a")
	b.has("")
	b.swap("", "b")
	a.has("a")
	b.conflicts("b", "a", "c")
	a.swap("a", "")
	b.has("b")
	b.swap("b", "")
	subject := unique("Subject")
	for _, other := range []string{strings.ToLower(subject), strings.ToUpper(subject), subject + " ", " " + subject,
		subject + "é", subject + "e\u0301"} {
		a, b := &vault{t, c, subject}, &vault{t, c, other}
		a.swap("", "a")
		b.swap("", "b")
		a.has("a")
		a.swap("a", "")
		b.swap("b", "")
	}
}

func subjectAsItIs(t tester, c store.Credentials) {
	v := newVault(t, c)
	begin := v.subject + ` 'O"Brien\%_{}*?; --` + "Ω李"
	v.subject = begin + strings.Repeat("x", 256-len(begin))
	shorter := &vault{t, c, v.subject[:255]}
	v.swap("", "value")
	shorter.has("")
	v.swap("value", "")
}

func valuesCopied(t tester, c store.Credentials) {
	v := newVault(t, c)
	value := []byte("value")
	if err := v.Swap(v.Context(), v.subject, nil, value); err != nil {
		v.Fatalf("Swap: %v", err)
	}
	copy(value, "XXXXX")
	v.has("value")
	got, err := v.Load(v.Context(), v.subject)
	if err != nil {
		v.Fatalf("Load: %v", err)
	}
	copy(got, "XXXXX")
	v.has("value")
	v.swap("value", "")
}

func oneWinner(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "old")
	v.swap(race(v, "old"), "")
}

func oneFirst(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap(race(v, ""), "")
	subject := unique("subject ")
	oneWins(t, "Swap of the first value", func(round, i int) (bool, bool) {
		err := c.Swap(t.Context(), fmt.Sprint(subject, round), nil, []byte{'a' + byte(i)})
		return err == nil, errors.Is(err, store.ErrConflict)
	})
	duel(t, func(round, i int) { // removes the winner's, and is refused the other
		_ = c.Swap(t.Context(), fmt.Sprint(subject, round), []byte{'a' + byte(i)}, nil)
	})
}

// race swaps old for 64 new values at one time, and returns the winner.
func race(v *vault, old string) (winner string) {
	v.Helper()
	var mu sync.Mutex
	won := 0
	parallel(64, func(i int) {
		new := fmt.Sprint("value of ", i)
		switch err := v.Swap(v.Context(), v.subject, octets(old), []byte(new)); {
		case err == nil:
			mu.Lock()
			defer mu.Unlock()
			won++
			winner = new
		case !errors.Is(err, store.ErrConflict):
			v.Errorf("Swap: %v, want success or ErrConflict", err)
		}
	})
	if won != 1 {
		v.Fatalf("%d of 64 parallel Swaps succeeded, want 1", won)
	}
	v.has(winner)
	return winner
}

func noneLost(t tester, c store.Credentials) {
	v := newVault(t, c)
	const callers = 16
	parallel(callers, func(i int) {
		for range 1000 {
			old, err := v.Load(v.Context(), v.subject)
			if err != nil {
				v.Errorf("Load: %v", err)
				return
			}
			err = v.Swap(v.Context(), v.subject, old, append(old[:len(old):len(old)], byte('A'+i)))
			if !errors.Is(err, store.ErrConflict) {
				if err != nil {
					v.Errorf("Swap: %v", err)
				}
				return
			}
		}
		v.Errorf("a caller had 1000 conflicts with %d others that swap once each", callers-1)
	})
	got, err := v.Load(v.Context(), v.subject)
	if err != nil || len(got) != callers {
		v.Fatalf("Load: %q, error %v, want the letters of %d callers", got, err, callers)
	}
	v.swap(string(got), "")
}

func swapAfterEnd(t tester, c store.Credentials) {
	v := newVault(t, c)
	v.swap("", "value")
	ctx, cancel := context.WithCancel(v.Context())
	cancel()
	if err := v.Swap(ctx, v.subject, []byte("value"), []byte("new")); err == nil || errors.Is(err, store.ErrConflict) {
		v.Errorf("Swap with an ended context: %v, want the context's error", err)
	}
	if got, err := v.Load(ctx, v.subject); err == nil {
		v.Errorf("Load with an ended context: %q, want the context's error", got)
	}
	v.has("value")
	v.swap("value", "")
}
