"""Loopline behind the stock MLflow client: its plug-in entry points."""
