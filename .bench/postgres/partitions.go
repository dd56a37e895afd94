package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How rows pass through the tables of measurePartitions: rowsLive of them live at one time, and a
// partition holds as many.
const (
	rowsPassed = 150_000
	rowsLive   = 10_000
	rowsSwept  = 500
)

// measurePartitions compares a plain table of challenges, whose expired rows are deleted in
// batches, with a table partitioned by expiry, which drops whole partitions. Each row is
// inserted, read, updated and read.
func measurePartitions(b *bench) error {
	for _, partitioned := range []bool{false, true} {
		_, pool, schema, err := b.open("off")
		if err != nil {
			return err
		}
		l := &layout{bench: b, pool: pool, table: schema + ".rows"}
		name, sweep := "plain", l.deleteExpired
		if partitioned {
			name, sweep = "partitioned", l.dropExpired
		}
		if err = l.create(partitioned); err == nil {
			err = l.pass(name, sweep)
		}
		pool.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

type layout struct {
	*bench
	pool  *pgxpool.Pool
	table string
}

func (l *layout) create(partitioned bool) error {
	columns := `(id uuid NOT NULL, expires bigint NOT NULL, revision bigint NOT NULL DEFAULT 0, sealed bytea NOT NULL,
		delivery bytea NOT NULL`
	if !partitioned {
		_, err := l.pool.Exec(l.ctx, "CREATE TABLE "+l.table+columns+`, PRIMARY KEY (id)) WITH (fillfactor = 80);
			CREATE INDEX ON `+l.table+" (expires)")
		return err
	}
	// A unique index must have the column of the partitions: id alone is in as many indexes as there are.
	_, err := l.pool.Exec(l.ctx, "CREATE TABLE "+l.table+columns+
		", PRIMARY KEY (id, expires)) PARTITION BY RANGE (expires)")
	if err == nil {
		err = l.addPartition(0)
	}
	return err
}

func (l *layout) addPartition(n int) error {
	_, err := l.pool.Exec(l.ctx, fmt.Sprintf(
		"CREATE TABLE %[1]s_%[2]d PARTITION OF %[1]s FOR VALUES FROM (%[3]d) TO (%[4]d) WITH (fillfactor = 80)",
		l.table, n, n*rowsLive, (n+1)*rowsLive))
	return err
}

// deleteExpired removes rows below i-rowsLive, if that is due.
func (l *layout) deleteExpired(i int) error {
	if i%rowsSwept > 0 {
		return nil
	}
	_, err := l.pool.Exec(l.ctx, fmt.Sprintf(`DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %[1]s
		WHERE expires < $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED))`, l.table), i-rowsLive, rowsSwept)
	return err
}

// dropExpired drops the partition of rows below i-rowsLive and adds the next, if that is due.
func (l *layout) dropExpired(i int) error {
	if i%rowsLive != rowsLive/2 {
		return nil
	}
	n := i / rowsLive
	if n >= 2 {
		if _, err := l.pool.Exec(l.ctx, fmt.Sprintf("DROP TABLE %s_%d", l.table, n-2)); err != nil {
			return err
		}
	}
	return l.addPartition(n + 1)
}

func (l *layout) pass(name string, sweep func(i int) error) error {
	insert := "INSERT INTO " + l.table + " (id, expires, sealed, delivery) VALUES ($1, $2, $3, $4)"
	update := "UPDATE " + l.table + " SET delivery = $2, revision = revision + 1 WHERE id = $1"
	read := "SELECT sealed FROM " + l.table + " WHERE id = $1"
	var longest atomic.Int64
	began := time.Now()
	err := inParallel(16, rowsPassed, func(i int) error {
		id := pgtype.UUID{Bytes: [16]byte(random(16)), Valid: true}
		start := time.Now()
		if err := sweep(i); err != nil {
			return err
		}
		if _, err := l.pool.Exec(l.ctx, insert, id, i, random(120), random(60)); err != nil {
			return err
		}
		var sealed []byte
		if err := l.pool.QueryRow(l.ctx, read, id).Scan(&sealed); err != nil {
			return err
		}
		if _, err := l.pool.Exec(l.ctx, update, id, random(200)); err != nil {
			return err
		}
		err := l.pool.QueryRow(l.ctx, read, id).Scan(&sealed)
		for took := int64(time.Since(start)); ; {
			if before := longest.Load(); took <= before || longest.CompareAndSwap(before, took) {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	rate := rowsPassed / time.Since(began).Seconds()
	var size int64
	err = l.pool.QueryRow(l.ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
		WHERE c.relkind = 'r' AND c.oid::regclass::text LIKE $1 || '%'`, l.table).Scan(&size)
	fmt.Printf("LAYOUT postgres %s %.0f rows/s, longest %v, %.1f MB at the end\n", name, rate,
		time.Duration(longest.Load()).Round(time.Millisecond), float64(size)/1e6)
	return err
}
