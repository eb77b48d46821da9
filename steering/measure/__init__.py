"""Measurements over a session: each asks one question of rows that were written."""
