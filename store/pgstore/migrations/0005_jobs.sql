-- The queue. A job that waits has no lease, whether it is due or not. A job that is with a
-- worker has one, and its end counts only with the same lease.

CREATE TABLE otpcourier.jobs (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	due        bigint NOT NULL,
	expires    bigint NOT NULL,
	not_before bigint NOT NULL, -- as it was given
	lease      bigint, -- NULL: no worker has it
	beat       timestamptz, -- latest sign of life of its worker, by the server's clock
	attempts   integer NOT NULL DEFAULT 0, -- how often it was handed out since it last came again as told
	rank       smallint NOT NULL, -- 0 high, 1 normal, 2 low
	challenge  bytea NOT NULL
) WITH (fillfactor = 80, vacuum_truncate = off);

INSERT INTO otpcourier.jobs (due, expires, not_before, rank, challenge)
	SELECT 0, 0, 0, 0, convert_to(repeat(' ', 1800), 'UTF8') FROM generate_series(1, 100) AS i;
DELETE FROM otpcourier.jobs;

CREATE INDEX jobs_due ON otpcourier.jobs (rank, due, id) WHERE lease IS NULL;
CREATE INDEX jobs_leased ON otpcourier.jobs (id) WHERE lease IS NOT NULL;

-- Jobs that ended without success.
CREATE TABLE otpcourier.dead_letters (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at         bigint NOT NULL,
	expires    bigint NOT NULL,
	not_before bigint NOT NULL,
	attempts   integer NOT NULL,
	rank       smallint NOT NULL,
	reason     smallint NOT NULL, -- 1 late, 2 failed
	challenge  bytea NOT NULL
);

-- wake tells the workers that jobs are due, or soon will be. Workers look for jobs each
-- second anyway.
CREATE FUNCTION otpcourier.wake() RETURNS void
LANGUAGE sql AS $$ SELECT pg_notify('otpcourier.jobs', '') $$;

