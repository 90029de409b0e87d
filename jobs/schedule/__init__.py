"""When: the schedules table, its slots and what becomes of the missed ones."""
