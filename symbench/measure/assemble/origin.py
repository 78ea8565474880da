"""Where a model's numbers come from: its code, what that read, its weights, and what it holds beside them."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from symbench.base.code import foreign
from symbench.base.errors import ModelError, Problem
from symbench.base.identity import Reads, dependencies, read_by_imports
from symbench.base.identity.values import attributes_digest
from symbench.measure.assemble.model import is_foreign, row_of
from symbench.measure.suite import Suite, code_of

TRAINING_SOURCES = (
    *(
        f"symbench.measure.training.{part}"
        for part in (
            "augment",
            "batches",
            "course",
            "least_squares",
            "loop",
            "optimiser",
            "partial",
            "record",
            "self_supervised",
            "setting",
            "soften",
            "stack",
            "steps",
            "subsets",
            "together",
        )
    ),
    "symbench.measure.objective",
    "symbench.domains.common.datasets.reading",
    *(
        f"symbench.measure.tasks.{kind}"
        for kind in ("scored", "classification", "binary", "multi_label", "regression")
    ),
)
"""Our modules that are part of a recipe, beside the model's own; the data has its own digest."""
ALWAYS = ("torch",)
"""Packages that every model depends on."""


def origin_document(suite: Suite, name: str, module: nn.Module, reads: Reads) -> dict[str, Any]:
    """Everything that can change what a module computes, beside its name, options and the files that the suite names.

    The code that it may run, by module or by release; and of code that is not ours also what that read while it built
    the module, its weights, and what it holds beside them. What cannot be known is never cached.

    Args:
        suite: the suite.
        name: the model's.
        module: just built, with its weights.
        reads: what was read meanwhile.

    Raises:
        ModelError: its state cannot be read.
    """
    entry, row = suite.models[name], row_of(suite.models[name])
    code = code_of(entry, suite, "")
    start = [row.module if row else code.loaded() if code else "", *ALWAYS]
    start += [row.library] if row and row.library else []
    start += TRAINING_SOURCES if entry.train else ()
    start += dict.fromkeys(type(part).__module__ for part in module.modules())
    with foreign(ModelError, name, "looking for its code"):
        found = dependencies(start)
        document = found.document()
        if is_foreign(entry):
            document["state"] = state_digest(module, name)
        if row is None or not row.ours or row.complete:
            reads.add(read_by_imports(iter(found.files)))
            document |= {**reads.document(suite.folder), "attributes": attributes_digest(module, suite.folder)}
    return {**document, "never cached": str(uuid.uuid4())} if found.unknown else document


def state_digest(module: nn.Module, name: str) -> str:
    """SHA-256 of a module's state dict: what its own code made or loaded.

    Raises:
        ModelError: the state cannot be read.
    """
    digest = hashlib.sha256()
    with foreign(ModelError, name, "reading its state"):
        for key, value in sorted(module.state_dict().items()):
            if is_lazy(value):
                got, remedy = f"{key} has no shape yet", "Call the model on one input before it is returned."
                raise ModelError(Problem(name, got, "a model whose weights are made", remedy))
            if not isinstance(value, torch.Tensor):
                digest.update(f"{key} {value!r}\0".encode())
                continue
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
