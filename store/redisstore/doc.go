// Package redisstore keeps challenges, limits, receipts, jobs and credentials in Redis.
// A [Store] is a store.Store, Limiter, Tracker, Queue and Credentials that any number
// of processes share, on a single server, behind Sentinel, or on a Redis Cluster.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	shared, err := redisstore.New(redisstore.Config{Client: client})
//	warnings, err := shared.Check(ctx) // at the start: does this server keep its data?
//	err = shared.Create(ctx, record, time.Now())
//	record, err = shared.Attempt(ctx, record.ID, token, time.Now())
//	// compare the code, and if it is right:
//	record, err = shared.Finish(ctx, record.ID, store.Verified, token, time.Now())
//
// The server must be Redis 7.0 or later. Its user needs EVALSHA, EVAL and the
// commands on strings, hashes, sorted sets, lists and streams.
//
// Each method of Store, Limiter, Tracker and Credentials is one script and one
// round trip. On a Cluster, [Store.Take] of limits in different slots is one trip to
// each slot.
//
// [Store.Open] takes limits and creates a challenge in one script. So a Send of otp in
// the call is two trips: Open, and Update for the outcome. On a Cluster it is three: the
// limits of an address and the challenge of a subject are in different slots, and a
// challenge must not be created before its limits allow it. So Open is not supported
// there, and otp calls Take, whose slots are asked at one time, and then Create.
//
// The page OPERATING.md in this package's folder says what happens when a reply, a server
// or its memory is lost, and which settings of the server matter. Call [Store.Check] at
// the start of a program: it warns of settings that lose data.
//
// # Credentials
//
// The value of a subject is one key without a time to live. If the server loses it, the
// subject has no second factor any more. So keep credentials in a users table if there is
// one (see store.Credentials), or on a server with append-only file, replica and backup.
// [Store.Load] and [Store.Swap] refuse to work on a server whose maxmemory-policy evicts
// keys; they check the policy every minute.
//
// # Errors
//
// A method returns an error of package store, its context's error, or an error that begins
// with "redisstore: " and wraps the client's. After any error but those of package store,
// the caller must refuse the code, and must not send.
//
// # Concurrency
//
// All methods are safe for concurrent use. Only Run works in the background. A Store need
// not be closed: the caller closes the client. If a call returns because its time is over,
// it may leave a goroutine behind until the client's own timeouts end it.
//
// # Time
//
// The clocks of the processes decide when a record expires. They should agree to a few
// seconds. Times have microseconds, so Give finds a taking by its microsecond. A record's
// Created, Expires and Lock come back to the nanosecond.
package redisstore
