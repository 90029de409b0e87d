"""Tests: unit (pure), db (PostgreSQL and HTTP), ui (pages), e2e (a browser)."""
