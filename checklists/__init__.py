"""Checklists: definitions in YAML, runs of them in the database, and who ticked what when."""
