-- Provider ids: the message of each, and the receipts that came before it was known.

CREATE TABLE otpcourier.receipts (
	id      uuid PRIMARY KEY, -- digest of the key
	expires bigint NOT NULL,
	shard   smallint NOT NULL, -- each shard has a part of the room for parked receipts
	parked  smallint NOT NULL DEFAULT 0, -- number of receipts
	message bytea, -- NULL: not known yet
	early   bytea[] -- receipts; NULL: none
) WITH (fillfactor = 80, vacuum_truncate = off);

INSERT INTO otpcourier.receipts
	SELECT md5(i::text)::uuid, 0, 0, 0, convert_to(repeat(' ', 1800), 'UTF8') FROM generate_series(1, 100) AS i;
DELETE FROM otpcourier.receipts;

CREATE INDEX receipts_expires ON otpcourier.receipts (expires);
CREATE INDEX receipts_parked ON otpcourier.receipts (shard, expires) INCLUDE (parked) WHERE parked > 0;

-- track is Track. It returns NULL for early if the key is mapped to another message.
CREATE FUNCTION otpcourier.track(_id uuid, _shard integer, _message bytea, _expires bigint, _now bigint)
RETURNS bytea[]
LANGUAGE plpgsql AS $$
DECLARE
	r otpcourier.receipts;
BEGIN
	LOOP
		SELECT t.* INTO r FROM otpcourier.receipts t WHERE t.id = _id FOR NO KEY UPDATE;
		EXIT WHEN FOUND;
		INSERT INTO otpcourier.receipts (id, expires, shard, message) VALUES (_id, _expires, _shard, _message)
			ON CONFLICT DO NOTHING;
		IF FOUND THEN
			RETURN NULL;
		END IF;
	END LOOP;
	IF r.expires <= _now THEN
		UPDATE otpcourier.receipts t SET expires = _expires, parked = 0, message = _message, early = NULL
			WHERE t.id = _id;
		RETURN NULL;
	END IF;
	IF r.message IS NULL OR r.expires < _expires THEN
		UPDATE otpcourier.receipts t SET expires = greatest(t.expires, _expires),
			message = coalesce(t.message, _message) WHERE t.id = _id;
	END IF;
	RETURN CASE WHEN coalesce(r.message, _message) = _message THEN r.early END;
END $$;

-- match is Match: full tells that there is no room to park the receipt, _room in the shard
-- or _most for the key.
CREATE FUNCTION otpcourier.match(_id uuid, _shard integer, _receipt bytea, _expires bigint, _now bigint,
	_room bigint, _most integer, OUT message bytea, OUT is_full boolean)
LANGUAGE plpgsql AS $$
DECLARE
	r otpcourier.receipts;
BEGIN
	is_full := false;
	SELECT t.* INTO r FROM otpcourier.receipts t WHERE t.id = _id;
	IF r.message IS NOT NULL AND r.expires > _now AND r.expires >= _expires THEN
		message := r.message;
		RETURN;
	END IF;
	LOOP
		SELECT t.* INTO r FROM otpcourier.receipts t WHERE t.id = _id FOR NO KEY UPDATE;
		EXIT WHEN FOUND;
		is_full := otpcourier.parked(_shard, _now) >= _room;
		IF is_full THEN
			RETURN;
		END IF;
		INSERT INTO otpcourier.receipts (id, expires, shard, parked, early)
			VALUES (_id, _expires, _shard, 1, ARRAY[_receipt]) ON CONFLICT DO NOTHING;
		IF FOUND THEN
			RETURN;
		END IF;
	END LOOP;
	IF r.expires <= _now THEN
		r.expires := _expires; r.message := NULL; r.early := NULL; r.parked := 0;
	END IF;
	r.expires := greatest(r.expires, _expires);
	IF r.message IS NULL AND NOT coalesce(_receipt = ANY (r.early), false) THEN
		is_full := r.parked >= _most OR otpcourier.parked(_shard, _now) >= _room;
		IF is_full THEN
			RETURN;
		END IF;
		r.early := r.early || ARRAY[_receipt];
		r.parked := r.parked + 1;
	END IF;
	UPDATE otpcourier.receipts t SET expires = r.expires, message = r.message, early = r.early, parked = r.parked
		WHERE t.id = _id;
	message := r.message;
END $$;

-- parked returns how many receipts are parked in a shard.
CREATE FUNCTION otpcourier.parked(_shard integer, _now bigint) RETURNS bigint
LANGUAGE sql AS $$
	SELECT coalesce(sum(t.parked), 0) FROM otpcourier.receipts t
	WHERE t.shard = _shard AND t.parked > 0 AND t.expires > _now
$$;

-- sweep_receipts removes up to _most keys that have expired, and returns how many it removed.
CREATE FUNCTION otpcourier.sweep_receipts(_now bigint, _most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	m integer;
BEGIN
	DELETE FROM otpcourier.receipts WHERE ctid = ANY (ARRAY(
		SELECT t.ctid FROM otpcourier.receipts t WHERE t.expires < _now - otpcourier.slack()
		ORDER BY t.expires LIMIT _most FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS m = ROW_COUNT;
	RETURN m;
END $$;

INSERT INTO otpcourier.migrations (number) VALUES (3);
