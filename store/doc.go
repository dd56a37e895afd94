// Package store defines the contracts between the one-time password services and a
// backend. A backend keeps challenges ([Store]), limits ([Limiter]), receipts
// ([Tracker]), jobs ([Queue]) and credentials ([Credentials]).
//
// Package store/memstore implements all of them in one process, store/redisstore on
// Redis, and store/pgstore on PostgreSQL. Package store/storetest proves an
// implementation. A program usually implements [Credentials] itself, by a column in its
// users table.
//
// # No secrets
//
// A store holds no code and no readable address. A code is derived from a key that no
// store sees and a salt that only the store has, and [Record.Sealed] is encrypted. So a
// backend has nothing to compare, and a leaked store gives no code away. Anyone with
// write access can still reset counters and keep guessing.
//
// # Charging before comparing
//
// [Store.Attempt] charges an attempt before its caller compares a code, and
// [Store.Finish] has exactly one winner. So no lock is held between calls: a wrong guess
// costs one round trip and a right one two, and 64 parallel guesses get no more
// comparisons than 64 in a row.
//
// # Repeating a call
//
// Attempt and Finish have a [Token], and Create has the salt of its record. A call that
// is repeated with the same one changes nothing more, and has the result of the first.
// So a caller whose answer was lost may call again. Update is guarded by its revision.
//
// # Time
//
// A time is an instant: two times of one instant are equal, whatever their zones. A
// backend must keep microseconds.
//
// Every call has the time as its parameter now. A record is expired from its Expires on,
// whatever the backend's own clock or time to live says. A time to live only collects
// garbage. Everything stored must have one, except [Credentials], which must not expire.
//
// Clocks of processes differ, and calls overtake one another. So now may be up to a
// minute before the now of an earlier call. If the Per of a [Limit] is under a minute, it
// is by less than Per. Such a call works like any other, and the effects of the earlier
// call hold: a record that it created is found, its takings count, its failures are kept
// for the same time after it, and its lock holds. So an expired entry must be kept for
// another minute, and takings of a shorter Per for another Per, unless the backend is full.
//
// The methods of a [Queue] have no now. NotBefore and Expires of a [Job] are by the clocks
// of its callers. The time since a worker's heartbeat must be measured by one clock, the
// backend's.
//
// # Writing a store
//
// Package storetest has a whole Store, Limiter and Queue to copy as its examples, and the
// suite that proves them. WRITING.md, beside this file, leads from these to a store on a
// database, and has the rules for crashes, lost answers and dead workers.
//
// # Errors
//
// Callers match the errors of this package with errors.Is. Any other error means
// that the backend failed; the call may have had its effect or not. The caller must
// refuse the code, and must not send.
//
// # Concurrency
//
// All methods must be safe for concurrent use and, if processes share the backend, for
// concurrent use by these processes. If the context has ended before the call, a method
// must do nothing and return the context's error. If the deadline comes during the call,
// the method must return soon after it. If the context is cancelled during the call, the
// method may take as long as the backend's own time limit. In the last two cases the call
// may have had its effect or not.
package store
