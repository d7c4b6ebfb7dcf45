"""Values between steps: each written in a form whose bytes are the same whenever the value is."""

from __future__ import annotations
