-- By host: two that hold different values of a secret must not take turns in changing it. What has the same value has the same
-- fingerprint, salt and all, so that hosts are compared without the values.
ALTER TABLE ops.secrets
    ADD COLUMN host    text NOT NULL DEFAULT '',           -- '': from before; whoever looks first takes it over
    ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now(), -- when the host last held it
    DROP CONSTRAINT secrets_pkey,
    ADD PRIMARY KEY (setting, host);
ALTER TABLE ops.secrets ALTER COLUMN host DROP DEFAULT;
