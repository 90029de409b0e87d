-- Tokens: how programs act over the HTTP API, each as itself. A name is never used twice, so that what a token did stays
-- its own; of the secret only its SHA-256 is here.
CREATE TABLE ops.tokens (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    key           text NOT NULL UNIQUE,                    -- the part of the token by which its row is found
    secret_sha256 bytea NOT NULL,
    scopes        text[] NOT NULL CHECK (cardinality(scopes) > 0),
    roles         text[] NOT NULL CHECK ('administrator' <> ALL (roles)),
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL,
    expires_at    timestamptz NOT NULL,
    last_used_at  timestamptz,                             -- to the minute
    revoked_at    timestamptz,
    revoked_by    text
);

-- What came of a request that carried an Idempotency-Key: written with what it did, so that a repeated request is
-- answered and does nothing.
CREATE TABLE ops.api_outcomes (
    token_id       bigint NOT NULL REFERENCES ops.tokens (id),
    key            text NOT NULL,
    request_sha256 bytea NOT NULL,                         -- method, path and body
    status         integer,                                -- null only inside the transaction that does it
    answer         bytea,
    at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, key)
);
CREATE INDEX api_outcomes_at ON ops.api_outcomes (token_id, at);
