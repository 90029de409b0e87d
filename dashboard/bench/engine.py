"""The engine of a filled desk: runs at the pace of its own schedules, logs, samples, alerts and what people made of them.

Samples are kept as `prune` keeps them: raw for two days, minutes for thirty, hours and days for as long as was asked for.
"""

from __future__ import annotations

# The slots of one stretch of time, of every schedule at its own pace; one in a hundred fails.
RUNS = """
INSERT INTO ops.runs (job, schedule, slot, trigger, triggered_by, state, attempt, host, queued_at, started_at, finished_at,
                      counters, error_class, error)
SELECT job, job, slot, 'schedule', 'system', state, 1, 'host-' || id % 3 + 1, slot,
       CASE WHEN ran THEN slot + interval '80 ms' END,
       slot + CASE WHEN ran THEN interval '80 ms' + took ELSE interval '30 s' END,
       CASE WHEN ran THEN jsonb_build_object('seen', id % 60, 'settled', id % 50, 'requests', id % 40) ELSE '{}' END,
       CASE WHEN ran AND state <> 'succeeded' THEN 'TransientError' END,
       CASE WHEN state <> 'succeeded' THEN (ARRAY[
            'Horizon answered 503 (still_ingesting) to the first request: nothing was settled.',
            'Horizon did not answer within 10 s.', 'The budget of 3600 requests an hour is used up until ' || id % 60 || ' min past.',
            'deadlock detected while settling batch ' || id % 9])[1 + id % 4] END
  FROM (SELECT *, state NOT IN ('missed', 'skipped') AS ran, (0.2 + pow(random(), 4) * 12) * interval '1 s' AS took
          FROM (SELECT job, slot, row_number() OVER () AS id,
                       CASE WHEN luck < 0.010 THEN 'failed' WHEN luck < 0.011 THEN 'timed_out' WHEN luck < 0.0115 THEN 'lost'
                            WHEN luck < 0.0135 THEN 'missed' WHEN luck < 0.0165 THEN 'skipped' ELSE 'succeeded' END AS state
                  FROM (SELECT p.job, slot, random() AS luck
                          FROM unnest(CAST(:jobs AS text[]), CAST(:seconds AS float8[])) AS p (job, seconds)
                         CROSS JOIN LATERAL generate_series(
                               to_timestamp(ceil(extract(epoch FROM CAST(:from AS timestamptz)) / p.seconds) * p.seconds),
                               CAST(:until AS timestamptz) - interval '1 us', make_interval(secs => p.seconds)) AS slot
                         ORDER BY slot) AS due) AS lucky) AS ran
"""

AFTER_RUNS = (
    """
INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt, host, queued_at, started_at, progress_done, progress_total)
SELECT 'reconcile-pending', 'manual', 'person1@nexafx.test', state, 1, 'host-1', now(),
       CASE state WHEN 'running' THEN now() END, 40, 100 FROM unnest(ARRAY['running', 'running', 'queued']) AS s (state)
""",
    """
INSERT INTO ops.run_logs (run_id, at, level, event, fields)
SELECT r.id, r.started_at + n * interval '10 ms', CASE WHEN n % 7 = 0 THEN 'warning' ELSE 'info' END,
       'batch ' || n || ' is settled', jsonb_build_object('rows', n * 3, 'requests', n)
  FROM (SELECT id, started_at, state FROM ops.runs WHERE started_at IS NOT NULL ORDER BY id DESC LIMIT 20000) AS r
 CROSS JOIN LATERAL generate_series(1, CASE WHEN r.state = 'failed' THEN 300 ELSE 8 END) AS n
""",
    """
INSERT INTO ops.workers (id, host, pid, version, concurrency, started_at, beat_at, scheduler_at, stopped_at, skew_ms,
                         memory_bytes, load_1m, cores)
SELECT gen_random_uuid(), 'host-' || n % 3 + 1, 1000 + n, '0.1.0', 4, now() - n * interval '1 day',
       now() - greatest(0, n - 3) * interval '1 day', now() - greatest(0, n - 3) * interval '1 day',
       CASE WHEN n > 3 THEN now() - (n - 3) * interval '1 day' END, 2.5, 130000000, 0.7, 4
  FROM generate_series(1, 3 + CAST(:days AS integer)) AS n
""",
)

