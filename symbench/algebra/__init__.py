"""Floor 2: fields, groups, actions, comparisons, statistics and metrics."""
