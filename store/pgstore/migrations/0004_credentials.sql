-- Credentials: a value stays until it is removed.

CREATE TABLE otpcourier.credentials (
	subject bytea PRIMARY KEY, -- SHA-256
	value   bytea NOT NULL
);

INSERT INTO otpcourier.migrations (number) VALUES (4);
