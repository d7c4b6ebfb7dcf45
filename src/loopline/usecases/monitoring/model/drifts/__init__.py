"""Drift: statistics of columns, what of them is normal, and the report. `reports` has the types, without numpy."""
