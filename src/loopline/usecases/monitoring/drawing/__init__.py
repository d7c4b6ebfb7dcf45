"""Drawings made on the server: geometry in plain numbers, which templates turn into SVG without a script."""
