-- Challenges, and by subject the run of failures.
--
-- All times are nanoseconds since 1970 by the callers' clocks, and so are spans. The
-- text "otpcourier" stands for the schema wherever it stands in these files.

CREATE SCHEMA IF NOT EXISTS otpcourier;

CREATE TABLE otpcourier.migrations (
	number  integer PRIMARY KEY,
	applied timestamptz NOT NULL DEFAULT now()
);

-- A challenge. Nothing of it changes but delivery, revision, outcome and winner. The
-- attempts that were charged are in the row of its subject: a wrong code writes that
-- small row only.
CREATE TABLE otpcourier.challenges (
	id           uuid PRIMARY KEY, -- digest of the ID
	created      bigint NOT NULL,
	expires      bigint NOT NULL,
	lock         bigint NOT NULL, -- span
	run_life     bigint NOT NULL, -- span
	revision     bigint NOT NULL DEFAULT 0,
	winner       bigint NOT NULL DEFAULT 0, -- token of the Finish that closed it
	max_attempts integer NOT NULL,
	max_failures integer NOT NULL,
	max_run      integer NOT NULL,
	outcome      smallint NOT NULL DEFAULT 0, -- 0 open, 1 verified, 2 cancelled
	subject      bytea NOT NULL,
	grp          bytea NOT NULL,
	salt         bytea NOT NULL,
	fixed        bytea NOT NULL, -- all that never changes, as fixed.go encodes it: a call returns one value for it
	delivery     bytea NOT NULL
) WITH (fillfactor = 80, vacuum_truncate = off);

-- Each table begins with 32 pages or more, and keeps them. The server keeps the plan of a prepared
-- statement until the table is analyzed again. Without these pages the plan of a small table would be
-- to read all of it, also a minute later when it has a hundred thousand rows.
INSERT INTO otpcourier.challenges
	SELECT md5(i::text)::uuid, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', '',
		convert_to(repeat(' ', 1800), 'UTF8') FROM generate_series(1, 100) AS i;
DELETE FROM otpcourier.challenges;

CREATE INDEX challenges_expires ON otpcourier.challenges (expires);

-- What is known of a subject. Create makes its row. Every Attempt, Finish, CancelAll and Forget
-- locks it first. An array that is NULL is empty. Attempt and Finish change no column that has an
-- index, so their updates are HOT if the page has room; .bench/postgres -mode fill compares fill
-- factors.
--
-- A charge is an Attempt that was charged, in 32 octets: the challenge's id (16), the token of the call
-- (8), and when the challenge expires (8). Charges are one value, since to append to several arrays
-- takes longer. They are kept until there are 64, or as many as a challenge has attempts. Then the
-- function attempt takes the next call, and drops the charges of challenges that have expired.
CREATE TABLE otpcourier.subjects (
	subject      bytea PRIMARY KEY,
	ends         bigint NOT NULL DEFAULT 0, -- when the run is forgotten, or its lock ends
	life         bigint NOT NULL DEFAULT 0, -- when total is forgotten
	failures     integer NOT NULL DEFAULT 0, -- in a row since the latest lock
	total        integer NOT NULL DEFAULT 0, -- in a row, locks notwithstanding
	kept         integer NOT NULL, -- hours since 1970: then a sweep looks whether the row is needed
	locked       boolean NOT NULL DEFAULT false,
	closed       bigint NOT NULL DEFAULT 0, -- when the last challenge expires of those that Finish closed
	charges      bytea NOT NULL DEFAULT '', -- in order
	marked       bytea[], -- the group of each CancelAll; empty: all groups
	marked_at    bigint[], -- challenges that were created before are cancelled
	marked_until bigint[] -- when the mark may be dropped
) WITH (fillfactor = 80, vacuum_truncate = off);

INSERT INTO otpcourier.subjects (subject, kept, marked)
	SELECT convert_to(i::text, 'UTF8'), 0, ARRAY[convert_to(repeat(' ', 1800), 'UTF8')] FROM generate_series(1, 100) AS i;
DELETE FROM otpcourier.subjects;

CREATE INDEX subjects_kept ON otpcourier.subjects (kept);

