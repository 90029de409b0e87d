-- Who answers for a run. A signature keeps the bytes of what was signed beside their SHA-256, so that it can be verified
-- without this software; it is never changed but for being voided, once.
CREATE TABLE ops.checklist_signatures (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL REFERENCES ops.checklist_runs (id),
    role         text NOT NULL,                            -- of the sign-off line
    kind         text NOT NULL CHECK (kind IN ('signed', 'rejected')),
    meaning      text NOT NULL CHECK (meaning IN ('authored', 'verified', 'executed', 'approved', 'rejected')),
    statement    text NOT NULL,                            -- the words that were signed
    name         text NOT NULL,                            -- as printed that day
    email        text NOT NULL,
    roles        text[] NOT NULL,                          -- that the signer held
    on_behalf_of text,                                     -- the e-mail of who delegated
    on_behalf_name text,
    record       text NOT NULL,                            -- what was signed, canonical JSON
    digest       text NOT NULL,
    reason       text,                                     -- of a rejection
    signed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    voided_at    timestamptz,
    voided_by    text,
    voided_why   text,
    CHECK (digest = encode(sha256(convert_to(record, 'UTF8')), 'hex')),
    CHECK ((kind = 'rejected') = (meaning = 'rejected') AND (kind = 'rejected') = (reason IS NOT NULL)),
    CHECK ((on_behalf_of IS NULL) = (on_behalf_name IS NULL)),
    CHECK ((voided_at IS NULL) = (voided_why IS NULL) AND (voided_at IS NULL) = (voided_by IS NULL))
);
CREATE INDEX checklist_signatures_run ON ops.checklist_signatures (run_id, id);
-- Of two who sign as the same role at the same moment, one wins.
CREATE UNIQUE INDEX checklist_signatures_one_a_role ON ops.checklist_signatures (run_id, role)
    WHERE kind = 'signed' AND voided_at IS NULL;
CREATE FUNCTION ops.refuse_all_but_voiding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.voided_at IS NULL AND OLD.kind = 'signed'
       AND to_jsonb(NEW) - '{voided_at,voided_by,voided_why}'::text[]
         = to_jsonb(OLD) - '{voided_at,voided_by,voided_why}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER checklist_signatures_append_only BEFORE UPDATE OR DELETE ON ops.checklist_signatures
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_all_but_voiding();
CREATE TRIGGER checklist_signatures_no_truncate BEFORE TRUNCATE ON ops.checklist_signatures
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

CREATE TABLE ops.delegations (                             -- one role of one run, until a time
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     bigint NOT NULL REFERENCES ops.checklist_runs (id),
    role       text NOT NULL,
    from_email text NOT NULL,
    to_email   text NOT NULL,
    reason     text NOT NULL,
    given_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CHECK (from_email <> to_email),
    CHECK (expires_at > given_at AND expires_at <= given_at + interval '30 days')
);
CREATE INDEX delegations_to ON ops.delegations (run_id, role, to_email);
CREATE TRIGGER delegations_no_truncate BEFORE TRUNCATE ON ops.delegations
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

ALTER TABLE ops.checklist_runs
    ADD COLUMN urgent_reason text,                         -- expedited: gates' signatures may come later
    ADD COLUMN review_due_at timestamptz,
    ADD CHECK ((urgent_reason IS NULL) = (review_due_at IS NULL));
ALTER TABLE ops.checklist_items
    ADD COLUMN retired_at timestamptz,                     -- a newer version of the definition has it no more
    ADD COLUMN retired_as text,                            -- what it said
    ADD COLUMN asked_at   timestamptz;                     -- it asks something else since: earlier results are of no use

-- Whether a session has been one continuous period since somebody gave e-mail and password; see jobs/core/sessions.py.
ALTER TABLE ops.sessions ADD COLUMN interrupted boolean NOT NULL DEFAULT false;
