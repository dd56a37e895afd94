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
// Each method of Store, Limiter, Tracker and Credentials is one script and one round
// trip. On a Cluster, [Store.Take] of limits in different slots is one trip to each slot.
//
// A challenge is one key. The challenges of a bucket share one more, in the same slot:
// the runs of failures of their subjects, and beside each run what [Store.CancelAll]
// has cancelled. Calls read both anyway, so CancelAll costs them no further key.
//
// # Credentials
//
// The value of a subject is one key, which has no life. If a server loses it, the
// subject has no second factor any more: keep credentials in the table of users if
// there is one (see store.Credentials), or on a server with append-only file, replica
// and backup. [Store.Load] and [Store.Swap] refuse to work on a server whose
// maxmemory-policy evicts keys, and look at it again every minute.
//
// # Errors
//
// Apart from the errors of package store, a method returns its context's error, or
// an error that begins with "redisstore: " and wraps the client's. After such an
// error the caller must refuse the code, and must not send.
//
// # Concurrency
//
// All methods are safe for concurrent use. Only Run works in the background, and
// there is nothing to close: the client is the caller's. If a call returns because
// its time is over, it may leave a goroutine behind until the client's own timeouts
// end it.
//
// # If Redis does not answer
//
// A call returns an error when its context ends or Config.Timeout is over. Nothing
// is kept in the process to be sent later. Run goes on when the server is back.
//
// # If a reply is lost
//
// If a connection breaks before the reply has come, the client sends the call again,
// and the server may run it twice. So each call that changes something has a name,
// kept with its effect. The second run finds the name and returns the first answer: a
// wrong guess is charged once, and a right code is accepted.
//
// Attempt and Finish are named by the caller's token, and Create by the salt: these
// count as long as the challenge lives, and the caller may repeat the call, too. The
// others are named by a nonce that only the client's own repeats share. A nonce is
// kept while no more than three other Updates of the challenge, or seven other calls
// that change a limit, come in between. Otherwise Update returns ErrConflict, and Take
// counts twice.
//
// CancelAll changes nothing more if it runs twice. A Swap that runs twice returns
// ErrConflict; its caller loads the value and finds its own. Enqueue has no name: a job whose
// reply was lost may be added twice.
//
// # If a server fails over
//
// Replication is asynchronous: a new master lacks the writes that it had not
// received. It may lack charged attempts, failures and takings. It may lack that a
// code was accepted; the code may then be accepted once more until it expires. With
// a replica that keeps up, these are the writes of the master's last moment. The
// settings min-replicas-to-write and min-replicas-max-lag bound how many they are.
//
// A new master lacks the scripts, too. Calls send them again; there is nothing to
// do.
//
// # If a server restarts
//
// A server without append-only file and without replica forgets everything when it
// restarts. [Store.Check] warns of that.
//
// # If memory runs out
//
// A server that may evict keys forgets failures and limits that count: Check warns
// of that, and credentials are refused. With the policy noeviction, a full server refuses new data: the call
// returns store.ErrFull. Calls that need no memory succeed, above all those that
// accept a right code.
//
// # If processes of two releases share a server
//
// A release that changes the format of a value changes the names of the keys, so that
// no process reads what it does not understand. Processes of the two releases then
// count limits apart while a deployment rolls on: an address may get up to twice a
// limit until the old counts have ended, at the latest Per after the last old process.
// The release notes say so.
//
// # If others have access to the server
//
// Anyone with write access can reset counters and keep guessing. Read access shows
// no code and no address: names of keys are random or hashes, apart from the prefix,
// and values are as package store describes them.
//
// # Time
//
// The clocks of the processes decide what has expired. They should agree to a few
// seconds. Times have microseconds; a record's Created, Expires and Lock come back to
// the nanosecond. So Give finds a taking by its microsecond. Every key has a life that
// ends a minute or more after it is needed, except those of credentials.
package redisstore
