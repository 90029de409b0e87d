-- The engine's own tables. Times are UTC and come from the database's clock; `*_by` is a person's e-mail,
-- "system", or "run:<id>". Nothing here is updated without a condition on the state it replaces.

-- People ------------------------------------------------------------------------------------------------------
CREATE TABLE ops.people (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email           text NOT NULL CHECK (email = lower(email)),
    name            text NOT NULL,
    roles           text[] NOT NULL CHECK (cardinality(roles) > 0),
    password_hash   text NOT NULL,
    must_change     boolean NOT NULL DEFAULT false,        -- a one-time password: choose your own first
    failed_attempts integer NOT NULL DEFAULT 0,
    locked_until    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    disabled_at     timestamptz
);
CREATE UNIQUE INDEX people_email ON ops.people (email);

CREATE TABLE ops.sessions (
    token_sha256 bytea PRIMARY KEY,                        -- the cookie itself is never stored
    person_id    uuid NOT NULL REFERENCES ops.people (id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    origin       text
);
CREATE INDEX sessions_person ON ops.sessions (person_id);

-- Audit: append-only, also for the owner of the tables ----------------------------------------------------------
CREATE TABLE ops.audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    actor       text NOT NULL,
    action      text NOT NULL,                             -- transaction.settled, job.run, flag.set, item.ticked …
    entity      text NOT NULL,                             -- transaction, schedule, flag, person, checklist_run …
    entity_id   text NOT NULL,
    old         jsonb,
    new         jsonb,
    reason      text,
    origin      text                                       -- dashboard, cli, job, migration
);
CREATE INDEX audit_entity ON ops.audit (entity, entity_id, id);
CREATE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON ops.audit
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON ops.audit
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

CREATE TABLE ops.flags (
    name       text PRIMARY KEY,
    value      boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    reason     text
);

-- Schedules, runs, workers -----------------------------------------------------------------------------------
CREATE TABLE ops.schedules (
    name          text PRIMARY KEY,                        -- of the job
    kind          text NOT NULL CHECK (kind IN ('cron', 'interval')),
    expression    text NOT NULL,                           -- five cron fields with named days, or seconds
    zone          text NOT NULL DEFAULT 'UTC',
    overlap       text NOT NULL DEFAULT 'skip' CHECK (overlap IN ('skip', 'queue', 'allow')),
    misfire       text NOT NULL DEFAULT 'once' CHECK (misfire IN ('skip', 'once', 'all')),
    grace_s       integer NOT NULL DEFAULT 30 CHECK (grace_s > 0),
    timeout_s     integer NOT NULL CHECK (timeout_s > 0),
    retries       integer NOT NULL DEFAULT 0 CHECK (retries >= 0),
    params        jsonb NOT NULL DEFAULT '{}',
    enabled       boolean NOT NULL DEFAULT true,
    paused_at     timestamptz,
    paused_until  timestamptz,                             -- null while paused_at is set: until resumed
    paused_by     text,
    paused_reason text,
    version       bigint NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ops.runs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job            text NOT NULL,
    schedule       text,                                   -- null: no slot, a person or another run asked for it
    slot           timestamptz,
    trigger        text NOT NULL CHECK (trigger IN ('schedule', 'manual', 'checklist', 'api', 'retry')),
    triggered_by   text NOT NULL,
    reason         text,
    params         jsonb NOT NULL DEFAULT '{}',
    dry_run        boolean NOT NULL DEFAULT false,
    state          text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'stopped',
                                                  'timed_out', 'lost', 'missed', 'skipped')),
    attempt        integer NOT NULL DEFAULT 0,
    attempt_token  uuid,                                   -- fences results of an attempt that was given up
    retry_of       bigint REFERENCES ops.runs (id),
    worker_id      uuid,
    host           text,
    queued_at      timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    beat_at        timestamptz,
    finished_at    timestamptz,
    stop_by        text,                                   -- set: stop at the next batch
    counters       jsonb NOT NULL DEFAULT '{}',
    progress_done  bigint,
    progress_total bigint,
    error_class    text,
    error          text,
    trace          text,
    CHECK ((schedule IS NULL) = (slot IS NULL)),
    UNIQUE (schedule, slot)
);
CREATE INDEX runs_job ON ops.runs (job, id DESC);
CREATE INDEX runs_open ON ops.runs (state) WHERE state IN ('queued', 'running');
CREATE INDEX runs_state ON ops.runs (state, id DESC);

