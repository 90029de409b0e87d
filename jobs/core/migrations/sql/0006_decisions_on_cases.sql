-- What a person decides on a case. `decision` is null where proof closed it; until `quiet_until` the same reason does not
-- open again for the same transaction.
ALTER TABLE ops.reconciliation_cases
    ADD COLUMN decision    text CHECK (decision IN ('accepted', 'marked_failed', 'waiting', 'linked', 'cancelled')),
    ADD COLUMN quiet_until timestamptz;

-- Until now a case that a person closed stayed quiet for a day.
UPDATE ops.reconciliation_cases SET decision = 'waiting', quiet_until = resolved_at + interval '1 day'
 WHERE resolved_at IS NOT NULL AND resolved_by NOT LIKE 'run:%';

-- A person decides without a run.
ALTER TABLE ops.decisions
    ALTER COLUMN run_id DROP NOT NULL,
    ADD COLUMN decided_by text,
    ADD CHECK ((run_id IS NULL) <> (decided_by IS NULL));
