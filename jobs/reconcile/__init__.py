"""Reconciliation: when a transaction may change state, and the one statement that changes it."""
