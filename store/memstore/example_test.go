package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A challenge is charged before a code is compared, and closed once.
func Example() {
	ctx, now := context.Background(), time.Now()
	mem := memstore.New(memstore.Config{})
	err := mem.Create(ctx, &store.Record{
		ID: "abc-1", Subject: "hash of the subject", Key: "k1",
		Created: now, Expires: now.Add(5 * time.Minute), MaxAttempts: 3,
	}, now)
	fmt.Println(err)

	r, err := mem.Attempt(ctx, "abc-1", 1, now) // a service draws its tokens at random
	fmt.Println(r.Attempts, "of", r.MaxAttempts, err)
	r, err = mem.Attempt(ctx, "abc-1", 1, now) // a repeat
	fmt.Println(r.Attempts, "of", r.MaxAttempts, err)
	r, err = mem.Finish(ctx, "abc-1", store.Verified, 2, now)
	fmt.Println(r.Outcome, err)
	_, err = mem.Finish(ctx, "abc-1", store.Verified, 3, now)
	fmt.Println(errors.Is(err, store.ErrClosed))

	_, err = mem.Get(ctx, "abc-1", now.Add(5*time.Minute))
	fmt.Println(errors.Is(err, store.ErrExpired))
	// Output:
	// <nil>
	// 1 of 3 <nil>
	// 1 of 3 <nil>
	// verified <nil>
	// true
	// true
}

// Two an hour, and no more than one a minute.
func ExampleStore_Take() {
	ctx, now := context.Background(), time.Now()
	mem := memstore.New(memstore.Config{})
	for _, at := range []time.Duration{0, 30 * time.Second, time.Minute, 2 * time.Minute} {
		d, err := mem.Take(ctx, now.Add(at),
			store.Limit{Key: "recipient/hash", Most: 1, Per: time.Minute},
			store.Limit{Key: "recipient/hash", Most: 2, Per: time.Hour})
		fmt.Println(at, d.Allowed, d.RetryAfter, d.Over, err)
	}
	// Output:
	// 0s true 0s [] <nil>
	// 30s false 30s [0] <nil>
	// 1m0s true 0s [] <nil>
	// 2m0s false 58m0s [1] <nil>
}

// Workers take jobs until their context ends.
func ExampleStore_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	mem := memstore.New(memstore.Config{})
	err := mem.Enqueue(ctx, store.Job{Challenge: "abc-1", Expires: time.Now().Add(time.Minute)})
	fmt.Println(err)
	looks := 0
	err = mem.Run(ctx, 4, func(_ context.Context, j store.Job) (again time.Time, err error) {
		looks++
		fmt.Println(j.Challenge, "look", looks)
		if looks == 1 {
			return time.Now().Add(time.Millisecond), nil // again at that time
		}
		cancel()
		return time.Time{}, nil // done
	})
	fmt.Println(err)
	// Output:
	// <nil>
	// abc-1 look 1
	// abc-1 look 2
	// context canceled
}
