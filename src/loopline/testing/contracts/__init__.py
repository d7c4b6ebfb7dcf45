"""Suites that every engine behind a port must pass; shipped, so that a third party proves its own with them."""

from __future__ import annotations
