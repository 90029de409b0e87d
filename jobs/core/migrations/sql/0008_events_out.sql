-- An event is delivered (sent_at), given up (dead_at), or waits. It is claimed while it is being sent; a claim that has
-- run out belongs to nobody, so a sender that was killed holds nothing up.
ALTER TABLE ops.outbox
    ADD COLUMN event_id      uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(), -- the same at every try: receivers drop doubles by it
    ADD COLUMN attempts      integer NOT NULL DEFAULT 0,
    ADD COLUMN first_at      timestamptz,                  -- the first try, from which giving up is counted
    ADD COLUMN next_at       timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN claimed_by    uuid,
    ADD COLUMN claimed_until timestamptz,
    ADD COLUMN error         text,                         -- why the last try failed
    ADD COLUMN dead_at       timestamptz;
CREATE INDEX outbox_undelivered ON ops.outbox (transaction_id, id) WHERE sent_at IS NULL;
CREATE INDEX outbox_waiting ON ops.outbox (id) WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_dead ON ops.outbox (dead_at) WHERE dead_at IS NOT NULL;
