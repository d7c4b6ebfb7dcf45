"""Monitoring's tables: one file for each kind of thing that is kept."""
