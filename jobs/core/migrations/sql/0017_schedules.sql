-- Schedules that people edit: a third kind, from when intervals are counted, a spread, and how retries wait.
ALTER TABLE ops.schedules
    DROP CONSTRAINT schedules_kind_check,
    ADD CONSTRAINT schedules_kind_check CHECK (kind IN ('cron', 'interval', 'calendar')),
    ADD COLUMN anchor        timestamptz,                  -- null: an interval counts from 1970, a calendar from 2024
    ADD COLUMN jitter_s      integer NOT NULL DEFAULT 0 CHECK (jitter_s >= 0),
    ADD COLUMN retry_first_s integer NOT NULL DEFAULT 15 CHECK (retry_first_s > 0),
    ADD COLUMN retry_most_s  integer NOT NULL DEFAULT 600,
    ADD CHECK (retry_most_s >= retry_first_s),
    ADD CHECK (anchor IS NULL OR kind <> 'cron');
COMMENT ON COLUMN ops.schedules.expression IS 'five cron fields with named days, or seconds, or a rule of RFC 5545';