HORIZON = (
    """
INSERT INTO ops.horizon_servers (server, highest_ledger) SELECT server, 50000000 FROM unnest(CAST(:servers AS text[])) AS s (server)
ON CONFLICT DO NOTHING
""",
    """
INSERT INTO ops.horizon_samples (server, at, verdict, latency_ms, age_s, lag, latest_ledger, closed_at, elder_ledger,
                                 core_ledger, ingest_ledger, passphrase, protocol, supported_protocol, horizon_version,
                                 database_connected, core_up, core_synced, capacity_usage, fee_p50, fee_p95, max_fee_p95)
SELECT server, at, 'ok', 20 + random() * 90, random() * 6, 0, ledger, at - interval '3 s', ledger - 100000, ledger, ledger,
       :passphrase, 23, 23, '2.32.0', true, true, true, 0.1 + random() * 0.5, 100, 300, 4000
  FROM unnest(CAST(:servers AS text[])) AS s (server)
 CROSS JOIN LATERAL (SELECT at, 50000000 - (extract(epoch FROM CAST(:now AS timestamptz) - at) / 5)::bigint AS ledger
                       FROM generate_series(CAST(:now AS timestamptz) - least(interval '48 hours', make_interval(days => :days)),
                                            CAST(:now AS timestamptz), interval '15 s') AS at) AS t
""",
    """
INSERT INTO ops.horizon_requests (minute, server, endpoint, job, outcome, count, total_ms, buckets)
SELECT minute, server, endpoint, job, outcome, 6, 300, ARRAY[0, 0, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0]
  FROM generate_series(date_trunc('minute', CAST(:now AS timestamptz)) - make_interval(days => least(30, :days)),
                       CAST(:now AS timestamptz), interval '1 minute') AS minute
 CROSS JOIN unnest(CAST(:servers AS text[])) AS s (server)
 CROSS JOIN (VALUES ('root', 'probe-horizon', 'ok'), ('fee_stats', 'probe-horizon', 'ok'),
                    ('transaction', 'reconcile-pending', 'ok'), ('transactions', 'reconcile-pending', 'ok'),
                    ('transaction', 'reconcile-pending', 'absent'), ('transaction', 'retry-failed', 'rate_limited'))
                 AS e (endpoint, job, outcome)
""",
)

_METRICS = """
    SELECT 'host-' || n AS subject, metric FROM generate_series(1, 3) AS n CROSS JOIN unnest(ARRAY[
           'host.cpu_ratio', 'host.load_per_cpu', 'host.memory_used_ratio', 'host.memory_available_bytes', 'host.swap_used_bytes',
           'host.disk_free_bytes', 'host.disk_used_ratio', 'host.disk_read_bytes_per_s', 'host.disk_write_bytes_per_s',
           'host.disk_full_days', 'worker.memory_bytes', 'worker.cpu_ratio']) AS m (metric)
    UNION ALL
    SELECT 'database', 'database.' || metric FROM unnest(ARRAY[
           'size_bytes', 'locks_waiting', 'connections', 'connections_ratio', 'oldest_transaction_s', 'dead_rows', 'dead_ratio',
           'blocks_hit', 'blocks_read', 'transactions', 'deadlocks', 'cache_hit_ratio', 'growth_bytes_per_day', 'connect_ms'])
           AS m (metric)
    UNION ALL
    SELECT server, 'horizon.' || metric FROM unnest(CAST(:servers AS text[])) AS s (server)
     CROSS JOIN unnest(ARRAY['latency_ms', 'age_s', 'lag_ledgers', 'capacity_ratio']) AS m (metric)
"""
# A day's wave, as large as its unit wants it.
_VALUE = """
    CASE WHEN s.metric LIKE '%ratio' THEN 0.5 WHEN s.metric LIKE '%bytes%' THEN 5e10 ELSE 40 END
    * (1 + 0.6 * sin(extract(epoch FROM at)::float8 / 13750 + s.id) + 0.1 * random())
"""