-- hours returns the hour, since 1970, in which t has passed for an hour at least.
CREATE FUNCTION otpcourier.hours(t bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (t / 3600000000000 + 2)::integer $$;

-- slack is how much longer than asked for things are kept: the clocks of the processes
-- may differ by as much.
CREATE FUNCTION otpcourier.slack() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 60000000000 $$;

-- subject_of locks the row of a challenge's subject, and makes it if it is lost. It returns no
-- row if there is no such challenge.
CREATE FUNCTION otpcourier.subject_of(_id uuid, _now bigint) RETURNS otpcourier.subjects
LANGUAGE plpgsql AS $$
DECLARE
	s otpcourier.subjects;
	who bytea;
	lives bigint;
BEGIN
	LOOP
		SELECT t.* INTO s FROM otpcourier.subjects t
			WHERE t.subject = (SELECT c.subject FROM otpcourier.challenges c WHERE c.id = _id)
			FOR NO KEY UPDATE;
		IF FOUND THEN
			RETURN s;
		END IF;
		SELECT c.subject, c.expires INTO who, lives FROM otpcourier.challenges c WHERE c.id = _id;
		IF NOT FOUND THEN
			RETURN NULL;
		END IF;
		INSERT INTO otpcourier.subjects (subject, kept) VALUES (who, otpcourier.hours(greatest(lives, _now)))
			ON CONFLICT DO NOTHING;
	END LOOP;
END $$;

-- marks tells whether a CancelAll has cancelled a challenge that is open.
CREATE FUNCTION otpcourier.marks(s otpcourier.subjects, _created bigint, _grp bytea) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	FOR i IN 1 .. coalesce(cardinality(s.marked), 0) LOOP
		IF _created < s.marked_at[i] AND (s.marked[i] = _grp OR s.marked[i] = '') THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END $$;

-- attempts returns how many of the charges are of a challenge. Its ID may have had an earlier challenge
-- that has expired.
CREATE FUNCTION otpcourier.attempts(charges bytea, _id uuid, _expires bigint) RETURNS integer
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	n integer := 0;
BEGIN
	FOR i IN 0 .. coalesce(length(charges), 0) / 32 - 1 LOOP
		IF substr(charges, 32 * i + 1, 16) = uuid_send(_id) AND substr(charges, 32 * i + 25, 8) = int8send(_expires) THEN
			n := n + 1;
		END IF;
	END LOOP;
	RETURN n;
END $$;

-- The functions below return a challenge as it then is, NULL if there is none, and:
--
--	status        0 done, 1 expired, 2 closed, 3 locked, 4 exhausted, 5 conflict, 6 exists
--	attempts      charged to the challenge; of an Attempt that is repeated, its number
--	outcome       as CancelAll has it, too
--	locked_until  end of the subject's lock, 0: not locked
CREATE TYPE otpcourier.answer AS (
	status       integer,
	attempts     integer,
	outcome      integer,
	locked_until bigint,
	revision     bigint,
	fixed        bytea,
	delivery     bytea
);

-- answer_of returns a challenge whose subject is s, with the status 0 or 1.
CREATE FUNCTION otpcourier.answer_of(c otpcourier.challenges, s otpcourier.subjects, _now bigint)
RETURNS otpcourier.answer
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	a otpcourier.answer;
BEGIN
	a.status := CASE WHEN c.expires <= _now THEN 1 ELSE 0 END;
	a.attempts := otpcourier.attempts(s.charges, c.id, c.expires);
	a.outcome := c.outcome;
	IF c.outcome = 0 AND s.marked IS NOT NULL AND otpcourier.marks(s, c.created, c.grp) THEN
		a.outcome := 2;
	END IF;
	a.locked_until := CASE WHEN s.locked AND s.ends > _now THEN s.ends ELSE 0 END;
	a.revision := c.revision; a.fixed := c.fixed; a.delivery := c.delivery;
	RETURN a;
END $$;

-- look is Get.
CREATE FUNCTION otpcourier.look(_id uuid, _now bigint) RETURNS otpcourier.answer
LANGUAGE plpgsql STABLE AS $$
DECLARE
	c otpcourier.challenges;
	s otpcourier.subjects;
BEGIN
	SELECT t.* INTO c FROM otpcourier.challenges t WHERE t.id = _id;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	SELECT t.* INTO s FROM otpcourier.subjects t WHERE t.subject = c.subject;
	RETURN otpcourier.answer_of(c, s, _now);
END $$;

-- attempt is Attempt of any call. Most are charged by chargeOne in statements.go, or by charge_all.
CREATE FUNCTION otpcourier.attempt(_id uuid, _token bigint, _now bigint) RETURNS otpcourier.answer
LANGUAGE plpgsql AS $$
DECLARE
	c otpcourier.challenges;
	s otpcourier.subjects;
	a otpcourier.answer;
	charge bytea;
	forget bigint;
	over bigint;
BEGIN
	s := otpcourier.subject_of(_id, _now);
	SELECT t.* INTO c FROM otpcourier.challenges t WHERE t.id = _id;
	IF NOT FOUND OR s.subject IS NULL THEN -- it was made after subject_of looked for it
		RETURN NULL;
	END IF;
	a := otpcourier.answer_of(c, s, _now);
	IF a.status <> 0 THEN
		RETURN a;
	END IF;
	charge := uuid_send(_id) || int8send(_token) || int8send(c.expires);
	FOR i IN 1 .. length(s.charges) / 32 LOOP
		IF substr(s.charges, 32 * i - 31, 32) = charge THEN
			a.attempts := otpcourier.attempts(substr(s.charges, 1, 32 * i), _id, c.expires);
			RETURN a;
		END IF;
	END LOOP;
	a.status := CASE WHEN a.outcome <> 0 THEN 2 WHEN a.locked_until > 0 THEN 3
		WHEN a.attempts >= c.max_attempts THEN 4 ELSE 0 END;
	IF a.status <> 0 THEN
		RETURN a;
	END IF;

	a.attempts := a.attempts + 1;
	IF s.ends <= _now THEN
		s.failures := 0; s.ends := 0; s.locked := false;
	END IF;
	IF s.life <= _now THEN
		s.total := 0; s.life := 0;
	END IF;
	forget := _now + c.lock;
	over := CASE WHEN c.max_run > 0 THEN _now + c.run_life ELSE _now END;
	IF forget > _now OR over > _now OR s.ends > 0 OR s.life > 0 THEN
		s.failures := least(s.failures, 2147483646) + 1;
		s.total := least(s.total, 2147483646) + 1;
		s.ends := greatest(s.ends, forget);
		s.life := greatest(s.life, over, s.ends);
		IF c.max_failures > 0 AND s.failures >= c.max_failures THEN
			s.locked := true; s.ends := forget;
		END IF;
		IF c.max_run > 0 AND s.total >= c.max_run THEN
			s.locked := true; s.ends := greatest(forget, over); s.life := s.ends;
		END IF;
		IF s.ends <= _now THEN
			s.failures := 0; s.ends := 0; s.locked := false;
		END IF;
		IF s.life <= _now THEN
			s.total := 0; s.life := 0;
		END IF;
		a.locked_until := CASE WHEN s.locked THEN s.ends ELSE 0 END;
	END IF;
	IF length(s.charges) / 32 >= least(c.max_attempts, 64) THEN
		SELECT coalesce(string_agg(x.charge, '' ORDER BY x.i), '') INTO s.charges
			FROM (SELECT i, substr(s.charges, 32 * i - 31, 32) AS charge
				FROM generate_series(1, length(s.charges) / 32) AS i) AS x
			WHERE substr(x.charge, 25) > int8send(greatest(_now - otpcourier.slack(), 0));
	END IF;
	UPDATE otpcourier.subjects t SET
		failures = s.failures, ends = s.ends, locked = s.locked, total = s.total, life = s.life,
		charges = s.charges || charge
		WHERE t.subject = c.subject;
	RETURN a;
END $$;

-- charge_all is Attempt of several calls: for each challenge one at least. It charges all calls of
-- a challenge if nothing speaks against any, and returns how many attempts there were then, with
-- the place of the challenge in _ids. It waits for no other statement: it passes over a subject
-- whose row is locked, and over the second of two challenges of a subject. Those and all that are
-- refused are left to attempt. Its plan is always the same: nested loops over indexes, in whatever
-- state the tables are. ANY keeps it from reading a whole index.
--
--	_first, _last  times of a challenge's first and last call
--	_froms, _tos   the part of _heads that is of its calls; no head is there twice
--	_heads         of charges: id and token
--
-- t and q are as they were when the statement began, but the conditions on u are looked at anew if
-- u was changed since: u.closed tells whether t may have been closed meanwhile.
CREATE FUNCTION otpcourier.charge_all(_ids uuid[], _first bigint[], _last bigint[], _froms integer[], _tos integer[],
	_heads bytea[])
RETURNS TABLE (place bigint, charges bytea, revision bigint, fixed bytea, delivery bytea)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY UPDATE otpcourier.subjects u SET
		failures = CASE WHEN u.ends > q.one THEN u.failures ELSE 0 END + q.n,
		total = CASE WHEN u.life > q.one THEN u.total ELSE 0 END + q.n,
		ends = greatest(u.ends, q.now + t.lock), life = greatest(u.life, u.ends, q.now + t.lock, q.now + t.run_life),
		charges = u.charges || CASE WHEN q.n = 1 THEN q.heads[1] || int8send(t.expires)
			ELSE (SELECT string_agg(x.head || int8send(t.expires), '') FROM unnest(q.heads) AS x (head)) END
		FROM (SELECT p.id, p.one, p.now, _heads[p.a:p.z] AS heads, p.z - p.a + 1 AS n, p.place
			FROM unnest(_ids, _first, _last, _froms, _tos) WITH ORDINALITY AS p (id, one, now, a, z, place)) AS q
		CROSS JOIN LATERAL (SELECT c.* FROM otpcourier.challenges c WHERE c.id = q.id LIMIT 1) AS t
		CROSS JOIN LATERAL (SELECT FROM otpcourier.subjects v WHERE v.subject = t.subject
			FOR NO KEY UPDATE SKIP LOCKED) AS l
		WHERE t.expires > q.now AND t.outcome = 0 AND t.lock > q.now - q.one
		AND u.subject = ANY (ARRAY[t.subject]) AND u.marked IS NULL AND u.closed <= q.one
		AND NOT u.locked AND u.failures < t.max_failures - q.n AND u.total < t.max_run - q.n
		AND length(u.charges) / 32 <= least(t.max_attempts, 64) - q.n
		AND CASE WHEN q.n = 1 THEN position(q.heads[1] in u.charges) = 0
			ELSE (SELECT sum(position(x.head in u.charges)) FROM unnest(q.heads) AS x (head)) = 0 END
		RETURNING q.place, u.charges, t.revision, t.fixed, t.delivery;
END $$;

-- finish is Finish of any call. Most are done by finishOne in statements.go, or by finish_all.
CREATE FUNCTION otpcourier.finish(_id uuid, _outcome integer, _token bigint, _now bigint) RETURNS otpcourier.answer
LANGUAGE plpgsql AS $$
DECLARE
	c otpcourier.challenges;
	s otpcourier.subjects;
	a otpcourier.answer;
BEGIN
	s := otpcourier.subject_of(_id, _now);
	SELECT t.* INTO c FROM otpcourier.challenges t WHERE t.id = _id;
	IF NOT FOUND OR s.subject IS NULL THEN -- it was made after subject_of looked for it
		RETURN NULL;
	END IF;
	a := otpcourier.answer_of(c, s, _now);
	IF a.status <> 0 THEN
		RETURN a;
	END IF;
	IF a.outcome <> 0 THEN
		a.status := CASE WHEN c.outcome = _outcome AND c.winner = _token THEN 0 ELSE 2 END;
		RETURN a;
	END IF;
	UPDATE otpcourier.challenges t SET outcome = _outcome, winner = _token WHERE t.id = _id;
	a.outcome := _outcome;
	IF _outcome = 1 THEN
		a.locked_until := 0;
		UPDATE otpcourier.subjects t SET closed = greatest(t.closed, c.expires), failures = 0, ends = 0, locked = false,
			total = 0, life = 0
			WHERE t.subject = c.subject;
	ELSE
		UPDATE otpcourier.subjects t SET closed = greatest(t.closed, c.expires) WHERE t.subject = c.subject;
	END IF;
	RETURN a;
END $$;

-- finish_all is Finish as Verified of several calls. It closes the challenges against which nothing
-- speaks, and returns them with the places of their calls. Like charge_all it leaves the others to
-- finish, and waits for no subject. While it holds subjects, it may wait for a challenge: whoever has
-- locked a challenge first waits for nothing.
CREATE FUNCTION otpcourier.finish_all(_ids uuid[], _tokens bigint[], _nows bigint[])
RETURNS TABLE (place bigint, charges bytea, revision bigint, fixed bytea, delivery bytea)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY WITH u AS (
		UPDATE otpcourier.subjects u SET closed = greatest(u.closed, t.expires), failures = 0, ends = 0, locked = false,
			total = 0, life = 0
			FROM unnest(_ids, _tokens, _nows) WITH ORDINALITY AS q (id, token, now, place)
			CROSS JOIN LATERAL (SELECT c.* FROM otpcourier.challenges c WHERE c.id = q.id LIMIT 1) AS t
			CROSS JOIN LATERAL (SELECT FROM otpcourier.subjects v WHERE v.subject = t.subject
				FOR NO KEY UPDATE SKIP LOCKED) AS l
			WHERE t.expires > q.now AND t.outcome = 0
			AND u.subject = ANY (ARRAY[t.subject]) AND u.marked IS NULL AND u.closed <= q.now
			RETURNING q.place, q.token, t.id, u.charges)
		UPDATE otpcourier.challenges t SET outcome = 1, winner = u.token FROM u
		WHERE t.id = u.id AND t.outcome = 0
		RETURNING u.place, u.charges, t.revision, t.fixed, t.delivery;
END $$;

-- revise is Update of any call. Most are done by updateOne in statements.go, or by revise_all.
CREATE FUNCTION otpcourier.revise(_id uuid, _revision bigint, _delivery bytea, _now bigint)
RETURNS otpcourier.answer
LANGUAGE plpgsql AS $$
DECLARE
	a otpcourier.answer;
	done boolean;
BEGIN
	UPDATE otpcourier.challenges t SET delivery = _delivery, revision = t.revision + 1
		WHERE t.id = _id AND t.revision = _revision AND t.expires > _now;
	done := FOUND;
	a := otpcourier.look(_id, _now);
	IF a.status = 0 AND NOT done THEN
		a.status := 5;
	END IF;
	RETURN a;
END $$;

-- revise_all is Update of several calls. It changes the challenges against which nothing speaks, and
-- returns them with the places of their calls. It passes over challenges that are locked.
CREATE FUNCTION otpcourier.revise_all(_ids uuid[], _revisions bigint[], _deliveries bytea[], _nows bigint[])
RETURNS TABLE (place bigint, charges bytea, revision bigint, fixed bytea, delivery bytea)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY UPDATE otpcourier.challenges t SET delivery = q.delivery, revision = t.revision + 1
		FROM unnest(_ids, _revisions, _deliveries, _nows) WITH ORDINALITY AS q (id, revision, delivery, now, place)
		CROSS JOIN LATERAL (SELECT c.subject FROM otpcourier.challenges c WHERE c.id = q.id
			FOR NO KEY UPDATE SKIP LOCKED) AS l
		CROSS JOIN LATERAL (SELECT v.* FROM otpcourier.subjects v WHERE v.subject = l.subject LIMIT 1) AS u
		WHERE t.id = q.id AND t.revision = q.revision AND t.expires > q.now AND t.outcome = 0
		AND u.marked IS NULL AND NOT (u.locked AND u.ends > q.now)
		RETURNING q.place, u.charges, t.revision, t.fixed, t.delivery;
END $$;

-- make is Create of any call, and the part of Open that is not about limits: unless it is refused, it
-- inserts r, if no challenge of its ID lives. Most challenges are made by createOne in statements.go.
CREATE FUNCTION otpcourier.make(r otpcourier.challenges, _refused boolean, _now bigint,
	OUT status integer, OUT locked_until bigint, OUT made boolean)
LANGUAGE plpgsql AS $$
DECLARE
	old record;
	s record;
	needed integer := otpcourier.hours(r.expires);
BEGIN
	made := false;
	SELECT t.ends, t.locked, t.kept INTO s FROM otpcourier.subjects t WHERE t.subject = r.subject;
	locked_until := CASE WHEN s.locked AND s.ends > _now THEN s.ends ELSE 0 END;
	IF locked_until = 0 AND NOT _refused THEN
		IF s.kept IS NULL THEN
			INSERT INTO otpcourier.subjects (subject, kept) VALUES (r.subject, needed) ON CONFLICT DO NOTHING;
		ELSIF s.kept < needed THEN
			UPDATE otpcourier.subjects t SET kept = greatest(t.kept, needed) WHERE t.subject = r.subject;
		END IF;
	END IF;
	LOOP
		IF locked_until = 0 AND NOT _refused THEN
			INSERT INTO otpcourier.challenges SELECT r.* ON CONFLICT DO NOTHING;
			IF FOUND THEN
				status := 0; made := true;
				RETURN;
			END IF;
		END IF;
		SELECT t.salt, t.expires INTO old FROM otpcourier.challenges t WHERE t.id = r.id;
		IF FOUND AND old.expires > _now THEN
			status := CASE WHEN old.salt = r.salt THEN 0 ELSE 6 END;
			RETURN;
		END IF;
		IF locked_until > 0 OR _refused THEN
			status := CASE WHEN locked_until > 0 THEN 3 ELSE 7 END;
			RETURN;
		END IF;
		DELETE FROM otpcourier.challenges t WHERE t.id = r.id AND t.expires <= _now;
	END LOOP;
END $$;

-- cancel_all is CancelAll: it adds a mark to the subject's, or renews that of the group.
CREATE FUNCTION otpcourier.cancel_all(_subject bytea, _grp bytea, _until bigint, _now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	s otpcourier.subjects;
BEGIN
	LOOP
		SELECT t.* INTO s FROM otpcourier.subjects t WHERE t.subject = _subject FOR NO KEY UPDATE;
		EXIT WHEN FOUND;
		INSERT INTO otpcourier.subjects (subject, kept) VALUES (_subject, otpcourier.hours(_until))
			ON CONFLICT DO NOTHING;
	END LOOP;
	FOR i IN 1 .. coalesce(cardinality(s.marked), 0) LOOP
		IF s.marked[i] = _grp THEN
			s.marked_at[i] := greatest(s.marked_at[i], _now);
			s.marked_until[i] := greatest(s.marked_until[i], _until);
			UPDATE otpcourier.subjects t SET marked_at = s.marked_at, marked_until = s.marked_until WHERE t.subject = _subject;
			RETURN;
		END IF;
	END LOOP;
	SELECT array_agg(x.grp), array_agg(x.at), array_agg(x.lives) INTO s.marked, s.marked_at, s.marked_until
		FROM unnest(s.marked, s.marked_at, s.marked_until) AS x (grp, at, lives)
		WHERE x.lives + otpcourier.slack() > _now;
	UPDATE otpcourier.subjects t SET
		marked = s.marked || ARRAY[_grp], marked_at = s.marked_at || _now, marked_until = s.marked_until || _until
		WHERE t.subject = _subject;
END $$;

-- needed returns the hour, since 1970, until which the row of a subject is needed.
CREATE FUNCTION otpcourier.needed(s otpcourier.subjects) RETURNS integer
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN greatest(s.kept, otpcourier.hours(greatest(s.ends, s.life, s.closed,
		(SELECT max(x) FROM unnest(s.marked_until) AS x))));
END $$;

-- sweep_challenges removes up to _most challenges, and looks at as many subjects: it removes those
-- that are no longer needed, and notes of the others until when they are. It returns how many
-- rows it removed or looked at. Rows that another call has locked stay.
CREATE FUNCTION otpcourier.sweep_challenges(_now bigint, _most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	n integer;
	due tid[];
BEGIN
	DELETE FROM otpcourier.challenges WHERE ctid = ANY (ARRAY(
		SELECT t.ctid FROM otpcourier.challenges t WHERE t.expires < _now - otpcourier.slack()
		ORDER BY t.expires LIMIT _most FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS n = ROW_COUNT;
	due := ARRAY(SELECT t.ctid FROM otpcourier.subjects t WHERE t.kept <= _now / 3600000000000
		ORDER BY t.kept LIMIT _most FOR UPDATE SKIP LOCKED);
	DELETE FROM otpcourier.subjects t WHERE t.ctid = ANY (due) AND otpcourier.needed(t) <= _now / 3600000000000;
	UPDATE otpcourier.subjects t SET kept = otpcourier.needed(t) WHERE t.ctid = ANY (due);
	RETURN n + cardinality(due);
END $$;

INSERT INTO otpcourier.migrations (number) VALUES (1);
