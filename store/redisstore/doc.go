// Package redisstore keeps challenges, limits, receipts and jobs in Redis: a
// [Store] is a store.Store, Limiter, Tracker and Queue that any number of
// processes share, on a single server, behind Sentinel, or on a Redis Cluster.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	shared, err := redisstore.New(redisstore.Config{Client: client})
//	warnings, err := shared.Check(ctx) // at the start: is this server one to trust?
//	err = shared.Create(ctx, record, time.Now())
//	record, err = shared.Attempt(ctx, record.ID, time.Now())
//	// compare a code, and if it is right:
//	record, err = shared.Finish(ctx, record.ID, store.Verified, time.Now())
//
// It takes Redis 7.0 or later, and a user who may run EVALSHA and EVAL and the
// commands on strings, hashes, sorted sets and streams.
//
// # Round trips
//
// Each method of Store, Limiter and Tracker is one script, and one round trip.
// A challenge and the failures of its subject are in one slot of a Cluster, by
// the part of its ID before "-". Take of limits that are in different slots is
// one trip to each, all at one time; see there. A script that the server does
// not have, as after a failover or SCRIPT FLUSH, is sent with its second try.
//
// # What is asked twice
//
// The client asks again when a connection breaks before the reply has come,
// which may be after the server did as it was asked. So each call that changes
// something has a nonce, kept beside what it changed: the second time it gets
// the first answer, a wrong guess is charged once, and a right code accepted.
// That holds as long as no more than seven other Attempts on the challenge,
// three Updates, or seven Takes from a limit come in between; beyond, the call
// counts twice, or has its ErrConflict.
//
// # When Redis fails
//
// A call that fails, or takes longer than its context or Config.Timeout, has
// an error that is none of package store's: the caller refuses the code and
// sends nothing. Nothing is kept in the process for later.
//
// Replication is asynchronous, so a failover forgets what the new master had
// not yet been told: charged attempts, failures, takings, and that a code was
// accepted, which may be accepted once more until it expires. With a replica
// that keeps up that is what the master answered in its last moment.
// min-replicas-to-write and min-replicas-max-lag bound how much that can be,
// and a restart of a server without append-only file forgets all. A server
// that evicts keys forgets failures that count. [Store.Check] warns of both.
//
// When its memory is full the server takes nothing new, and the answer is
// store.ErrFull. What needs none, to accept a right code above all, goes on.
//
// Who can write to Redis can reset counters. Who can read it learns no code
// and no address: names of keys are random or hashes, save the prefix, and
// values are what package store says they are.
//
// # Time
//
// Times are those that the calls are given, to the microsecond; what Create is
// given comes back to the nanosecond. Every key has a life that Redis ends a
// minute or more after it is of no more use, so the clocks of the processes,
// and only theirs, decide what has expired. They should agree to a few
// seconds.
//
// # Errors and concurrency
//
// Beside the errors of package store, a method returns its context's error, or
// one that begins with "redisstore: " and wraps the client's. All methods are
// safe for concurrent use. A call that returned because its time was over may
// leave a goroutine behind, until the client's own timeouts end it. Nothing
// runs in the background but Run, and there is nothing to close: the client is
// the caller's.
package redisstore
