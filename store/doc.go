// Package store defines where challenges, limits, receipts and jobs are kept:
// the contracts between the one-time password service and a backend. It
// depends on the standard library only. Package store/memstore is all four in
// one process; package store/storetest proves an implementation.
//
// # No secrets
//
// A store holds no code and no readable address. Codes are derived when they
// are needed from a key that no store sees and a salt that only the store has,
// and [Record.Sealed] is encrypted. So there is nothing to compare inside a
// backend's transaction, and a leaked store gives nothing away. Who can write
// to it, though, can reset counters.
//
// # Charging before comparing
//
// [Store.Attempt] charges an attempt before anyone compares a code, and
// [Store.Finish] has exactly one winner. With these two, no lock is held
// between calls, a wrong guess costs one round trip and a right one two, and
// 64 parallel guesses get no more comparisons than 64 in a row.
//
// # Time
//
// Every call is given the time. A record whose Expires has come is expired
// whatever the backend's own clock or time to live says; the latter is only
// for collecting garbage, and everything stored has one.
//
// # Errors
//
// The sentinels here are matched with errors.Is. Any other error means that
// the backend failed and that the caller must not assume anything: it refuses
// the code, and sends nothing.
//
// # Concurrency
//
// All methods are safe for concurrent use, across processes too where the
// backend is shared. A method that is called with a context that has ended
// does nothing and returns the context's error. One whose deadline comes
// meanwhile returns soon after it; one whose context is cancelled may take as
// long as the backend's own time limit. Either way what it was to do may be
// done or not.
package store
