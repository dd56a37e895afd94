package store

import "context"

// MaxCredentials is the length of the longest value of [Credentials], in octets.
const MaxCredentials = 4096

// Credentials keeps one value for each subject: the sealed tokens and recovery codes with
// which the subject logs in. A value stays until it is removed. A backend must never evict
// it, since a subject without its value has no second factor.
//
// Most programs keep the value in a column of their users table, so that it is backed up
// and removed with the user's row. In PostgreSQL the two statements are
//
//	SELECT otp FROM users WHERE id = $1
//	UPDATE users SET otp = $3 WHERE id = $1 AND otp IS NOT DISTINCT FROM $2
//
// The column otp is of type text. $2 is NULL if old is empty, and $3 is NULL if new is
// empty. If no row was updated, Swap returns [ErrConflict]. MySQL and MariaDB have
// otp <=> ? in place of IS NOT DISTINCT FROM, and SQLite has otp IS ?; an ordinary = never
// matches NULL. The column must compare octet by octet: in MySQL, by the type varbinary or
// a binary collation. The old value must be compared in the UPDATE itself: a subquery or an
// earlier SELECT makes it two steps.
//
// Subjects that differ in one octet, such as Ann and ann, are different subjects.
//
// A value is 1 to [MaxCredentials] printable ASCII characters. Load and Swap must use the
// primary, not a replica that lags.
type Credentials interface {
	// Load returns the subject's value, or nil if there is none. If Swap cannot create
	// the row, as in a users table, Load must return an error for an unknown subject.
	Load(ctx context.Context, subject string) ([]byte, error)

	// Swap replaces the value old by new in one atomic step, if the value is still
	// old. If old is empty, there must be no value yet. If new is empty, the value is
	// removed. A backend must copy values: a caller may change the values that it
	// passed or got.
	//
	// ErrConflict: the value differs from old, and stays. ErrFull: there is no room for
	// new, and old stays. After any other error the call may have had its effect or
	// not. If the backend's client repeats a call whose answer was lost, it may find
	// its own new value and return ErrConflict. In both cases the caller must Load the
	// value to find out; each value of a caller is unique.
	Swap(ctx context.Context, subject string, old, new []byte) error
}
