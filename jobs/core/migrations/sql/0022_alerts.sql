-- Alerts: what is measured, what is too much of it, who is told, and what people did about it.

-- What a signal read whenever it changed; between two rows it stood still. Null: there was no data.
CREATE TABLE ops.alert_readings (
    signal  text NOT NULL,
    subject text NOT NULL,                                 -- a job, a server, a host, a currency; '' where there is one
    at      timestamptz NOT NULL,
    value   double precision,
    PRIMARY KEY (signal, subject, at)
);
CREATE INDEX alert_readings_at ON ops.alert_readings (at);
-- When the signals were read, as far as one reading followed the other: what lies between two rows is a gap.
CREATE TABLE ops.alert_watches (
    began_at timestamptz PRIMARY KEY,
    until    timestamptz NOT NULL
);

CREATE TABLE ops.alert_rules (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE,                      -- stable, in kebab-case: horizon-critical
    title       text NOT NULL,
    signal      text NOT NULL,                             -- jobs/alerts/signals.py
    subject     text NOT NULL DEFAULT '*',                 -- a pattern as of a shell: probe-*
    comparison  text NOT NULL CHECK (comparison IN ('>', '>=', '<', '<=')),
    threshold   double precision NOT NULL,
    for_s       integer NOT NULL DEFAULT 0 CHECK (for_s >= 0),
    severity    text NOT NULL CHECK (severity IN ('warn', 'critical')),
    steps       jsonb NOT NULL,                            -- [{"after_s": 0, "to": "team"}, …], the first at once
    repeat_s    integer CHECK (repeat_s >= 60),            -- a reminder so often until somebody has it; null: none
    folds_into  text[] NOT NULL DEFAULT '{}',              -- names of rules that explain it while they fire
    runbook     text,                                      -- a checklist's template to start
    enabled     boolean NOT NULL DEFAULT true,
    shipped     boolean NOT NULL DEFAULT false,            -- came with the desk; edited since when version > 1
    version     bigint NOT NULL DEFAULT 1,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text NOT NULL
);

-- One row a time that a rule's condition held for a subject; ended rows stay.
CREATE TABLE ops.alerts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule            text NOT NULL REFERENCES ops.alert_rules (name) ON UPDATE CASCADE,
    signal          text NOT NULL,                         -- as the rule had it, like the severity
    subject         text NOT NULL,
    state           text NOT NULL CHECK (state IN ('pending', 'firing', 'resolved')),
    severity        text NOT NULL CHECK (severity IN ('warn', 'critical')),
    value           double precision,                      -- the newest reading; null: no data now
    sentence        text NOT NULL,
    link            text NOT NULL,                         -- one click to the cause
    began_at        timestamptz NOT NULL,                  -- since when the condition holds
    fired_at        timestamptz,
    seen_at         timestamptz NOT NULL,                  -- the newest evaluation that found it
    quiet_since     timestamptz,                           -- the condition holds no more, and it waits to be resolved
    resolved_at     timestamptz,
    resolution      text,                                  -- why it ended: recovered, the rule was switched off, gone
    flapping        boolean NOT NULL DEFAULT false,
    folded_into     bigint REFERENCES ops.alerts (id),     -- what explains it now: nobody is told of it by itself
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledged_why text,
    step            integer NOT NULL DEFAULT 0,            -- steps of the escalation that were told
    told_at         timestamptz,                           -- the last time that anybody was told
    reminders       integer NOT NULL DEFAULT 0,
    told_resolved   boolean NOT NULL DEFAULT false,
    CHECK ((state = 'pending') = (fired_at IS NULL)),
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL))
);
CREATE UNIQUE INDEX alerts_open ON ops.alerts (rule, subject) WHERE state <> 'resolved';
CREATE INDEX alerts_fired ON ops.alerts (fired_at DESC) WHERE fired_at IS NOT NULL;
CREATE INDEX alerts_untold ON ops.alerts (id) WHERE state = 'resolved' AND NOT told_resolved AND told_at IS NOT NULL;

-- Nobody is told of what matches, from a time to a time: a silence from now on, a maintenance window planned before.
CREATE TABLE ops.silences (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('silence', 'maintenance')),
    title      text NOT NULL,
    rule       text NOT NULL DEFAULT '*',                  -- patterns as of a shell
    subject    text NOT NULL DEFAULT '*',
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL CHECK (ends_at > starts_at),
    reason     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    ended_at   timestamptz,                                -- taken back before its time
    ended_by   text
);
CREATE INDEX silences_ends ON ops.silences (ends_at) WHERE ended_at IS NULL;

CREATE TABLE ops.incidents (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title       text NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('warn', 'critical')),
    opened_at   timestamptz NOT NULL DEFAULT now(),
    began_at    timestamptz NOT NULL,                      -- since when it hurts, at most opened_at
    opened_by   text NOT NULL,
    lead        text NOT NULL,                             -- who has it; changes by a hand-over
    resolved_at timestamptz,
    resolved_by text,
    resolution  text,
    review_run  bigint REFERENCES ops.checklist_runs (id),
    version     bigint NOT NULL DEFAULT 1,
    CHECK ((resolved_at IS NULL) = (resolved_by IS NULL))
);
CREATE INDEX incidents_opened ON ops.incidents (opened_at DESC);
CREATE TABLE ops.incident_alerts (
    incident_id bigint NOT NULL REFERENCES ops.incidents (id),
    alert_id    bigint PRIMARY KEY REFERENCES ops.alerts (id),
    added_at    timestamptz NOT NULL DEFAULT now(),
    added_by    text NOT NULL
);
CREATE INDEX incident_alerts_incident ON ops.incident_alerts (incident_id);
CREATE TABLE ops.incident_entries (                        -- the written timeline: only grows
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES ops.incidents (id),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    author      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('note', 'handover')),
    body        text NOT NULL
);
CREATE INDEX incident_entries_incident ON ops.incident_entries (incident_id, id);
CREATE TRIGGER incident_entries_append_only BEFORE UPDATE OR DELETE ON ops.incident_entries
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();

-- Who is on call: turns of so many days from a Monday (or another day) on, and who stands in for whom.
CREATE TABLE ops.rotas (
    name       text PRIMARY KEY,                           -- primary, secondary …
    place      integer NOT NULL UNIQUE,                    -- 1 is called first
    zone       text NOT NULL,
    starts_on  date NOT NULL,                              -- the first person's first turn
    handover   time NOT NULL,                              -- on the wall's clock of the zone
    turn_days  integer NOT NULL CHECK (turn_days BETWEEN 1 AND 366),
    people     text[] NOT NULL CHECK (cardinality(people) > 0), -- e-mail addresses of ops.people, in turn
    version    bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);
CREATE TABLE ops.rota_overrides (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rota       text NOT NULL REFERENCES ops.rotas (name) ON UPDATE CASCADE ON DELETE CASCADE,
    person     text NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL CHECK (ends_at > starts_at),
    reason     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX rota_overrides_ends ON ops.rota_overrides (rota, ends_at) WHERE ended_at IS NULL;

-- Links to the wall view, which asks for no login: whoever holds one sees how things stand, and no more.
CREATE TABLE ops.wall_links (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,                              -- where the screen hangs
    digest     text NOT NULL UNIQUE,                       -- sha256 of the secret, hex
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    seen_at    timestamptz,
    revoked_at timestamptz,
    revoked_by text
);
