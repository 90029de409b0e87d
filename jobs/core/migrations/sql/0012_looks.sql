-- What the looks before the last one found. A look that finds what the one before it found, on the same server, is counted
-- in ops.checks; one that finds something else moves the row there to here. A settlement's own look is its decision.
ALTER TABLE ops.checks
    ADD COLUMN times   integer NOT NULL DEFAULT 1,         -- looks since first_at with this outcome from this server
    ADD COLUMN request text;                               -- what was asked
UPDATE ops.checks SET times = attempts;                    -- attempts: with this outcome from any server, for the backoff

CREATE TABLE ops.looks (
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    outcome        text NOT NULL,
    server         text NOT NULL,                          -- empty: none was asked
    times          integer NOT NULL,
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    detail         text NOT NULL,                          -- of the last of them, like what follows
    request        text,
    ledger         bigint,
    run_id         bigint,
    PRIMARY KEY (transaction_id, outcome, server)
);
