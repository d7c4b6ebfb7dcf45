"""Engines that keep rows."""
