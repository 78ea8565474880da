"""What a model costs: facts that no symmetry changes."""

from __future__ import annotations

from symbench.metrics.base import Observed, Value


def parameters(seen: Observed) -> list[Value]:
    """How many numbers the model has that can be trained."""
    return [_fact(seen, "parameters", "not counted")]


def flops(seen: Observed) -> list[Value]:
    """Floating-point operations of one sample's forward pass (torch's counter; a multiply-add is two)."""
    return [_fact(seen, "flops", "the model uses no operation that torch can count")]


def seconds_per_sample(seen: Observed) -> list[Value]:
    """Median over batches of a synchronised forward pass, divided by the batch's size."""
    return [_fact(seen, "seconds_per_sample", "not timed")]


def training_seconds(seen: Observed) -> list[Value]:
    """Seconds that training took, on whatever machine did it."""
    return [_fact(seen, "training_seconds", "not trained here")]


def _fact(seen: Observed, name: str, otherwise: str) -> Value:
    value = seen.facts.get(name)
    return Value(value) if value is not None else Value(None, reason=otherwise)
