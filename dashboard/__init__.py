"""The dashboard: the top floor; it reads, asks for runs, and never does a job's work itself."""
