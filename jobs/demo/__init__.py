"""The demo: a sandbox Horizon, people who deposit and withdraw, and a day of history, in a database of its own."""
