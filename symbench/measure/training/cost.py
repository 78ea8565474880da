"""What a training costs beside its time: floating-point operations and memory."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.base.errors import SymbenchError
from symbench.domains.common.models.operations import operations
from symbench.measure.objective import Objective

BACKWARD = 2
"""Forward passes that a backward pass counts as."""
NO_PEAK = "torch keeps no peak of this device's memory"


def flops_of(
    objective: Objective, leaves: dict[str, Tensor], shown: int, *, passes: int
) -> tuple[float | None, str | None]:
    """Floating-point operations of a training (a multiply-add is two), and what is to be said of the count.

    By the usual convention a step is three forward passes of its samples: one forward, and a backward pass that
    multiplies twice as much, for the gradients of activations and of weights. A second view and softening run the
    model on moved samples too, forwards and backwards. Validation, the optimiser's own arithmetic and the moving of
    samples are left out.

    Args:
        objective: runs the model.
        leaves: of some samples, whose forward pass is counted.
        shown: how many samples were shown, each as often as it was.
        passes: forward passes that a step takes of its samples.
    """
    count = len(next(iter(leaves.values())))
    module = objective.model.module.eval()
    try:
        with torch.no_grad():
            counted, names = operations(module, lambda: objective.returned(leaves))
    except (SymbenchError, RuntimeError, TypeError, ValueError) as error:
        return None, f"not counted: {str(error).splitlines()[0]}"
    if not counted:
        return None, "the model uses no operation that torch can count"
    said = f"without {', '.join(names)}, which torch cannot count" if names else None
    return (1 + BACKWARD) * passes * counted / count * shown, said


def begin_peak(device: str) -> None:
    """Forget what the device's memory held at most up to now."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def peak_of(device: str, before: int | None, shared: int = 1) -> int | None:
    """Bytes that torch held at most on the device since then, or before; None where torch keeps no count of it.

    Args:
        device: where.
        before: bytes that were held before.
        shared: trainings that were under way at once, of which each is charged with its part.
    """
    if not device.startswith("cuda"):
        return None
    return max(before or 0, torch.cuda.max_memory_allocated(device) // shared)
