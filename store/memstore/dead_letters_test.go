package memstore_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestDeadLetters checks that letters are bounded, those of jobs that no
// worker has come upon included, and gone after a day.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		begin := time.Now()
		for i := range 1500 {
			j := store.Job{Challenge: fmt.Sprint(i), Expires: begin.Add(time.Hour + time.Duration(i)*time.Second)}
			if err := s.Enqueue(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(2 * time.Hour)
		s.Live(time.Now().UnixNano())
		dead, err := s.Dead(t.Context(), 1e6)
		if err != nil || len(dead) != 1000 {
			t.Fatalf("%d dead letters, error %v; want 1000", len(dead), err)
		}
		newest := dead[0]
		if newest.Job.Challenge != "1499" || !newest.At.Equal(newest.Job.Expires) ||
			dead[999].Job.Challenge != "500" {
			t.Errorf("letters of %s (at %v) to %s, want 1499 (at %v) to 500", newest.Job.Challenge, newest.At,
				dead[999].Job.Challenge, newest.Job.Expires)
		}
		<-time.After(time.Until(newest.At.Add(24*time.Hour - 1)))
		if dead, err = s.Dead(t.Context(), 1e6); err != nil || len(dead) != 1 {
			t.Errorf("%d dead letters a day after the last but one, error %v; want 1", len(dead), err)
		}
		<-time.After(1)
		if st, err := s.Stats(t.Context()); err != nil || st.Dead != 0 {
			t.Errorf("%d dead letters a day after the last, error %v", st.Dead, err)
		}
	})
}

// Numbers for a dashboard, and what to look into.
func ExampleStore_Stats() {
	ctx := context.Background()
	mem := memstore.New(memstore.Config{})
	now := time.Now()
	for _, j := range []store.Job{
		{Challenge: "abc-1", Priority: store.High, Expires: now.Add(time.Minute)},
		{Challenge: "abc-1", NotBefore: now.Add(20 * time.Second), Expires: now.Add(time.Minute)},
	} {
		if err := mem.Enqueue(ctx, j); err != nil {
			fmt.Println(err)
		}
	}
	st, err := mem.Stats(ctx)
	fmt.Println(st.High, st.Normal, st.Low, st.Delayed, st.Dead, err)
	dead, err := mem.Dead(ctx, 10)
	fmt.Println(len(dead), err)
	// Output:
	// 1 0 0 1 0 <nil>
	// 0 <nil>
}
