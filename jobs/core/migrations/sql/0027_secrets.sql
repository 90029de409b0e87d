-- By what a secret of the settings is known again, and since when it has had that value; never the value.
CREATE TABLE ops.secrets (
    setting     text PRIMARY KEY,                          -- the variable that sets it: NEXAOPS_FORGE_TOKEN
    fingerprint text NOT NULL,                             -- argon2 with a random salt
    since       timestamptz NOT NULL DEFAULT now()
);
