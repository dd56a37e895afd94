package pgstore

// statements are the SQL of the calls, with the names of the schema.
type statements struct {
	get, charge, chargeAll, attempt, finish, update, create, cancelAll, forget string

	take, give, track, match string

	load, firstValue, swap, remove string

	enqueue, fetch, ack, heartbeat, stats, dead string

	sweep string
}

// challengeFields are read into an answer, in this order.
const challengeFields = `SELECT status, outcome, locked_until, attempts, created, expires, lock, run_life, revision,
	max_attempts, max_failures, max_run, new_code, subject, grp, key, salt, sealed, delivery FROM otpcourier.`

// chargeOne is Attempt, if nothing speaks against it. See charge_all in the migrations.
const chargeOne = `UPDATE otpcourier.subjects u SET
	failures = CASE WHEN u.ends > $3::bigint THEN u.failures + 1 ELSE 1 END,
	total = CASE WHEN u.life > $3 THEN u.total + 1 ELSE 1 END,
	ends = greatest(u.ends, $3 + t.lock), life = greatest(u.life, u.ends, $3 + t.lock, $3 + t.run_life),
	charged = u.charged || t.id, tokens = u.tokens || $2::bigint, until = u.until || t.expires,
	kept = greatest(u.kept, otpcourier.hours(greatest(u.ends, u.life, $3 + t.lock, $3 + t.run_life, t.expires)))
	FROM otpcourier.challenges t
	WHERE t.id = $1::uuid AND t.expires > $3 AND t.outcome = 0 AND t.lock > 0
	AND u.subject = t.subject AND u.marked IS NULL AND u.closed <= $3
	AND NOT u.locked AND u.failures < t.max_failures - 1 AND u.total < t.max_run - 1
	AND (u.until[1] + otpcourier.slack() > $3) IS NOT FALSE AND array_position(u.tokens, $2) IS NULL
	AND coalesce(cardinality(array_positions(u.charged, t.id)), 0) < t.max_attempts
	RETURNING cardinality(array_positions(u.charged, t.id)), t.created, t.expires, t.lock, t.run_life, t.revision,
	t.max_attempts, t.max_failures, t.max_run, t.new_code, t.subject, t.grp, t.key, t.salt, t.sealed, t.delivery`

// newStatements returns the statements of a schema.
func newStatements(schema string) statements {
	q := func(text string) string { return inSchema(text, schema) }
	return statements{
		get:    q(challengeFields + `look($1::uuid, $2::bigint)`),
		charge: q(chargeOne),
		chargeAll: q(`SELECT place, attempts, created, expires, lock, run_life, revision, max_attempts, max_failures,
			max_run, new_code, subject, grp, key, salt, sealed, delivery
			FROM otpcourier.charge_all($1::uuid[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[],
				$6::bigint[])`),
		attempt: q(challengeFields + `attempt($1::uuid, $2::bigint, $3::bigint)`),
		finish:  q(challengeFields + `finish($1::uuid, $2::integer, $3::bigint, $4::bigint)`),
		update:  q(challengeFields + `revise($1::uuid, $2::bigint, $3::bytea, $4::bigint)`),
		create: q(`SELECT status, locked_until FROM otpcourier.make(ROW($1::uuid, $2::bigint, $3::bigint, $4::bigint,
			$5::bigint, 0, 0, $6::integer, $7::integer, $8::integer, 0, $9::boolean, $10::bytea, $11::bytea, $12::bytea,
			$13::bytea, $14::bytea, $15::bytea)::otpcourier.challenges, $16::bigint)`),
		cancelAll: q(`SELECT otpcourier.cancel_all($1::bytea, $2::bytea, $3::bigint, $4::bigint)`),
		forget: q(`UPDATE otpcourier.subjects SET failures = 0, ends = 0, locked = false, total = 0, life = 0
			WHERE subject = $1::bytea`),

		take: q(`SELECT otpcourier.take($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
			$6::bigint[], $7::boolean[], $8::boolean[], $9::bigint)`),
		give: q(`SELECT otpcourier.give($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint)`),

		track: q(`SELECT otpcourier.track($1::uuid, $2::integer, $3::bytea, $4::bigint, $5::bigint)`),
		match: q(`SELECT message, is_full FROM otpcourier.match($1::uuid, $2::integer, $3::bytea, $4::bigint,
			$5::bigint, $6::bigint, $7::integer)`),

		load: q(`SELECT value FROM otpcourier.credentials WHERE subject = $1::bytea`),
		firstValue: q(`INSERT INTO otpcourier.credentials (subject, value) VALUES ($1::bytea, $2::bytea)
			ON CONFLICT DO NOTHING`),
		swap: q(`UPDATE otpcourier.credentials SET value = $3::bytea
			WHERE subject = $1::bytea AND value = $2::bytea`),
		remove: q(`DELETE FROM otpcourier.credentials WHERE subject = $1::bytea AND value = $2::bytea`),

		enqueue: q(`SELECT otpcourier.enqueue($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[],
			$6::bigint)`),
		fetch: q(`SELECT id, due, expires, not_before, attempts, rank, challenge
			FROM otpcourier.fetch($1::bigint, $2::integer, $3::bigint)`),
		ack: q(`SELECT otpcourier.ack($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[],
			$5::integer[], $6::bigint)`),
		heartbeat: q(`SELECT otpcourier.heartbeat($1::bigint[], $2::bigint[], $3::interval, $4::integer, $5::bigint)`),
		stats: q(`SELECT count(*) FILTER (WHERE lease IS NULL AND due <= $1::bigint AND rank = 0),
			count(*) FILTER (WHERE lease IS NULL AND due <= $1::bigint AND rank = 1),
			count(*) FILTER (WHERE lease IS NULL AND due <= $1::bigint AND rank = 2),
			count(*) FILTER (WHERE lease IS NULL AND due > $1::bigint), count(*) FILTER (WHERE lease IS NOT NULL),
			coalesce(min(due) FILTER (WHERE lease IS NULL AND due <= $1::bigint), 0),
			(SELECT count(*) FROM (SELECT FROM otpcourier.dead_letters WHERE at > $2::bigint LIMIT 1000) AS newest)
			FROM otpcourier.jobs`),
		dead: q(`SELECT challenge, rank, not_before, expires, attempts, reason, at FROM otpcourier.dead_letters
			WHERE at > $1::bigint ORDER BY id DESC LIMIT $2::bigint`),

		sweep: q(`SELECT greatest(otpcourier.sweep_challenges(t.now, $2::integer),
			otpcourier.sweep_limits(t.now, $2::integer), otpcourier.sweep_receipts(t.now, $2::integer),
			otpcourier.sweep_jobs(t.now, $2::integer))
			FROM (SELECT least($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint) AS now) AS t`),
	}
}
