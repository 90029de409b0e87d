-- By host: two that hold different values of a secret must not take turns in changing it. What has the same value has the same
-- fingerprint, salt and all, so that hosts are compared without the values. ops.secrets stays as it is for workers of the
-- version before, which run on until they are replaced one by one; this version no longer reads it.
CREATE TABLE ops.secrets_held (
    setting     text NOT NULL,                             -- the variable that sets it: NEXAOPS_FORGE_TOKEN
    host        text NOT NULL,                             -- '': from before; whoever looks first takes it over
    fingerprint text NOT NULL,                             -- argon2 with a random salt
    since       timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now(),        -- when the host last held it
    PRIMARY KEY (setting, host)
);
INSERT INTO ops.secrets_held (setting, host, fingerprint, since) SELECT setting, '', fingerprint, since FROM ops.secrets;
