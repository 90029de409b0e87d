"""Who: runs, attempts, logs, and the queue that spreads them over workers."""
