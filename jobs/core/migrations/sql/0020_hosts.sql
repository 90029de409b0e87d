-- What a worker says of its host with every beat; null: an older version's worker, or not known this time.
ALTER TABLE ops.workers
    ADD COLUMN skew_ms   double precision,                 -- the host's clock against the database's; above zero: ahead
    ADD COLUMN memory_bytes bigint,                        -- of the process and its children, shared pages in parts
    ADD COLUMN load_1m   double precision,
    ADD COLUMN cores     integer;

-- Durations, success rates, what was ended lately and the lanes of the timeline are read from this index alone.
CREATE INDEX runs_ended ON ops.runs (job, finished_at) INCLUDE (id, state, started_at)
    WHERE finished_at IS NOT NULL;

-- What failed lately, to be grouped: few rows among many.
CREATE INDEX runs_failed ON ops.runs (finished_at) WHERE state IN ('failed', 'timed_out', 'lost');
