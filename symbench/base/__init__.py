"""Floor 1: errors, progress, names to things, records, and what a result depends on. Knows no torch."""
