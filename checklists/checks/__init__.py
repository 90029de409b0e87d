"""Checks: each looks at the real thing and says whether a line of a checklist holds."""
