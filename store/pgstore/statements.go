package pgstore

// statements are the SQL of the calls, with the names of the schema.
type statements struct {
	get, cancelAll, forget string

	create, createAny               string
	charge, chargeAll, attempt      string
	finishOne, finishAll, finishAny string
	updateOne, updateAll, updateAny string

	open, take, give, track, match string

	load, firstValue, swap, remove string

	enqueue, fetch, ack, heartbeat, stats, dead string

	sweep string
}

// challengeFields are read into an answer, in this order.
const challengeFields = `SELECT status, outcome, locked_until, attempts, revision, fixed, delivery FROM otpcourier.`

// chargeOne is Attempt, if nothing speaks against it. See charge_all in the migrations. As ANY cannot be
// merged or hashed, the plan is to find t first, and then u by its index, however small the tables were
// when the statement was prepared. A difference keeps it from finding t by the index of expires.
const chargeOne = `UPDATE otpcourier.subjects u SET
	failures = CASE WHEN u.ends > $3::bigint THEN u.failures + 1 ELSE 1 END,
	total = CASE WHEN u.life > $3 THEN u.total + 1 ELSE 1 END,
	ends = greatest(u.ends, $3 + t.lock), life = greatest(u.life, u.ends, $3 + t.lock, $3 + t.run_life),
	charges = u.charges || $2::bytea || int8send(t.expires)
	FROM otpcourier.challenges t
	WHERE t.id = $1::uuid AND t.expires - $3 > 0 AND t.outcome = 0 AND t.lock > 0
	AND u.subject = ANY (ARRAY[t.subject]) AND u.marked IS NULL AND u.closed <= $3
	AND NOT u.locked AND u.failures < t.max_failures - 1 AND u.total < t.max_run - 1
	AND length(u.charges) / 32 < least(t.max_attempts, 64) AND position($2 in u.charges) = 0
	RETURNING ` + openColumns

// openColumns are read into an answer, in this order. Each column more takes half a microsecond.
const openColumns = `u.charges, t.revision, t.fixed, t.delivery`

// placedColumns are those of the functions that take several calls.
const placedColumns = `SELECT place, charges, revision, fixed, delivery FROM otpcourier.`

// finishOne is Finish as Verified, if nothing speaks against it. The subject's row is locked before
// the challenge's, and the conditions on it are looked at anew if it was changed since the statement
// began: u.closed tells whether t was closed meanwhile.
const finishOne = `WITH u AS (
	UPDATE otpcourier.subjects u SET closed = greatest(u.closed, t.expires), failures = 0, ends = 0, locked = false,
	total = 0, life = 0
	FROM otpcourier.challenges t
	WHERE t.id = $1::uuid AND t.expires - $3::bigint > 0 AND t.outcome = 0
	AND u.subject = ANY (ARRAY[t.subject]) AND u.marked IS NULL AND u.closed <= $3
	RETURNING u.charges)
	UPDATE otpcourier.challenges t SET outcome = 1, winner = $2::bigint FROM u
	WHERE t.id = $1 AND t.outcome = 0
	RETURNING ` + openColumns

// updateOne is Update of an open challenge, if nothing speaks against it. If the statement has to
// wait, for a Finish, then t is closed after that: what u was before is not returned.
const updateOne = `UPDATE otpcourier.challenges t SET delivery = $3::bytea, revision = t.revision + 1
	FROM otpcourier.subjects u
	WHERE t.id = $1::uuid AND t.revision = $2::bigint AND t.expires - $4::bigint > 0 AND t.outcome = 0
	AND u.subject = ANY (ARRAY[t.subject]) AND u.marked IS NULL AND NOT (u.locked AND u.ends > $4)
	RETURNING ` + openColumns

// createOne is Create, if nothing speaks against it. The row of the subject is made, or kept for
// longer, before the challenge is inserted.
const createOne = `WITH old AS (
	SELECT u.kept, u.locked AND u.ends > $14::bigint AS locked FROM otpcourier.subjects u WHERE u.subject = $9::bytea),
	made AS (INSERT INTO otpcourier.subjects AS u (subject, kept)
		SELECT $9, otpcourier.hours($3::bigint)
		WHERE NOT EXISTS (SELECT FROM old WHERE old.locked OR old.kept >= otpcourier.hours($3))
		ON CONFLICT (subject) DO UPDATE SET kept = greatest(u.kept, excluded.kept) RETURNING 1)
	INSERT INTO otpcourier.challenges
	SELECT $1::uuid, $2::bigint, $3, $4::bigint, $5::bigint, 0, 0, $6::integer, $7::integer, $8::integer, 0,
		$9, $10::bytea, $11::bytea, $12::bytea, $13::bytea
	WHERE (SELECT count(*) FROM made) >= 0 AND NOT EXISTS (SELECT FROM old WHERE old.locked)
	ON CONFLICT DO NOTHING`

// newRow is a challenge, as createOne has it, for functions.
const newRow = `ROW($1::uuid, $2::bigint, $3::bigint, $4::bigint, $5::bigint, 0, 0, $6::integer, $7::integer,
	$8::integer, 0, $9::bytea, $10::bytea, $11::bytea, $12::bytea, $13::bytea)::otpcourier.challenges`

// newStatements returns the statements of a schema.
func newStatements(schema string) statements {
	q := func(text string) string { return inSchema(text, schema) }
	return statements{
		get:    q(challengeFields + `look($1::uuid, $2::bigint) WHERE status IS NOT NULL`),
		charge: q(chargeOne),
		chargeAll: q(placedColumns + `charge_all($1::uuid[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[],
				$6::bytea[])`),
		attempt:   q(challengeFields + `attempt($1::uuid, $2::bigint, $3::bigint) WHERE status IS NOT NULL`),
		finishOne: q(finishOne),
		finishAll: q(placedColumns + `finish_all($1::uuid[], $2::bigint[], $3::bigint[])`),
		finishAny: q(challengeFields +
			`finish($1::uuid, $2::integer, $3::bigint, $4::bigint) WHERE status IS NOT NULL`),
		updateOne: q(updateOne),
		updateAll: q(placedColumns + `revise_all($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[])`),
		updateAny: q(challengeFields + `revise($1::uuid, $2::bigint, $3::bytea, $4::bigint) WHERE status IS NOT NULL`),
		create:    q(createOne),
		createAny: q(`SELECT status, locked_until FROM otpcourier.make(` + newRow + `, false, $14::bigint)`),
		cancelAll: q(`SELECT otpcourier.cancel_all($1::bytea, $2::bytea, $3::bigint, $4::bigint)`),
		forget: q(`UPDATE otpcourier.subjects SET failures = 0, ends = 0, locked = false, total = 0, life = 0
			WHERE subject = $1::bytea`),

		open: q(`SELECT status, locked_until, waits FROM otpcourier.open(` + newRow + `, $15::bigint[], $16::uuid[],
			$17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::boolean[], $22::boolean[],
			$14::bigint)`),
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
