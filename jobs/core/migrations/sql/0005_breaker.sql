-- A circuit breaker for each Horizon server, shared by all workers; its rules are in jobs/horizon/breaker.py.
ALTER TABLE ops.horizon_servers
    ADD COLUMN failures    integer NOT NULL DEFAULT 0,     -- in a row
    ADD COLUMN openings    integer NOT NULL DEFAULT 0,     -- in a row: each doubles the pause
    ADD COLUMN left_at     timestamptz,                    -- null: the server is used
    ADD COLUMN left_reason text,
    ADD COLUMN retry_at    timestamptz,                    -- one try may go ahead from then on
    ADD COLUMN trial_until timestamptz,                    -- a try is under way
    ADD CONSTRAINT horizon_servers_left CHECK ((left_at IS NULL) = (retry_at IS NULL));
