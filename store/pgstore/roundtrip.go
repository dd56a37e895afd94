package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/otpcourier/otpcourier/store"
)

// within bounds a call by Config.Timeout.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}

// exec runs a statement that returns nothing to read, and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, sql string, args ...any) (n int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	within, cancel := s.within(ctx)
	defer cancel()
	err = s.on(within, func(ctx context.Context, db DB) error {
		tag, err := db.Exec(ctx, sql, args...)
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

// row runs a statement and reads the one row that it returns.
func (s *Store) row(ctx context.Context, into []any, sql string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	within, cancel := s.within(ctx)
	defer cancel()
	return s.scan(within, into, sql, args...)
}

// scan is row for a ctx that ends in time.
func (s *Store) scan(ctx context.Context, into []any, sql string, args ...any) error {
	return s.on(ctx, func(ctx context.Context, db DB) error { return db.QueryRow(ctx, sql, args...).Scan(into...) })
}

// on calls f, which runs one statement, with Config.DB, or with a connection of it if it is a pool.
// If the statement did not begin, since the connection was closed or has lost its prepared statements,
// on calls f once more. A connection that is not of a pool may be in a transaction, which has then
// failed. ctx must end in time.
func (s *Store) on(ctx context.Context, f func(ctx context.Context, db DB) error) error {
	if s.pool == nil {
		return failure(f(ctx, s.db))
	}
	err := s.onConn(ctx, f)
	if notBegun(err) && ctx.Err() == nil {
		err = s.onConn(ctx, f)
	}
	return failure(err)
}

// onConn calls f with a connection of the pool.
func (s *Store) onConn(ctx context.Context, f func(ctx context.Context, db DB) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return f(ctx, conn.Conn())
}

// SQLSTATEs that are told apart.
const (
	diskFull          = "53100"
	undefinedTable    = "42P01"
	undefinedSchema   = "3F000"
	undefinedFunc     = "42883"
	readOnly          = "25006"
	unknownStatement  = "26000"
	statementExists   = "42P05"
	protocolViolation = "08P01" // the statement of another client
	resultChanged     = "0A000" // a later release has changed the schema
)

// notBegun reports whether the server has done nothing for a statement.
func notBegun(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code == unknownStatement || refused.Code == resultChanged
	}
	return pgconn.SafeToRetry(err)
}

// failure returns the error of a call: store.ErrFull if the server's disk is full.
func failure(err error) error {
	if err == nil {
		return nil
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fmt.Errorf("pgstore: %w", err)
	}
	switch refused.Code {
	case diskFull:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case undefinedTable, undefinedSchema, undefinedFunc:
		return fmt.Errorf("pgstore: the schema is missing or of another release, see Store.Migrate: %w", err)
	case readOnly:
		return fmt.Errorf("pgstore: the server is a standby or read-only: %w", err)
	case unknownStatement, statementExists, protocolViolation:
		return fmt.Errorf("pgstore: a pooler changes the connection between two statements: set PgBouncer's "+
			"max_prepared_statements, or pgx's default_query_exec_mode to exec: %w", err)
	}
	return fmt.Errorf("pgstore: %w", err)
}
