-- Limits: the log of a limit's takings, of which it has one at least.
--
-- A cell holds takings of one time, or of a step up to its time: all count as if they
-- were at its time, so that none is forgotten early. Of a limit that is exact the step
-- is 0. Cells are kept for twice the span.

CREATE TABLE otpcourier.limits (
	id    uuid PRIMARY KEY, -- digest of key and span
	total bigint NOT NULL, -- takings in all cells
	kept  integer NOT NULL, -- hours since 1970: the row is garbage from then on
	at    bigint[] NOT NULL, -- cells: time, in order
	n     bigint[] NOT NULL -- cells: number of takings
) WITH (fillfactor = 70, vacuum_truncate = off);

INSERT INTO otpcourier.limits
	SELECT md5(i::text)::uuid, 0, 0, array_fill(0::bigint, ARRAY[225]), '{}' FROM generate_series(1, 100) AS i;
DELETE FROM otpcourier.limits;

CREATE INDEX limits_kept ON otpcourier.limits (kept);

-- wait returns how long a call has to wait for a limit of _most takings in _per, if it
-- also takes _also.
CREATE FUNCTION otpcourier.wait(l otpcourier.limits, _also bigint, _most bigint, _per bigint, _now bigint)
RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	sum bigint := _also;
BEGIN
	IF _also > _most THEN
		RETURN _per;
	END IF;
	FOR i IN REVERSE coalesce(cardinality(l.at), 0) .. 1 LOOP
		EXIT WHEN l.at[i] <= _now - _per;
		sum := sum + l.n[i];
		IF sum > _most THEN
			RETURN l.at[i] + _per - _now;
		END IF;
	END LOOP;
	RETURN 0;
END $$;

-- logged returns a limit, of which there may be no row yet, with _n more takings in its log.
CREATE FUNCTION otpcourier.logged(l otpcourier.limits, _n bigint, _per bigint, _step bigint, _now bigint)
RETURNS otpcourier.limits
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	cells integer := coalesce(cardinality(l.at), 0);
	i integer;
	old integer := 0;
BEGIN
	WHILE old < cells AND l.at[old + 1] <= _now - 2 * _per LOOP
		old := old + 1;
		l.total := l.total - l.n[old];
	END LOOP;
	IF old > 0 THEN
		l.at := l.at[old + 1:]; l.n := l.n[old + 1:];
		cells := cells - old;
	END IF;
	i := cells;
	WHILE i > 0 AND l.at[i] > _now + _step LOOP -- the clocks of processes differ
		i := i - 1;
	END LOOP;
	IF i > 0 AND l.at[i] >= _now THEN
		l.n[i] := l.n[i] + _n;
	ELSE
		l.at := l.at[:i] || (_now + _step) || l.at[i + 1:];
		l.n := l.n[:i] || _n || l.n[i + 1:];
	END IF;
	l.total := coalesce(l.total, 0) + _n;
	RETURN l;
END $$;

-- What weigh returns: the rows of the limits, how long the call has to wait for each, whether it has
-- to wait for any, and whether it is refused.
CREATE TYPE otpcourier.weighed AS (rows otpcourier.limits[], waits bigint[], waiting boolean, refused boolean);

-- weigh locks limits until the end of the transaction, and looks whether they have room. _locks are
-- numbers that the schema and the limit give. The callers give them in order, so that no two wait
-- for each other. A limit without takings has no row, so it is not the row that is locked.
CREATE FUNCTION otpcourier.weigh(_locks bigint[], _ids uuid[], _most bigint[], _per bigint[], _n bigint[],
	_shadow boolean[], _peek boolean[], _now bigint) RETURNS otpcourier.weighed
LANGUAGE plpgsql AS $$
DECLARE
	l otpcourier.limits;
	x bigint;
	w bigint;
	also bigint;
	res otpcourier.weighed;
BEGIN
	FOREACH x IN ARRAY _locks LOOP
		PERFORM pg_advisory_xact_lock(x);
	END LOOP;
	res.waiting := false; res.refused := false;
	FOR i IN 1 .. cardinality(_ids) LOOP
		SELECT t.* INTO l FROM otpcourier.limits t WHERE t.id = _ids[i];
		w := 0;
		also := _n[i];
		FOR k IN 1 .. i - 1 LOOP
			IF _ids[k] = _ids[i] AND res.waits[k] = 0 AND NOT _peek[k] THEN
				also := also + _n[k];
			END IF;
		END LOOP;
		IF coalesce(l.total, 0) + also > _most[i] THEN
			w := otpcourier.wait(l, also, _most[i], _per[i], _now);
		END IF;
		res.rows[i] := l;
		res.waits[i] := w;
		IF w > 0 THEN
			res.waiting := true;
			res.refused := res.refused OR NOT _shadow[i];
		END IF;
	END LOOP;
	RETURN res;
END $$;

