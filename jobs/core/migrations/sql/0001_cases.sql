-- Ours, but part of the contract: what a person must decide.
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE ops.reconciliation_cases (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    reason         text NOT NULL,                          -- reconciliation.md, section 2
    details        jsonb NOT NULL,                         -- expected and found, request and server
    opened_at      timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    resolved_by    text,
    resolution     text
);
CREATE UNIQUE INDEX ON ops.reconciliation_cases (transaction_id, reason) WHERE resolved_at IS NULL;
