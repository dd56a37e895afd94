package store

import "context"

// MaxCredentials is the length of the longest value of [Credentials], in octets.
const MaxCredentials = 4096

// Credentials keeps one value per subject: the tokens and recovery codes with which
// the subject logs in, sealed. A value stays until it is removed. It has no life, and
// a backend must never evict it: without its value, a subject has no second factor.
//
// Most programs keep the value in the table of their users, in a column of its own, so
// that it is backed up and removed with the user's row. That takes two statements. In
// PostgreSQL they are
//
//	SELECT otp FROM users WHERE id = $1
//	UPDATE users SET otp = $3 WHERE id = $1 AND otp IS NOT DISTINCT FROM $2
//
// with a column otp of type text, $2 and $3 NULL where old and new are empty, and
// [ErrConflict] if no row was updated. MySQL and MariaDB compare with otp <=> ? in
// place of IS NOT DISTINCT FROM, SQLite with otp IS ?. An ordinary = never matches
// NULL. The column must compare octet by octet: in MySQL it is of type varbinary or has
// a binary collation. An UPDATE whose old value stands in a subquery or in an earlier
// SELECT is not one step.
//
// A value is of 1 to [MaxCredentials] printable ASCII characters. Load and Swap must
// see the primary, not a replica that lags.
type Credentials interface {
	// Load returns the subject's value, nil if there is none. If Swap cannot
	// create the row, as in a table of users, an unknown subject is an error.
	Load(ctx context.Context, subject string) ([]byte, error)

	// Swap replaces the value old by new in one atomic step, if the value is
	// still old. If old is empty, there must be no value yet; if new is empty,
	// the value is removed. Values handed in and out are the caller's own: a
	// backend copies.
	//
	// ErrConflict: the value is another, and stays. ErrFull: there is no room
	// for new; old stays. After any other error the call may have had its
	// effect or not. A client of the backend that repeats a call whose answer
	// was lost may find its own new, and return ErrConflict. In both cases the
	// caller finds out by Load, since no value of a caller is like another.
	Swap(ctx context.Context, subject string, old, new []byte) error
}
