package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A postgresCabinet is for any number of processes. Its table is values, in a schema of its
// own. The clocks of the processes decide whether a value has expired, as in pgstore.
type postgresCabinet struct {
	pool  *pgxpool.Pool
	table string
	swept atomic.Int64 // Unix seconds
}

// cabinetTimeout bounds a call, as pgstore's Config.Timeout does.
const cabinetTimeout = 3 * time.Second

func newPostgresCabinet(pool *pgxpool.Pool) *postgresCabinet {
	return &postgresCabinet{pool: pool, table: schemaOf(cabinetPrefix) + ".values"}
}

// migrateCabinet makes the table if there is none. Processes that start at one time may
// all call it.
func (s *state) migrateCabinet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	schema, table, there := schemaOf(cabinetPrefix), newPostgresCabinet(s.pool).table, false
	err := s.pool.QueryRow(ctx, "SELECT to_regclass($1::text) IS NOT NULL", table).Scan(&there)
	if err == nil && !there {
		_, err = s.pool.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('`+schema+`'));
			CREATE SCHEMA IF NOT EXISTS `+schema+`;
			CREATE TABLE IF NOT EXISTS `+table+` (
				name text COLLATE "C" PRIMARY KEY,
				value bytea NOT NULL, -- sealed
				expires timestamptz NOT NULL
			);
			CREATE INDEX IF NOT EXISTS values_expires ON `+table+` (expires)`)
	}
	return migrationError(schema, err)
}

func (p *postgresCabinet) put(ctx context.Context, name string, value []byte, life time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, cabinetTimeout)
	defer cancel()
	now := time.Now()
	_, err := p.pool.Exec(ctx, `INSERT INTO `+p.table+` VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE
		SET value = excluded.value, expires = excluded.expires`, name, value, now.Add(life))
	if last := p.swept.Load(); err == nil && now.Unix() > last && p.swept.CompareAndSwap(last, now.Unix()) {
		err = p.sweep(ctx, now)
	}
	return err
}

// sweep removes expired rows, once a second. Rows that another call has locked stay.
func (p *postgresCabinet) sweep(ctx context.Context, now time.Time) error {
	_, err := p.pool.Exec(ctx, `DELETE FROM `+p.table+` WHERE name IN (SELECT name FROM `+p.table+`
		WHERE expires < $1 ORDER BY expires LIMIT 500 FOR UPDATE SKIP LOCKED)`, now)
	return err
}

func (p *postgresCabinet) get(ctx context.Context, name string) ([]byte, error) {
	return p.one(ctx, `SELECT value FROM `+p.table+` WHERE name = $1 AND expires > $2`, name)
}

func (p *postgresCabinet) take(ctx context.Context, name string) ([]byte, error) {
	return p.one(ctx, `DELETE FROM `+p.table+` WHERE name = $1 AND expires > $2 RETURNING value`, name)
}

// one runs a statement for a name, and returns the value.
func (p *postgresCabinet) one(ctx context.Context, statement, name string) (value []byte, err error) {
	if !utf8.ValidString(name) || strings.Contains(name, "\x00") { // no text of PostgreSQL, so put stored none
		return nil, errGone
	}
	ctx, cancel := context.WithTimeout(ctx, cabinetTimeout)
	defer cancel()
	err = p.pool.QueryRow(ctx, statement, name, time.Now()).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errGone
	}
	return value, err
}

func (p *postgresCabinet) list(ctx context.Context, prefix string) (names []string, _ error) {
	ctx, cancel := context.WithTimeout(ctx, cabinetTimeout)
	defer cancel()
	rows, err := p.pool.Query(ctx, `SELECT name FROM `+p.table+`
		WHERE name >= $1 AND starts_with(name, $1) AND expires > $2 ORDER BY name`, prefix, time.Now())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
