"""Keeping house: what is deleted when it has served its time."""
