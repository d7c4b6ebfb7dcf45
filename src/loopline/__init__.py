"""Loopline carries a model from idea to production and round again, on one ledger."""
