"""A small plug-in: one group, one dataset, one model, one metric."""
