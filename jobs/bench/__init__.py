"""Benchmarks: what the README says about speed, measured by the command that is printed beside it."""
