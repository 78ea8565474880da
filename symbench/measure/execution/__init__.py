"""Carrying out a plan, wherever that is done: what is measured already, which samples are needed, a model's cells.

Engines decide only where this runs and in which order.
"""
