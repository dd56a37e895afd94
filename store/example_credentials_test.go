package store_test

import (
	"context"
	"database/sql"

	"github.com/otpcourier/otpcourier/store"
)

// users is a program's own table of users, with a column otp of type text.
type users struct{ db *sql.DB }

var _ store.Credentials = users{}

// Load returns sql.ErrNoRows for a user who does not exist.
func (u users) Load(ctx context.Context, subject string) ([]byte, error) {
	var value []byte // NULL: none
	err := u.db.QueryRowContext(ctx, "SELECT otp FROM users WHERE id = $1", subject).Scan(&value)
	return value, err
}

func (u users) Swap(ctx context.Context, subject string, old, new []byte) error {
	res, err := u.db.ExecContext(ctx,
		"UPDATE users SET otp = $3 WHERE id = $1 AND otp IS NOT DISTINCT FROM $2", subject, orNull(old), orNull(new))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return store.ErrConflict
}

func orNull(value []byte) any {
	if len(value) == 0 {
		return nil
	}
	return string(value)
}

// Authenticator apps and recovery codes are kept in the users table of the program.
func ExampleCredentials() {
	var db *sql.DB // opened by the program
	var tokens store.Credentials = users{db}
	_ = tokens // authenticator.Config.Store
}