def _rollup(span: str, days: str) -> str:
    return f"""
INSERT INTO ops.rollups (span, series, at, n, total, least, most)
SELECT '{span}', series, at, 30, 30 * value, 0.8 * value, 1.2 * value
  FROM (SELECT s.id AS series, at, {_VALUE} AS value FROM ops.series s CROSS JOIN generate_series(
               date_trunc('{span}', CAST(:now AS timestamptz), 'UTC') - make_interval(days => {days}), CAST(:now AS timestamptz),
               interval '1 {span}') AS at) AS v
"""  # noqa: S608 - constants, here and below


SAMPLES = (
    f"INSERT INTO ops.series (subject, metric) {_METRICS} ON CONFLICT DO NOTHING",
    f"""
INSERT INTO ops.samples (series, at, value)
SELECT s.id, at, {_VALUE} FROM ops.series s CROSS JOIN generate_series(
       CAST(:now AS timestamptz) - least(interval '48 hours', make_interval(days => :days)), CAST(:now AS timestamptz),
       interval '30 s') AS at WHERE s.metric NOT LIKE 'horizon.%'
""",  # noqa: S608
    _rollup("minute", "least(30, CAST(:days AS integer))"),
    _rollup("hour", "CAST(:days AS integer)"),
    _rollup("day", "CAST(:days AS integer)"),
)

# The shipped rules are there already, or twelve of ours.
ALERTS = (
    """
INSERT INTO ops.alert_rules (name, title, signal, comparison, threshold, severity, steps, changed_by)
SELECT 'bench-' || n, 'Rule ' || n, 'bench.signal_' || n, '>', n, CASE WHEN n % 3 = 0 THEN 'critical' ELSE 'warn' END,
       '[{"after_s": 0, "to": "team"}]', 'system' FROM generate_series(1, 12) AS n
 WHERE NOT EXISTS (SELECT FROM ops.alert_rules)
""",
    """
INSERT INTO ops.alert_readings (signal, subject, at, value)
SELECT signal, 'subject-' || n, at, 10 * random()
  FROM (SELECT DISTINCT signal FROM ops.alert_rules) AS r CROSS JOIN generate_series(1, 4) AS n
 CROSS JOIN generate_series(CAST(:now AS timestamptz) - make_interval(days => least(30, :days)), CAST(:now AS timestamptz),
                            interval '10 minutes') AS at
ON CONFLICT DO NOTHING
""",
    """
INSERT INTO ops.alert_watches (began_at, until)
SELECT at, at + interval '23 hours' FROM generate_series(CAST(:now AS timestamptz) - make_interval(days => :days),
                                                         CAST(:now AS timestamptz), interval '1 day') AS at
""",
    # Sixty a day have ended; each rule fires for one subject, and some are in somebody's hands.
    """
INSERT INTO ops.alerts (rule, signal, subject, state, severity, value, sentence, link, began_at, fired_at, seen_at,
                        resolved_at, resolution, acknowledged_at, acknowledged_by, told_at, told_resolved)
SELECT r.name, r.signal, 'subject-' || n % 4 + 1, CASE WHEN n <= r.rules THEN 'firing' ELSE 'resolved' END, r.severity, 12,
       r.title || ' reads 12, more than 10.', '/runs', at, at + interval '1 minute', at + interval '20 minutes',
       CASE WHEN n > r.rules THEN at + interval '20 minutes' END, CASE WHEN n > r.rules THEN 'recovered' END,
       CASE WHEN n % 3 = 0 THEN at + interval '3 minutes' END, CASE WHEN n % 3 = 0 THEN 'person1@nexafx.test' END,
       at + interval '1 minute', true
  FROM (SELECT *, CAST(:now AS timestamptz) - n * interval '24 minutes' AS at FROM generate_series(1, 60 * CAST(:days AS integer)) AS n) AS a
  JOIN (SELECT *, row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS rules FROM ops.alert_rules) AS r
    ON r.place = 1 + a.n % r.rules
 ORDER BY at
""",
    """
INSERT INTO ops.silences (kind, title, starts_at, ends_at, reason, created_by)
SELECT CASE WHEN n % 2 = 0 THEN 'silence' ELSE 'maintenance' END, 'Window ' || n, now() - n * interval '1 day',
       now() - n * interval '1 day' + interval '3 hours', 'the volume is being moved', 'person1@nexafx.test'
  FROM generate_series(0, CAST(:days AS integer)) AS n
""",
    """
INSERT INTO ops.incidents (title, severity, opened_at, began_at, opened_by, lead, resolved_at, resolved_by, resolution)
SELECT 'Horizon is behind, number ' || n, 'critical', at, at - interval '5 minutes', 'person1@nexafx.test',
       'person2@nexafx.test', CASE WHEN n > 0 THEN at + interval '2 hours' END,
       CASE WHEN n > 0 THEN 'person2@nexafx.test' END, CASE WHEN n > 0 THEN 'It came back by itself.' END
  FROM (SELECT n, now() - interval '1 hour' - n * interval '2 days' AS at
          FROM generate_series(CAST(:days AS integer) / 2, 0, -1) AS n) AS i
""",
    """
INSERT INTO ops.incident_entries (incident_id, at, author, kind, body)
SELECT id, opened_at + n * interval '4 minutes', 'person' || n % 3 || '@nexafx.test',
       CASE WHEN n = 9 THEN 'handover' ELSE 'note' END, 'The second server answers; look ' || n || ' found nothing new.'
  FROM ops.incidents CROSS JOIN generate_series(1, 12) AS n ORDER BY id, n
""",
    """
INSERT INTO ops.incident_alerts (incident_id, alert_id, added_by)
SELECT i.id, a.id, 'person1@nexafx.test' FROM ops.incidents i CROSS JOIN LATERAL (
       SELECT id FROM ops.alerts WHERE fired_at BETWEEN i.opened_at AND i.opened_at + interval '2 hours' ORDER BY fired_at LIMIT 4) AS a
ON CONFLICT DO NOTHING
""",
    """
INSERT INTO ops.rotas (name, place, zone, starts_on, handover, turn_days, people, changed_by)
SELECT name, place, 'Europe/Berlin', date '2026-01-05', time '09:00', 7, ARRAY['person1@nexafx.test', 'person2@nexafx.test'],
       'system' FROM (VALUES ('primary', 1), ('secondary', 2)) AS r (name, place) ON CONFLICT DO NOTHING
""",
    """
INSERT INTO ops.notices (key, channel, title, body, state, created_at, created_by, attempts, ended_at)
SELECT 'bench ' || n, 'mail to the team', 'Rule ' || n % 12 || ' fires', 'It reads 12.', 'delivered',
       now() - n * interval '24 minutes', 'system', 1, now() - n * interval '24 minutes'
  FROM generate_series(60 * CAST(:days AS integer), 1, -1) AS n
""",
)

