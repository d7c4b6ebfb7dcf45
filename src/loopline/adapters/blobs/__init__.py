"""Engines that keep bytes by the digest of their content."""
