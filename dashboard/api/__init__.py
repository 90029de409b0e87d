"""The HTTP API under /api/v1: what the pages and the command line do, for programs with a token."""