-- enqueue adds jobs.
CREATE FUNCTION otpcourier.enqueue(_rank smallint[], _due bigint[], _expires bigint[], _not_before bigint[],
	_challenge bytea[], _now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO otpcourier.jobs (rank, due, expires, not_before, challenge)
		SELECT * FROM unnest(_rank, _due, _expires, _not_before, _challenge);
	IF EXISTS (SELECT FROM unnest(_due) AS due WHERE due <= _now + 1000000000) THEN
		PERFORM otpcourier.wake();
	END IF;
END $$;

-- bury makes dead letters of jobs, and keeps the newest 1000. Here and below, ANY and the settings keep
-- plans from reading the whole table or a whole index.
CREATE FUNCTION otpcourier.bury(_ids bigint[], _reasons smallint[], _at bigint[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
	WITH ended AS (
		DELETE FROM otpcourier.jobs j USING unnest(_ids, _reasons, _at) AS e (id, reason, at)
		WHERE j.id = ANY (ARRAY[e.id]) RETURNING e.at, j.expires, j.not_before, j.attempts, j.rank, e.reason, j.challenge)
	INSERT INTO otpcourier.dead_letters (at, expires, not_before, attempts, rank, reason, challenge)
		SELECT * FROM ended;
	DELETE FROM otpcourier.dead_letters WHERE id <=
		(SELECT d.id FROM otpcourier.dead_letters d ORDER BY d.id DESC OFFSET 1000 LIMIT 1);
END $$;

-- fetch hands out up to _most jobs that are due, the highest priority first. The last row
-- has no id: due is when the next job is, NULL if there is none or if there may be more that
-- are due.
CREATE FUNCTION otpcourier.fetch(_lease bigint, _most integer, _now bigint)
RETURNS TABLE (id bigint, due bigint, expires bigint, not_before bigint, attempts integer, rank smallint,
	challenge bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	room integer := _most;
	live bigint[];
	late bigint[];
	ends bigint[];
	n integer;
	budget integer := 20;
BEGIN
	FOR r IN 0 .. 2 LOOP
		LOOP
			EXIT WHEN room <= 0 OR budget <= 0;
			SELECT array_agg(p.id) FILTER (WHERE p.expires > _now), array_agg(p.id) FILTER (WHERE p.expires <= _now),
				array_agg(p.expires) FILTER (WHERE p.expires <= _now) INTO live, late, ends
				FROM (SELECT j.id, j.expires FROM otpcourier.jobs j
					WHERE j.lease IS NULL AND j.rank = r AND j.due <= _now
					ORDER BY j.due, j.id LIMIT room FOR NO KEY UPDATE SKIP LOCKED) p;
			IF live IS NOT NULL THEN
				RETURN QUERY UPDATE otpcourier.jobs j
					SET lease = _lease, beat = clock_timestamp(), attempts = j.attempts + 1
					WHERE j.id = ANY (live)
					RETURNING j.id, j.due, j.expires, j.not_before, j.attempts, j.rank, j.challenge;
				room := room - cardinality(live);
			END IF;
			EXIT WHEN late IS NULL;
			PERFORM otpcourier.bury(late, array_fill(1::smallint, ARRAY[cardinality(late)]), ends);
			budget := budget - 1;
		END LOOP;
	END LOOP;
	IF room <= 0 OR budget <= 0 THEN
		due := NULL;
		IF room > 0 THEN
			due := _now;
		END IF;
	ELSE
		SELECT min(next.due) INTO due FROM generate_series(0, 2) AS r,
			LATERAL (SELECT j.due FROM otpcourier.jobs j WHERE j.lease IS NULL AND j.rank = r
				ORDER BY j.due, j.id LIMIT 1) AS next;
	END IF;
	id := NULL;
	RETURN NEXT;
END $$;

-- ack ends jobs that were handed out, unless they were handed out anew since.
--
--	_ends  0 done, 1 late, 2 failed, 3 due once more at _due with _attempts
CREATE FUNCTION otpcourier.ack(_ids bigint[], _leases bigint[], _ends smallint[], _due bigint[], _attempts integer[],
	_now bigint) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
	dead bigint[];
	reasons smallint[];
	ended bigint[];
BEGIN
	DELETE FROM otpcourier.jobs j USING unnest(_ids, _leases, _ends) AS e (id, lease, ending)
		WHERE j.id = ANY (ARRAY[e.id]) AND j.lease = e.lease AND e.ending = 0;
	IF 3 = ANY (_ends) THEN
		UPDATE otpcourier.jobs j SET lease = NULL, beat = NULL, due = e.due, attempts = e.attempts
			FROM unnest(_ids, _leases, _ends, _due, _attempts) AS e (id, lease, ending, due, attempts)
			WHERE j.id = ANY (ARRAY[e.id]) AND j.lease = e.lease AND e.ending = 3;
		PERFORM otpcourier.wake();
	END IF;
	IF 1 = ANY (_ends) OR 2 = ANY (_ends) THEN
		SELECT array_agg(p.id), array_agg(p.ending), array_agg(_now) INTO dead, reasons, ended
			FROM (SELECT j.id, e.ending FROM otpcourier.jobs j
				JOIN unnest(_ids, _leases, _ends) AS e (id, lease, ending) ON j.id = ANY (ARRAY[e.id]) AND j.lease = e.lease
				WHERE e.ending IN (1, 2) FOR NO KEY UPDATE OF j) p;
		PERFORM otpcourier.bury(dead, reasons, ended);
	END IF;
END $$;

-- heartbeat keeps the jobs that a worker has. It gives back the jobs of any worker that has
-- shown no sign of life for _stale; those that were handed out _most times are dead letters.
-- It leaves alone what another statement has locked: an ack locks jobs in another order.
CREATE FUNCTION otpcourier.heartbeat(_ids bigint[], _leases bigint[], _stale interval, _most integer, _now bigint)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
	back bigint[];
	dead bigint[];
BEGIN
	UPDATE otpcourier.jobs SET beat = clock_timestamp() WHERE id = ANY (ARRAY(
		SELECT j.id FROM otpcourier.jobs j
		JOIN unnest(_ids, _leases) AS e (id, lease) ON j.id = ANY (ARRAY[e.id]) AND j.lease = e.lease
		FOR NO KEY UPDATE OF j SKIP LOCKED));
	SELECT array_agg(p.id) FILTER (WHERE p.attempts < _most), array_agg(p.id) FILTER (WHERE p.attempts >= _most)
		INTO back, dead
		FROM (SELECT j.id, j.attempts FROM otpcourier.jobs j
			WHERE j.lease IS NOT NULL AND j.beat < clock_timestamp() - _stale
			ORDER BY j.id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED) p;
	IF back IS NOT NULL THEN
		UPDATE otpcourier.jobs j SET lease = NULL, beat = NULL, due = _now WHERE j.id = ANY (back);
		PERFORM otpcourier.wake();
	END IF;
	IF dead IS NOT NULL THEN
		PERFORM otpcourier.bury(dead, array_fill(2::smallint, ARRAY[cardinality(dead)]),
			array_fill(_now, ARRAY[cardinality(dead)]));
	END IF;
END $$;

-- sweep_jobs removes up to _most dead letters of more than a day, and makes dead letters of jobs that
-- have expired and that no worker took. It looks at the first _most jobs of each rank, and returns
-- how many it removed.
CREATE FUNCTION otpcourier.sweep_jobs(_now bigint, _most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	late bigint[];
	ends bigint[];
	m integer;
BEGIN
	DELETE FROM otpcourier.dead_letters WHERE id IN (
		SELECT d.id FROM otpcourier.dead_letters d WHERE d.at <= _now - 86400000000000
		ORDER BY d.id LIMIT _most FOR UPDATE SKIP LOCKED);
	GET DIAGNOSTICS m = ROW_COUNT;
	SELECT array_agg(first.id) INTO late FROM generate_series(0, 2) AS r,
		LATERAL (SELECT j.id, j.expires FROM otpcourier.jobs j WHERE j.lease IS NULL AND j.rank = r AND j.due <= _now
			ORDER BY j.due, j.id LIMIT _most) AS first
		WHERE first.expires < _now - otpcourier.slack();
	IF late IS NOT NULL THEN
		SELECT array_agg(p.id), array_agg(p.expires) INTO late, ends
			FROM (SELECT j.id, j.expires FROM otpcourier.jobs j
				WHERE j.id = ANY (late) AND j.lease IS NULL FOR UPDATE SKIP LOCKED) AS p;
	END IF;
	IF late IS NOT NULL THEN
		PERFORM otpcourier.bury(late, array_fill(1::smallint, ARRAY[cardinality(late)]), ends);
		m := greatest(m, cardinality(late));
	END IF;
	RETURN m;
END $$;

INSERT INTO otpcourier.migrations (number) VALUES (5);
