-- What the requests to Horizon cost, for longer than by the minute; and what the network's status page said last.

-- Sums of ops.horizon_requests: percentiles of any time come from added buckets, never from means of percentiles.
CREATE TABLE ops.horizon_request_sums (
    span     text NOT NULL,
    at       timestamptz NOT NULL,                         -- where the hour or day (of UTC) begins
    server   text NOT NULL,
    endpoint text NOT NULL,
    job      text NOT NULL,
    outcome  text NOT NULL,
    count    bigint NOT NULL,
    total_ms double precision NOT NULL,
    buckets  bigint[] NOT NULL,                            -- latency histogram; bounds in jobs/horizon/latency.py
    PRIMARY KEY (span, at, server, endpoint, job, outcome)
) PARTITION BY LIST (span);
CREATE TABLE ops.horizon_request_sums_hour PARTITION OF ops.horizon_request_sums FOR VALUES IN ('hour');
CREATE TABLE ops.horizon_request_sums_day PARTITION OF ops.horizon_request_sums FOR VALUES IN ('day');

CREATE TABLE ops.status_pages (                            -- advice, never a proof of what Horizon does
    page         text PRIMARY KEY,                         -- its host, as a Horizon server is called
    asked_at     timestamptz NOT NULL,
    error        text,                                     -- why it gave no summary then; null: it did
    answered_at  timestamptz,                              -- of what follows
    indicator    text,
    description  text,
    components   jsonb NOT NULL DEFAULT '[]',              -- those that do not run as they should: [{name, status}]
    incidents    jsonb NOT NULL DEFAULT '[]',              -- [{name, status, impact, at}]
    maintenances jsonb NOT NULL DEFAULT '[]'               -- [{name, status, at, until}]
);
