-- The audit trail as a hash chain. Writers of ops.audit know nothing of it and wait for nobody; a sealer links what has
-- been committed, in the order in which it finds it. What is hashed stands in jobs/core/audit_chain.py.
CREATE TABLE ops.audit_chain (
    seq       bigint PRIMARY KEY,                          -- 1, 2, 3 … without a gap, in the order of sealing
    audit_id  bigint NOT NULL UNIQUE,                      -- no foreign key: a row that is gone is for verification to name
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    sealed_at timestamptz NOT NULL
);
CREATE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE ON ops.audit_chain
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
CREATE TRIGGER audit_chain_no_truncate BEFORE TRUNCATE ON ops.audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

-- One row: every id of ops.audit that has no link yet, at first all of them. An id is given before its row is committed,
-- so a lower one may come to light after a higher one was sealed: it stays in here until then.
CREATE TABLE ops.audit_unsealed (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    ids      int8multirange NOT NULL DEFAULT '{[1,)}'
);
INSERT INTO ops.audit_unsealed DEFAULT VALUES;

CREATE TABLE ops.audit_verifications (                     -- each walk along the whole chain
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verified_at timestamptz NOT NULL DEFAULT now(),
    verified_by text NOT NULL,
    links       bigint NOT NULL,                           -- in order, before the first broken one
    head        bytea NOT NULL,                            -- the hash of the last of them
    anchors     bigint NOT NULL,                           -- outside of the database, that were met
    late        bigint NOT NULL,                           -- rows that came long after the time that they bear
    broken      text                                       -- a sentence; null: the chain is whole
);
CREATE TRIGGER audit_verifications_append_only BEFORE UPDATE OR DELETE ON ops.audit_verifications
    FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
CREATE TRIGGER audit_verifications_no_truncate BEFORE TRUNCATE ON ops.audit_verifications
    FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();

-- "5:hello," for a text by its bytes, "-," for none: no two lists of values are written alike.
-- STABLE, as convert_to is: otherwise it is called instead of inlined, ten times slower.
CREATE FUNCTION ops.audit_field(value text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(octet_length(convert_to(value, 'UTF8')) || ':' || value, '-') || ',';

-- As JSON writes it, which depends on no setting of the session.
CREATE FUNCTION ops.audit_instant(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_jsonb(at AT TIME ZONE 'UTC') #>> '{}';

CREATE FUNCTION ops.audit_encoding(seq bigint, sealed_at timestamptz, a ops.audit) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ops.audit_field(seq::text) || ops.audit_field(ops.audit_instant(sealed_at)) || ops.audit_field(a.id::text)
        || ops.audit_field(ops.audit_instant(a.at)) || ops.audit_field(a.actor) || ops.audit_field(a.action)
        || ops.audit_field(a.entity) || ops.audit_field(a.entity_id) || ops.audit_field(a.old::text)
        || ops.audit_field(a.new::text) || ops.audit_field(a.reason) || ops.audit_field(a.origin);

-- Over a window in the order of seq: the hash of each link, the first one's predecessor being given.
CREATE FUNCTION ops.audit_link(before bytea, head bytea, encoding text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(coalesce(before, head) || convert_to(encoding, 'UTF8'));
END $$;
CREATE AGGREGATE ops.audit_chained(head bytea, encoding text) (SFUNC = ops.audit_link, STYPE = bytea);

-- What people did, which is little; what runs did is found by what it is about, and costs settling no index.
CREATE INDEX audit_people ON ops.audit (actor, id) WHERE actor NOT LIKE 'run:%';
CREATE INDEX audit_at ON ops.audit USING brin (at) WITH (pages_per_range = 32);
