"""What a model costs: facts that no symmetry changes."""

from __future__ import annotations

from dataclasses import replace

from symbench.algebra.metrics.base import Context, Value
from symbench.algebra.metrics.passes import MEBI


def parameters(seen: Context) -> list[Value]:
    """How many numbers the model's weights are, trainable or frozen; those that are shared count once."""
    return [_fact(seen, "parameters", "not counted")]


def trainable_parameters(seen: Context) -> list[Value]:
    """How many of them training would change: those that ask for gradients."""
    return [_fact(seen, "trainable_parameters", "not counted")]


def buffers(seen: Context) -> list[Value]:
    """How many numbers the model holds beside its weights, such as running means."""
    return [_fact(seen, "buffers", "not counted")]


def flops(seen: Context) -> list[Value]:
    """Floating-point operations of one sample's forward pass (torch's counter; a multiply-add is two).

    The mean over some samples. The reason says where they differ, and names operators that could not be counted.
    """
    return [_fact(seen, "flops", "the model uses no operation that torch can count")]


def seconds_per_sample(seen: Context) -> list[Value]:
    """Median over full batches of a warm, synchronised forward pass, divided by the batch's size."""
    value = _fact(seen, "seconds_per_sample", "not timed")
    low, high = (seen.facts.get(f"seconds_{end}") for end in ("low", "high"))
    spread = (low, high) if low is not None and high is not None else None
    passes, batch = (seen.facts.get(f"timed_{name}") for name in ("passes", "batch"))
    if value.estimate is None or passes is None:
        return [replace(value, spread=spread)]
    of = "one pass" if passes == 1 else f"the median of {passes:.0f} passes"
    return [replace(value, spread=spread, reason=f"{of} of {batch:.0f} samples")]


def training_seconds(seen: Context) -> list[Value]:
    """Seconds that training took, on whatever machine did it."""
    return [_fact(seen, "training_seconds", "not trained here")]


def training_samples(seen: Context) -> list[Value]:
    """How many different samples the model learnt from."""
    return [_fact(seen, "training_samples", "not trained here")]


def training_steps(seen: Context) -> list[Value]:
    """Steps of the optimiser."""
    return [_fact(seen, "training_steps", "not trained here")]


def training_flops(seen: Context) -> list[Value]:
    """Floating-point operations of training: three forward passes of every sample, as often as it was shown."""
    return [_fact(seen, "training_flops", "not trained here, or not counted")]


def training_steps_to_target(seen: Context) -> list[Value]:
    """Steps of the optimiser until the validation accuracy had come to the recipe's ``target``."""
    return [_fact(seen, "training_steps_to_target", "not trained here, no target, or it was not reached")]


def training_rate(seen: Context) -> list[Value]:
    """Samples that training showed in a second, on whatever machine did it."""
    return [_fact(seen, "training_rate", "not trained here")]


def training_peak_memory(seen: Context) -> list[Value]:
    """MiB that training held at most; known on a GPU alone."""
    value = _fact(seen, "training_peak_memory", "not trained here, or not on a GPU")
    return [value if value.estimate is None else replace(value, estimate=value.estimate / MEBI)]


def _fact(seen: Context, name: str, otherwise: str) -> Value:
    value = seen.facts.get(name)
    return Value(value, reason=seen.remarks.get(name, otherwise if value is None else None))
