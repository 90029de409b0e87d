-- Lists that open by themselves: how far each schedule was looked at, and what became of every occurrence.
CREATE TABLE ops.checklist_schedules (
    template_id text PRIMARY KEY,
    looked_at   timestamptz NOT NULL                       -- occurrences up to here have a row below
);
CREATE TABLE ops.checklist_occurrences (
    template_id text NOT NULL,
    occurs_at   timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('opened', 'missed', 'refused')),
    run_id      bigint UNIQUE REFERENCES ops.checklist_runs (id),
    note        text,                                      -- why it did not open
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (template_id, occurs_at),
    CHECK ((state = 'opened') = (run_id IS NOT NULL))
);
CREATE INDEX checklist_occurrences_when ON ops.checklist_occurrences (occurs_at);
CREATE INDEX checklist_runs_due ON ops.checklist_runs (due_at) WHERE state = 'open' AND due_at IS NOT NULL;

-- Each step of an overdue run's escalation, once.
CREATE TABLE ops.checklist_escalations (
    run_id  bigint NOT NULL REFERENCES ops.checklist_runs (id),
    step    integer NOT NULL,
    to_role text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, step)
);

-- Definitions that were looked at again, by their owner.
CREATE TABLE ops.template_reviews (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    template_id text NOT NULL,
    version     text NOT NULL,                             -- sha256 of what was reviewed
    reviewed_at timestamptz NOT NULL DEFAULT now(),
    reviewed_by text NOT NULL,
    note        text NOT NULL
);
CREATE INDEX template_reviews_template ON ops.template_reviews (template_id, reviewed_at DESC);

-- Whom to call: one row a role, as the lists name it.
CREATE TABLE ops.contacts (
    role        text PRIMARY KEY,
    name        text NOT NULL DEFAULT '',
    phone       text NOT NULL DEFAULT '',
    email       text NOT NULL DEFAULT '',
    notes       text NOT NULL DEFAULT '',
    version     integer NOT NULL DEFAULT 1,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text NOT NULL,
    verified_at timestamptz,                               -- somebody called, and it was right
    verified_by text
);

-- What the deployed application said it is, whenever that changed.
CREATE TABLE ops.app_versions (
    version       text PRIMARY KEY,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now()
);

-- How long a closed run is kept at least; what belongs to it cannot be deleted before it.
ALTER TABLE ops.checklist_runs ADD COLUMN retain_until timestamptz;
CREATE FUNCTION ops.refuse_early_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.closed_at IS NULL OR OLD.retain_until IS NULL OR OLD.retain_until > now() THEN
        RAISE EXCEPTION 'checklist run % is kept until %', OLD.id,
            coalesce(to_char(OLD.retain_until AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'it is closed, and for its retention after that')
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER checklist_runs_retention BEFORE DELETE ON ops.checklist_runs
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_early_deletion();
CREATE TRIGGER checklist_runs_no_truncate BEFORE TRUNCATE ON ops.checklist_runs
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
CREATE FUNCTION ops.set_retention() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- As its own definition says, in the words of a definition: 90d, 7y; seven years where it says nothing.
    NEW.retain_until := NEW.closed_at + CASE right(coalesce(NEW.definition ->> 'retain', '7y'), 1)
        WHEN 'y' THEN interval '365 days' WHEN 'w' THEN interval '7 days' WHEN 'd' THEN interval '1 day'
        WHEN 'h' THEN interval '1 hour' ELSE interval '1 minute' END
        * CAST(left(coalesce(NEW.definition ->> 'retain', '7y'), -1) AS integer);
    RETURN NEW;
END $$;
CREATE TRIGGER checklist_runs_set_retention BEFORE UPDATE OF closed_at ON ops.checklist_runs
    FOR EACH ROW WHEN (NEW.closed_at IS NOT NULL AND OLD.closed_at IS NULL) EXECUTE FUNCTION ops.set_retention();
UPDATE ops.checklist_runs SET retain_until = closed_at + interval '2555 days' WHERE closed_at IS NOT NULL;
