"""Engines: they run planned work somewhere."""
