-- What the team is told: a row for each notice and channel. It waits, was delivered, or was given up (dead). It is claimed
-- while it is being sent; a claim that has run out belongs to nobody, so a sender that was killed holds nothing up.
CREATE TABLE ops.notices (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text NOT NULL,                           -- what has the same key goes to a channel once
    channel       text NOT NULL,                           -- as people may read it: never an address with its keys
    title         text NOT NULL,
    body          text NOT NULL,
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL DEFAULT now(),
    claimed_by    uuid,
    claimed_until timestamptz,
    ended_at      timestamptz,
    error         text,                                    -- why the last try failed
    UNIQUE (key, channel),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX notices_waiting ON ops.notices (next_at) WHERE state = 'waiting';
CREATE INDEX notices_ended ON ops.notices (ended_at) WHERE state = 'dead';
CREATE INDEX notices_channel ON ops.notices (channel, created_at);
