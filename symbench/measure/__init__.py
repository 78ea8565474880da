"""Floor 4: a suite, its plan, training, evaluating, and the store. The only floor that runs a model."""
