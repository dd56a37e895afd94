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
) WITH (fillfactor = 70);

CREATE INDEX limits_kept ON otpcourier.limits (kept);

-- lock_limits locks limits, by numbers that the schema and the limit give, until the end of the
-- transaction.
-- The callers give them in order, so that no two wait for each other. A limit without
-- takings has no row, so it is not the row that is locked.
CREATE FUNCTION otpcourier.lock_limits(_locks bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	l bigint;
BEGIN
	FOREACH l IN ARRAY _locks LOOP
		PERFORM pg_advisory_xact_lock(l);
	END LOOP;
END $$;

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

-- log adds _n takings to a limit's log.
CREATE FUNCTION otpcourier.log(_id uuid, _n bigint, _per bigint, _step bigint, _now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	l otpcourier.limits;
	i integer;
	cells integer;
	old integer := 0;
BEGIN
	SELECT t.* INTO l FROM otpcourier.limits t WHERE t.id = _id;
	cells := coalesce(cardinality(l.at), 0);
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
	INSERT INTO otpcourier.limits AS t (id, total, kept, at, n)
		VALUES (_id, l.total, otpcourier.hours(_now + _step + _per), l.at, l.n)
		ON CONFLICT (id) DO UPDATE SET total = excluded.total, kept = greatest(t.kept, excluded.kept),
			at = excluded.at, n = excluded.n;
END $$;

-- take is Take: it takes from all limits or none, and returns how long the call has to
-- wait for each. If it has to wait for none, it returns NULL.
CREATE FUNCTION otpcourier.take(_locks bigint[], _ids uuid[], _most bigint[], _per bigint[], _step bigint[],
	_n bigint[], _shadow boolean[], _peek boolean[], _now bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
	l otpcourier.limits;
	w bigint;
	also bigint;
	waits bigint[];
	refused boolean := false;
	waiting boolean := false;
BEGIN
	PERFORM otpcourier.lock_limits(_locks);
	FOR i IN 1 .. cardinality(_ids) LOOP
		also := _n[i];
		FOR k IN 1 .. i - 1 LOOP
			IF _ids[k] = _ids[i] AND waits[k] = 0 AND NOT _peek[k] THEN
				also := also + _n[k];
			END IF;
		END LOOP;
		w := 0;
		SELECT t.* INTO l FROM otpcourier.limits t WHERE t.id = _ids[i];
		IF coalesce(l.total, 0) + also > _most[i] THEN
			w := otpcourier.wait(l, also, _most[i], _per[i], _now);
		END IF;
		waits := waits || w;
		IF w > 0 THEN
			waiting := true;
			refused := refused OR NOT _shadow[i];
		END IF;
	END LOOP;
	IF NOT refused THEN
		FOR i IN 1 .. cardinality(_ids) LOOP
			IF waits[i] = 0 AND NOT _peek[i] THEN
				PERFORM otpcourier.log(_ids[i], _n[i], _per[i], _step[i], _now);
			END IF;
		END LOOP;
	END IF;
	RETURN CASE WHEN waiting THEN waits END;
END $$;

-- give is Give: it returns to each limit takings of the first cell that may hold those of
-- _taken; if _taken is NULL, the latest.
CREATE FUNCTION otpcourier.give(_locks bigint[], _ids uuid[], _step bigint[], _n bigint[], _taken bigint)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	l otpcourier.limits;
	k integer;
	left_over bigint;
	back bigint;
BEGIN
	PERFORM otpcourier.lock_limits(_locks);
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
