"""From a copy of a model to what runs it faster, and what devices have for that."""

from __future__ import annotations

import torch
from torch import nn

from symbench.domains.common.models.running import Habits
from symbench.measure.faster.flow import Flow
from symbench.measure.faster.fold import NORMS, fold_norms, pack, put
from symbench.measure.faster.runner import Runner, Unrounded, Way

PIECE = 24 << 20
"""Bytes that the largest map of a piece may take on the CPU: malloc fetches anew from the system what takes more than
32 MiB, page by page at every layer, and much of less is in the cache when the next layer reads it."""
LAID_OUT = (nn.Conv2d, nn.ConvTranspose2d)


def half_of(device: str) -> torch.dtype | None:
    """Half precision that a device computes in quickly: bfloat16, or float16 where it has none; None for neither."""
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.startswith("mps"):
        return torch.float16
    # without these instructions a CPU widens every number first, which takes longer than float32 itself
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return torch.bfloat16 if any(getattr(torch.cpu, name, bool)() for name in known) else None


def runner_of(copy: nn.Module, way: Way, flow: Flow, *, device: str, habits: Habits) -> Runner | None:
    """What runs a model the given way; None where there is nothing in it that would run faster.

    Args:
        copy: of the module, which is changed in place; in evaluation mode, on the device.
        way: how.
        flow: of one of the copy's passes.
        device: where.
        habits: of the model.
    """
    did = _merge(copy, flow) if way.merged else []
    if way.half is None and not did:
        return None
    if way.half is not None:
        _halve(copy, way.half, flow)
    largest = flow.largest * (1 if way.half is None else way.half.itemsize / torch.float32.itemsize)
    if device == "cpu" and way.merged and not habits.differentiates and torch.backends.mkldnn.is_available():
        did += ["weights packed"] * bool(pack(copy, flow))
    piece = max(1, int(PIECE / max(largest, 1))) if device == "cpu" else None
    return Runner(copy, way, piece, habits, did)


def _merge(copy: nn.Module, flow: Flow) -> list[str]:
    """Fold norms and put channels last; what was done, in words."""
    folded = fold_norms(copy, flow)
    laid_out = [part for part in copy.modules() if type(part) in LAID_OUT]
    for part in laid_out:
        part.to(memory_format=torch.channels_last)
    return ["batch norms folded"] * bool(folded) + ["channels last"] * bool(laid_out)


def _halve(copy: nn.Module, half: torch.dtype, flow: Flow) -> None:
    """Convert a module, but for what costs nothing to keep: norms that were not folded, and the last linear layer."""
    copy.to(half)
    for part in copy.modules():
        if type(part) in NORMS:
            part.float()
    for part in flow.ends:
        if type(part) is nn.Linear and flow.calls[part] == 1:
            put(copy, {part: Unrounded(part)})
