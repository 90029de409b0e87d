"""Figures for Prometheus, under names and units that stay: seconds, bytes, ratios of one, timestamps.

Each file has a collector or some, which read one side of the desk; `page` puts them together when Prometheus asks.
"""
