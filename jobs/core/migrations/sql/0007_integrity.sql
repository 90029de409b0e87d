-- Integrity: findings are open as long as every look finds them again. Their rows name transactions and
-- users without foreign keys: what is missing is what they are about.
CREATE TABLE ops.integrity_checks (
    name      text PRIMARY KEY,
    as_of     timestamptz NOT NULL,                        -- when the last pass that looked at everything began
    looked_at bigint NOT NULL,                             -- rows, users or wallets of that pass
    run_id    bigint NOT NULL
);

CREATE TABLE ops.integrity_findings (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    check_name     text NOT NULL,
    subject        text NOT NULL,                          -- what differs; open at most once for a check
    transaction_id uuid,
    user_id        uuid,
    account        text,                                   -- of a wallet on the chain
    currency       text,
    asset_issuer   text,
    expected       text NOT NULL,
    actual         text NOT NULL,
    difference     numeric,                                -- actual minus expected, where both are amounts
    sentence       text NOT NULL,
    found_at       timestamptz NOT NULL DEFAULT now(),
    found_run      bigint NOT NULL,
    seen_at        timestamptz NOT NULL DEFAULT now(),
    seen_run       bigint NOT NULL,
    resolved_at    timestamptz,
    resolved_run   bigint
);
CREATE UNIQUE INDEX findings_open ON ops.integrity_findings (check_name, subject) WHERE resolved_at IS NULL;
CREATE INDEX findings_open_id ON ops.integrity_findings (id) WHERE resolved_at IS NULL;
CREATE INDEX findings_resolved ON ops.integrity_findings (resolved_at) WHERE resolved_at IS NOT NULL;

-- Wallets: users by the base account of their address, and what was last compared of each account.
CREATE TABLE ops.wallet_owners (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    address text NOT NULL,                                 -- as the user has it, G… or M…
    account text                                           -- null: the address names nobody
);
CREATE INDEX wallet_owners_account ON ops.wallet_owners (account);

CREATE TABLE ops.wallets (
    account     text PRIMARY KEY,
    compared_at timestamptz,
    ledger      bigint,
    server      text
);
CREATE INDEX wallets_compared ON ops.wallets (compared_at NULLS FIRST);

CREATE TABLE ops.wallet_history (                          -- one row whenever a side of the comparison has changed
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account      text NOT NULL,
    currency     text NOT NULL,
    asset_issuer text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    books        numeric NOT NULL,
    chain        numeric NOT NULL,
    in_motion    numeric NOT NULL,
    ledger       bigint NOT NULL,
    run_id       bigint NOT NULL
);
CREATE INDEX wallet_history_asset ON ops.wallet_history (account, currency, asset_issuer, id DESC);

-- The audit of the history: one unfinished at most; its cursor is the last transaction that was judged.
CREATE TABLE ops.history_audits (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seed         bigint NOT NULL,
    sample       bigint,                                   -- null: every settled transaction
    total        bigint NOT NULL,
    cursor_id    uuid,
    confirmed    bigint NOT NULL DEFAULT 0,
    contradicted bigint NOT NULL DEFAULT 0,
    unknown      bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL DEFAULT now(),
    started_run  bigint NOT NULL,
    last_run     bigint NOT NULL,
    advanced_at  timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    given_up     boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX history_audits_unfinished ON ops.history_audits ((true)) WHERE finished_at IS NULL;

CREATE TABLE ops.history_sample (
    audit_id       bigint NOT NULL REFERENCES ops.history_audits (id) ON DELETE CASCADE,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (audit_id, transaction_id)
);
