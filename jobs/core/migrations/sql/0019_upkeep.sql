-- Backups and whether they were restored to prove it; samples of hosts and databases, and what they are rolled up to.
CREATE TABLE ops.backups (
    file        text PRIMARY KEY,                          -- its name alone: the folder is NEXAOPS_HOME/backups
    made_at     timestamptz NOT NULL,                      -- of the snapshot: everything committed before is in it
    bytes       bigint NOT NULL,
    sha256      text NOT NULL,
    encrypted   boolean NOT NULL,
    made_by     text NOT NULL,                             -- run:<id>, or who restored another one over it
    verified_at timestamptz,                               -- restored and compared, the last time
    verified_by text,                                      -- run:<id>
    problem     text,                                      -- what it found; null: every table was as it had been
    CHECK ((verified_at IS NULL) = (verified_by IS NULL)),
    CHECK (problem IS NULL OR verified_at IS NOT NULL)
);
CREATE INDEX backups_verified ON ops.backups (verified_at) WHERE verified_at IS NOT NULL;

CREATE TABLE ops.series (
    id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,                                 -- a host, a Horizon server, `database`
    metric  text NOT NULL,                                 -- with its unit: host.disk_free_bytes
    UNIQUE (subject, metric)
);
CREATE TABLE ops.samples (
    series integer NOT NULL REFERENCES ops.series (id),
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    value  double precision NOT NULL,
    PRIMARY KEY (series, at)
);
CREATE TABLE ops.rollups (                                 -- no row where nothing was sampled: a gap stays a gap
    span   text NOT NULL,
    series integer NOT NULL REFERENCES ops.series (id),
    at     timestamptz NOT NULL,                           -- where the minute, hour or day (of UTC) begins
    n      integer NOT NULL CHECK (n > 0),
    total  double precision NOT NULL,                      -- total / n is the mean
    least  double precision NOT NULL,
    most   double precision NOT NULL,
    PRIMARY KEY (span, series, at)
) PARTITION BY LIST (span);
CREATE TABLE ops.rollups_minute PARTITION OF ops.rollups FOR VALUES IN ('minute');
CREATE TABLE ops.rollups_hour PARTITION OF ops.rollups FOR VALUES IN ('hour');
CREATE TABLE ops.rollups_day PARTITION OF ops.rollups FOR VALUES IN ('day');

CREATE TABLE ops.database_lists (                          -- what the probe of PostgreSQL found last, a list a kind
    kind    text PRIMARY KEY,                              -- queries, waiting, vacuum, unused_indexes …
    at      timestamptz NOT NULL,
    entries jsonb NOT NULL                                 -- the worst first, at most twenty
);
