"""Training the reference models: a recipe in, a checkpoint in the cache out. Not a training framework.

``checkpoints`` is what others ask: it has a model's weights, or trains it. ``loop`` trains it, alone or with other
replicas: ``course`` goes step by step through what ``subsets``, ``batches`` and ``augment`` show, ``together`` and
``stack`` make one step of many, and ``partial`` keeps what a training that was stopped goes on from.
"""