# Copies of one run that was begun by the product's own command: one a day has ended, twelve are in hand.
CHECKLISTS = (
    """
INSERT INTO ops.checklist_runs (template_id, template_version, title, kind, definition, fields, state, started_at,
                                started_by, closed_at, closed_by, lead, due_at)
SELECT template_id, template_version, title, kind, definition, fields, CASE WHEN n > 12 THEN 'done' ELSE 'open' END,
       now() - n * interval '1 day', started_by, CASE WHEN n > 12 THEN now() - n * interval '1 day' + interval '4 hours' END,
       CASE WHEN n > 12 THEN started_by END, lead, now() + interval '1 day'
  FROM ops.checklist_runs CROSS JOIN generate_series(12 + CAST(:days AS integer), 1, -1) AS n WHERE id = :checklist
""",
    """
INSERT INTO ops.checklist_items (run_id, item_id, position, state, version, changed_at, changed_by)
SELECT r.id, i.item_id, i.position, CASE WHEN r.state = 'done' OR i.position % 3 > 0 THEN 'done' ELSE 'open' END, 2,
       r.started_at + i.position * interval '2 minutes', r.started_by
  FROM ops.checklist_runs r JOIN ops.checklist_items i ON i.run_id = :checklist
 WHERE r.id <> :checklist
""",
    """
UPDATE ops.checklist_items SET state = 'done', version = 2, changed_at = now(), changed_by = 'person1@nexafx.test'
 WHERE run_id = :checklist AND position % 3 > 0
""",
    """
INSERT INTO ops.checklist_events (run_id, item_id, at, actor, kind, old, new)
SELECT run_id, item_id, changed_at, changed_by, 'ticked', 'open', 'done' FROM ops.checklist_items WHERE state = 'done'
 ORDER BY changed_at
""",
)
