// Package redisstore keeps challenges, limits and receipts in Redis: a [Store]
// is a store.Store, Limiter and Tracker that any number of processes share,
// on a single server, behind Sentinel, or on a Redis Cluster.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	shared, err := redisstore.New(redisstore.Config{Client: client})
//	warnings, err := shared.Check(ctx) // at the start: is this server one to trust?
//	err = shared.Create(ctx, record, time.Now())
//	record, err = shared.Attempt(ctx, record.ID, time.Now())
//	// compare a code, and if it is right:
//	record, err = shared.Finish(ctx, record.ID, store.Verified, time.Now())
//
// It takes Redis 7.0 or later.
package redisstore
