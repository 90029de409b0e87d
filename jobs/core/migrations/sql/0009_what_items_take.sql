-- What an item takes besides a tick, and what a run is part of. Whatever proves something is only ever added to:
-- evidence can be withdrawn, with a reason, and stays; results of checks stand one beside the other.
ALTER TABLE ops.checklist_runs
    ADD COLUMN fields_version integer NOT NULL DEFAULT 1,  -- of the summary
    ADD COLUMN lead           text,                        -- who has it now
    ADD COLUMN due_at         timestamptz,
    ADD COLUMN parent_run     bigint REFERENCES ops.checklist_runs (id),
    ADD COLUMN parent_item    text;                        -- the decision that started it
CREATE INDEX checklist_runs_parent ON ops.checklist_runs (parent_run) WHERE parent_run IS NOT NULL;

ALTER TABLE ops.checklist_items
    ADD COLUMN choice       text,                          -- how a decision went
    ADD COLUMN performed_at timestamptz,                   -- a late entry: when it was done
    ADD COLUMN verified_by  text,
    ADD COLUMN verified_at  timestamptz,
    ADD COLUMN assignee     text,
    ADD COLUMN due_at       timestamptz;
CREATE INDEX checklist_items_assignee ON ops.checklist_items (assignee, run_id) WHERE assignee IS NOT NULL;

CREATE TABLE ops.checklist_evidence (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL REFERENCES ops.checklist_runs (id),
    item_id      text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('text', 'link', 'file', 'run')),
    label        text NOT NULL,
    body         text,                                     -- a text, a link, the number of a job's run
    name         text,                                     -- of a file
    media_type   text,
    content      bytea,
    size         bigint NOT NULL,                          -- bytes
    sha256       text NOT NULL,                            -- of the content, or of the body in UTF-8
    added_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    added_by     text NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by text,
    withdrawn_why text,
    CHECK ((kind = 'file') = (content IS NOT NULL)),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_why IS NULL))
);
CREATE INDEX checklist_evidence_run ON ops.checklist_evidence (run_id, item_id, id);
ALTER TABLE ops.checklist_evidence ALTER COLUMN content SET STORAGE EXTERNAL;
-- The only change is to be withdrawn, once.
CREATE FUNCTION ops.refuse_all_but_withdrawal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.withdrawn_at IS NULL
       AND to_jsonb(NEW) - '{withdrawn_at,withdrawn_by,withdrawn_why,content}'::text[]
         = to_jsonb(OLD) - '{withdrawn_at,withdrawn_by,withdrawn_why,content}'::text[]
       AND NEW.content IS NOT DISTINCT FROM OLD.content THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER checklist_evidence_append_only BEFORE UPDATE OR DELETE ON ops.checklist_evidence
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_all_but_withdrawal();
CREATE TRIGGER checklist_evidence_no_truncate BEFORE TRUNCATE ON ops.checklist_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

CREATE TABLE ops.checklist_checks (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     bigint NOT NULL REFERENCES ops.checklist_runs (id),
    item_id    text NOT NULL,
    name       text NOT NULL,                              -- family.name
    params     jsonb NOT NULL,
    verdict    text NOT NULL CHECK (verdict IN ('passed', 'failed', 'unable', 'gathered')),
    summary    text NOT NULL,
    mend       text,
    output     jsonb NOT NULL,
    sha256     text NOT NULL,                              -- of the output as it was kept
    ran_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    ran_by     text NOT NULL
);
CREATE INDEX checklist_checks_item ON ops.checklist_checks (run_id, item_id, id DESC);
CREATE TRIGGER checklist_checks_append_only BEFORE UPDATE OR DELETE ON ops.checklist_checks
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
CREATE TRIGGER checklist_checks_no_truncate BEFORE TRUNCATE ON ops.checklist_checks
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

CREATE TABLE ops.checklist_mentions (
    event_id bigint NOT NULL REFERENCES ops.checklist_events (id),
    email    text NOT NULL,
    seen_at  timestamptz,
    PRIMARY KEY (event_id, email)
);
CREATE INDEX checklist_mentions_unseen ON ops.checklist_mentions (email) WHERE seen_at IS NULL;
