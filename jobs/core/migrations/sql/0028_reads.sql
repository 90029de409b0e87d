-- What pages read of millions of runs.

-- "The newest runs of a job" has two ways: the index (job, id), or the primary key backwards until there are enough. Where the
-- planner does not know which job (one row of a lateral join, a prepared statement), it takes the average one, of a hundred
-- thousand runs, and goes backwards: of a job that runs once a month that is through the whole table. Told that a job has few
-- runs, it takes the index; of jobs that it does know the name it keeps the frequencies. The same for states.
ALTER TABLE ops.runs ALTER COLUMN job SET (n_distinct = -0.01), ALTER COLUMN state SET (n_distinct = -0.01);
ANALYZE ops.runs (job, state);
