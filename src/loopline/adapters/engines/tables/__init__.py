"""The engine `tables`: a model as a few operations on flat arrays, in numpy alone."""

from __future__ import annotations

from loopline.adapters.engines.tables.engine import Tables

__all__ = ["Tables"]
