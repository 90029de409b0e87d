-- A rule of one's own can be deleted once nothing of it is open; what it fired in the past stays.
ALTER TABLE ops.alerts DROP CONSTRAINT alerts_rule_fkey;
-- What has fired of a rule and a subject, the newest first: to see what flaps, and for its page.
CREATE INDEX alerts_rule ON ops.alerts (rule, subject, fired_at DESC) WHERE fired_at IS NOT NULL;