-- charge_limits takes from the limits that a call does not have to wait for, as weigh found them.
CREATE FUNCTION otpcourier.charge_limits(res otpcourier.weighed, _ids uuid[], _per bigint[], _step bigint[],
	_n bigint[], _peek boolean[], _now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	l otpcourier.limits;
BEGIN
	FOR i IN 1 .. cardinality(_ids) LOOP
		CONTINUE WHEN res.waits[i] > 0 OR _peek[i];
		l := res.rows[i];
		FOR k IN 1 .. i - 1 LOOP
			IF _ids[k] = _ids[i] THEN -- it may have taken
				SELECT t.* INTO l FROM otpcourier.limits t WHERE t.id = _ids[i];
				EXIT;
			END IF;
		END LOOP;
		l := otpcourier.logged(l, _n[i], _per[i], _step[i], _now);
		INSERT INTO otpcourier.limits AS t (id, total, kept, at, n)
			VALUES (_ids[i], l.total, otpcourier.hours(_now + _step[i] + _per[i]), l.at, l.n)
			ON CONFLICT (id) DO UPDATE SET total = excluded.total, kept = greatest(t.kept, excluded.kept),
				at = excluded.at, n = excluded.n;
	END LOOP;
END $$;

-- take is Take: it takes from all limits or none, and returns how long the call has to
-- wait for each. If it has to wait for none, it returns NULL.
CREATE FUNCTION otpcourier.take(_locks bigint[], _ids uuid[], _most bigint[], _per bigint[], _step bigint[],
	_n bigint[], _shadow boolean[], _peek boolean[], _now bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
	res otpcourier.weighed := otpcourier.weigh(_locks, _ids, _most, _per, _n, _shadow, _peek, _now);
BEGIN
	IF NOT res.refused THEN
		PERFORM otpcourier.charge_limits(res, _ids, _per, _step, _n, _peek, _now);
	END IF;
	RETURN CASE WHEN res.waiting THEN res.waits END;
END $$;

-- open is Open: make and take, both or neither. The status of make is followed by 7: refused by a
-- limit. The limits are weighed first and charged last, so that a call that meets another of the same
-- ID takes nothing.
CREATE FUNCTION otpcourier.open(r otpcourier.challenges, _locks bigint[], _ids uuid[], _most bigint[], _per bigint[],
	_step bigint[], _n bigint[], _shadow boolean[], _peek boolean[], _now bigint,
	OUT status integer, OUT locked_until bigint, OUT waits bigint[])
LANGUAGE plpgsql AS $$
DECLARE
	res otpcourier.weighed := otpcourier.weigh(_locks, _ids, _most, _per, _n, _shadow, _peek, _now);
	m record;
BEGIN
	m := otpcourier.make(r, res.refused, _now);
	status := m.status; locked_until := m.locked_until;
	IF m.made THEN
		PERFORM otpcourier.charge_limits(res, _ids, _per, _step, _n, _peek, _now);
	END IF;
	IF m.made AND res.waiting OR m.status = 7 THEN
		waits := res.waits;
	END IF;
END $$;

-- give is Give: it returns to each limit takings of the first cell that may hold those of
-- _taken; if _taken is NULL, the latest.
CREATE FUNCTION otpcourier.give(_locks bigint[], _ids uuid[], _step bigint[], _n bigint[], _taken bigint)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	l otpcourier.limits;
	x bigint;
	k integer;
	left_over bigint;
	back bigint;
BEGIN
	FOREACH x IN ARRAY _locks LOOP
		PERFORM pg_advisory_xact_lock(x);
	END LOOP;
	FOR i IN 1 .. cardinality(_ids) LOOP
		SELECT t.* INTO l FROM otpcourier.limits t WHERE t.id = _ids[i];
		CONTINUE WHEN NOT FOUND;
		left_over := _n[i];
		k := cardinality(l.at);
		IF _taken IS NOT NULL THEN
			WHILE k > 1 AND l.at[k - 1] >= _taken LOOP
				k := k - 1;
			END LOOP;
			CONTINUE WHEN l.at[k] < _taken OR l.at[k] > _taken + _step[i];
			left_over := least(left_over, l.n[k]);
		END IF;
		WHILE left_over > 0 AND k > 0 LOOP
			back := least(left_over, l.n[k]);
			l.n[k] := l.n[k] - back;
			l.total := l.total - back;
			left_over := left_over - back;
			IF l.n[k] = 0 THEN
				l.at := l.at[:k - 1] || l.at[k + 1:]; l.n := l.n[:k - 1] || l.n[k + 1:];
			END IF;
			k := k - 1;
		END LOOP;
		IF l.total = 0 THEN
			DELETE FROM otpcourier.limits t WHERE t.id = _ids[i];
		ELSE
			UPDATE otpcourier.limits t SET total = l.total, at = l.at, n = l.n WHERE t.id = _ids[i];
		END IF;
	END LOOP;
END $$;

-- sweep_limits removes up to _most limits whose takings count no longer, and returns how
-- many it removed.
CREATE FUNCTION otpcourier.sweep_limits(_now bigint, _most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	m integer;
BEGIN
	DELETE FROM otpcourier.limits WHERE ctid = ANY (ARRAY(
		SELECT t.ctid FROM otpcourier.limits t WHERE t.kept <= _now / 3600000000000
		ORDER BY t.kept LIMIT _most FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS m = ROW_COUNT;
	RETURN m;
END $$;

INSERT INTO otpcourier.migrations (number) VALUES (2);
