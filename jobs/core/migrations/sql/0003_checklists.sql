-- Checklists: a run pins the definition it was started from; items change one at a time, each with the version
-- it was seen at; events keep every change for ever.
CREATE TABLE ops.checklist_runs (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    template_id      text NOT NULL,
    template_version text NOT NULL,                        -- sha256 of the canonical definition
    title            text NOT NULL,
    kind             text NOT NULL,
    definition       jsonb NOT NULL,                       -- as loaded, so that a run never changes under its people
    fields           jsonb NOT NULL DEFAULT '{}',
    state            text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'abandoned')),
    started_at       timestamptz NOT NULL DEFAULT now(),
    started_by       text NOT NULL,
    closed_at        timestamptz,
    closed_by        text
);
CREATE INDEX checklist_runs_state ON ops.checklist_runs (state, id DESC);

CREATE TABLE ops.checklist_items (
    run_id     bigint NOT NULL REFERENCES ops.checklist_runs (id),
    item_id    text NOT NULL,                              -- phase/item
    position   integer NOT NULL,
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'na')),
    reason     text,                                       -- why it does not apply
    version    integer NOT NULL DEFAULT 1,
    changed_at timestamptz,
    changed_by text,
    PRIMARY KEY (run_id, item_id)
);

CREATE TABLE ops.checklist_events (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id  bigint NOT NULL REFERENCES ops.checklist_runs (id),
    item_id text,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    kind    text NOT NULL,                                 -- started, ticked, unticked, na, comment, closed …
    old     text,
    new     text,
    note    text
);
CREATE INDEX checklist_events_run ON ops.checklist_events (run_id, id);
CREATE TRIGGER checklist_events_append_only BEFORE UPDATE OR DELETE ON ops.checklist_events
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
CREATE TRIGGER checklist_events_no_truncate BEFORE TRUNCATE ON ops.checklist_events
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
