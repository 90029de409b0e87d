"""What others watch the desk with: a Grafana dashboard and Prometheus's alert rules, as files to be imported there.

The rules say what the desk cannot say of itself, that it is gone or that nobody evaluates its own alerts, and what
must not depend on it alone.
"""
