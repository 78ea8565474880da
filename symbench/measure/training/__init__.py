"""Training the reference models: a recipe in, a checkpoint in the cache out. Not a training framework.

``checkpoints`` is what others ask: it has a model's weights, or trains it. ``loop`` trains, step by step, on what
``subsets``, ``batches`` and ``augment`` show it; ``partial`` keeps what a training that was stopped goes on from.
"""
