// Package store defines the contracts between the one-time password services and a
// backend, which keeps challenges, limits, receipts, jobs and credentials. Package
// store/memstore implements them in one process, package store/redisstore on
// Redis, package store/pgstore on PostgreSQL; package store/storetest proves an
// implementation. [Credentials] is the one contract that a program usually implements
// itself, by a column in its users table.
//
// # No secrets
//
// A store holds no code and no readable address. Codes are derived when they
// are needed from a key that no store sees and a salt that only the store has,
// and [Record.Sealed] is encrypted. So there is nothing to compare inside a
// backend's transaction, and a leaked store gives nothing away. Anyone with write
// access, though, can reset counters and keep guessing.
//
// # Charging before comparing
//
// [Store.Attempt] charges an attempt before its caller compares a code, and
// [Store.Finish] has exactly one winner. With these two, no lock is held
// between calls, a wrong guess costs one round trip and a right one two, and
// 64 parallel guesses get no more comparisons than 64 in a row.
//
// # Repeating a call
//
// Attempt and Finish take a [Token], and Create has its salt: a call that is
// repeated with the same one changes nothing more, and has the result of the
// first. So a caller whose answer was lost asks again, and every backend
// repeats a call in the same way. Update is guarded by its revision.
//
// # Time
//
// Every call is given the time. A record whose Expires has come is expired, whatever
// the backend's own clock or time to live says. A time to live only collects
// garbage, and everything stored must have one. [Credentials] are the exception: they
// have no time, and must not have a life.
//
// Clocks of processes differ, and calls overtake one another: the time of a call may
// be before that of an earlier call, by up to a minute, and for a [Limit] by less than
// its Per. Such a call works as any other. The effect of an earlier call by a later
// time holds: a record that it created is found, a taking counts, a run of failures is
// remembered for as long after it, and a lock locks.
//
// # Writing a store
//
// WRITING.md, beside this file, has the rules for crashes, lost answers and dead workers.
// Package storetest holds a store to them.
//
// # Errors
//
// Callers match the errors of this package with errors.Is. Any other error means
// that the backend failed; the call may have had its effect or not. The caller must
// refuse the code, and must not send.
//
// # Concurrency
//
// All methods must be safe for concurrent use; if processes share the backend,
// across processes too. If its context has ended, a method does nothing and returns
// the context's error. If the deadline comes during the call, the method returns
// soon after it. If the context is cancelled during the call, the method may take as
// long as the backend's own time limit. In both cases the call may have had its
// effect or not.
package store
