"""Checklists in and out of other formats: Markdown both ways, CSV, JSON, PDF and the evidence pack."""
