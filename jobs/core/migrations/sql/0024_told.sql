-- Of which alerts a notice tells: who was told of one is read from the notices, and it is them that hear when it is over.
ALTER TABLE ops.notices ADD COLUMN alerts bigint[] NOT NULL DEFAULT '{}';
CREATE INDEX notices_alerts ON ops.notices USING gin (alerts);
