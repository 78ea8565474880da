"""Domains: what only images, only sets or only graphs know, a folder each.

To add one: make a folder here. Its ``__init__.py`` holds dictionaries of rows under the names of the tables
(``GROUPS``, ``ACTIONS``, ``PLACES``, ``DATASETS``, ``MODELS``, ``ADAPTERS``, ``METRICS``, ``CONTROLS``, ``FIGURES``
and more) and imports no torch; nothing outside of it changes.
"""