CREATE TABLE ops.run_logs (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES ops.runs (id) ON DELETE CASCADE,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    level  text NOT NULL,
    event  text NOT NULL,
    fields jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX run_logs_run ON ops.run_logs (run_id, id);

CREATE TABLE ops.workers (
    id           uuid PRIMARY KEY,
    host         text NOT NULL,
    pid          integer NOT NULL,
    version      text NOT NULL,
    concurrency  integer NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    beat_at      timestamptz NOT NULL DEFAULT now(),
    scheduler_at timestamptz,                              -- the scheduler thread's own sign of life
    stopped_at   timestamptz
);

CREATE TABLE ops.leases (
    name       text PRIMARY KEY,
    holder     uuid NOT NULL,
    term       bigint NOT NULL,                            -- rises with every change of holder; writes are fenced by it
    expires_at timestamptz NOT NULL
);

-- Horizon ----------------------------------------------------------------------------------------------------
-- `server` is scheme, host and port: a key in a configured URL never gets here.
CREATE TABLE ops.horizon_servers (
    server         text PRIMARY KEY,
    highest_ledger bigint,                                 -- ever seen; lower than this is a regress
    frozen_at      timestamptz,
    frozen_reason  text,
    tokens         double precision,                       -- the budget that all workers share: a token bucket
    tokens_at      timestamptz,
    limit_per_hour integer,                                -- X-RateLimit-Limit, when the server says one
    remaining      integer,
    reset_at       timestamptz,
    blocked_until  timestamptz,                            -- Retry-After
    updated_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ops.horizon_requests (
    minute   timestamptz NOT NULL,
    server   text NOT NULL,
    endpoint text NOT NULL,                                -- root, health, fee_stats, transaction, transactions …
    job      text NOT NULL,
    outcome  text NOT NULL,                                -- ok, absent, rate_limited, unavailable, timeout, refused, garbled …
    count    integer NOT NULL,
    total_ms double precision NOT NULL,
    buckets  integer[] NOT NULL,                           -- latency histogram; bounds in jobs/horizon/latency.py
    PRIMARY KEY (minute, server, endpoint, job, outcome)
);

CREATE TABLE ops.horizon_samples (
    server             text NOT NULL,
    at                 timestamptz NOT NULL DEFAULT now(),
    verdict            text NOT NULL CHECK (verdict IN ('ok', 'warn', 'critical')),
    reasons            jsonb NOT NULL DEFAULT '[]',        -- [{signal, verdict, sentence}]
    latency_ms         double precision,
    age_s              double precision,
    lag                integer,
    latest_ledger      bigint,
    closed_at          timestamptz,
    elder_ledger       bigint,
    core_ledger        bigint,
    ingest_ledger      bigint,
    passphrase         text,
    protocol           integer,
    supported_protocol integer,
    horizon_version    text,
    core_version       text,
    database_connected boolean,
    core_up            boolean,
    core_synced        boolean,
    capacity_usage     numeric,
    fee_p50            bigint,
    fee_p95            bigint,
    max_fee_p95        bigint,
    error              text,
    PRIMARY KEY (server, at)
);
CREATE INDEX horizon_samples_at ON ops.horizon_samples (at);

-- Reconciliation ---------------------------------------------------------------------------------------------
CREATE TABLE ops.checks (                                  -- the last look at each transaction
    transaction_id uuid PRIMARY KEY REFERENCES transactions (id),
    attempts       integer NOT NULL DEFAULT 1,
    first_at       timestamptz NOT NULL DEFAULT now(),
    last_at        timestamptz NOT NULL DEFAULT now(),
    next_at        timestamptz NOT NULL DEFAULT now(),     -- backoff: hopeless rows do not eat the budget
    outcome        text NOT NULL,
    detail         text NOT NULL,
    server         text,
    ledger         bigint,
    run_id         bigint
);

CREATE TABLE ops.claims (                                  -- one operation on the chain pays one row, for ever
    network         text NOT NULL,                         -- sha256 of the passphrase, hex
    tx_hash         text NOT NULL,                         -- the inner hash of a fee-bump
    operation_index integer NOT NULL,
    transaction_id  uuid NOT NULL REFERENCES transactions (id),
    claimed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (network, tx_hash, operation_index)
);
CREATE UNIQUE INDEX claims_transaction ON ops.claims (transaction_id);

CREATE TABLE ops.decisions (                               -- what a run decided and why; dry runs too
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id         bigint NOT NULL REFERENCES ops.runs (id) ON DELETE CASCADE,
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    at             timestamptz NOT NULL DEFAULT now(),
    dry_run        boolean NOT NULL,
    verdict        text NOT NULL,                          -- success, failed, case, rescue …
    reason         text NOT NULL,
    proof          jsonb NOT NULL
);
CREATE INDEX decisions_transaction ON ops.decisions (transaction_id, id);
CREATE INDEX decisions_run ON ops.decisions (run_id, id);

CREATE TABLE ops.outbox (                                  -- events for other systems, written with the settlement
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL,                          -- transaction.succeeded, transaction.failed, transaction.rescued
    transaction_id uuid NOT NULL REFERENCES transactions (id),
    payload        jsonb NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    sent_at        timestamptz,
    UNIQUE (transaction_id, kind)
);
CREATE INDEX cases_opened ON ops.reconciliation_cases (opened_at) WHERE resolved_at IS NULL;
