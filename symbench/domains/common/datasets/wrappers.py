"""What a dataset says of its classes, from behind ``Subset``, ``random_split``, ``ConcatDataset`` and the like."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Subset

from symbench.domains.common.datasets.base import Valid

DEEPEST = 16
"""Wrappers around one another that are followed."""


@dataclass(frozen=True)
class Declared:
    """What a dataset says of its classes.

    Attributes:
        classes: the names of its classes.
        valid: which elements keep a label.
        remarks: what people should be told of where that was found, or why it was not.
    """

    classes: Sequence[str] | None = None
    valid: Valid | None = None
    remarks: tuple[str, ...] = ()


def declared(source: Any, depth: int = 0) -> Declared:
    """What an object declares itself, or else what it wraps: ``.dataset``, or the parts of a ``ConcatDataset``.

    A list ``classes`` holds names; a method ``valid(label, element)`` says which elements keep a label.
    """
    own = Declared(_names(getattr(source, "classes", None)), _rule(getattr(source, "valid", None)))
    if (own.classes and own.valid) or depth > DEEPEST:
        return own
    if isinstance(source, ConcatDataset):
        inner = _in_common([declared(part, depth + 1) for part in source.datasets])
    elif getattr(source, "dataset", None) is not None:
        inner = _followed(source, declared(source.dataset, depth + 1))
    else:
        return own
    both = replace(inner, classes=own.classes or inner.classes, valid=own.valid or inner.valid)
    return replace(both, remarks=()) if own.classes else both


def _followed(source: Any, inner: Declared) -> Declared:
    """What is declared behind a wrapper, with a remark where that is a user's own: it may change the labels."""
    if inner.classes is None or isinstance(source, Subset):
        return inner
    said = (
        f"the classes' names are those of the {type(source.dataset).__name__} behind {type(source).__name__}.dataset"
    )
    return replace(inner, remarks=(*inner.remarks, said))


def _in_common(parts: Sequence[Declared]) -> Declared:
    """What several parts declare together: the classes if all have the same, and every rule."""
    names = {tuple(part.classes or ()) for part in parts}
    rules = [part.valid for part in parts if part.valid is not None]
    remarks = tuple(dict.fromkeys(remark for part in parts for remark in part.remarks))
    if len(names) > 1:
        remarks = (*remarks, "its parts have other classes, so none of their names are taken")
    classes = parts[0].classes if len(names) == 1 else None
    return Declared(classes, Every(rules) if len(rules) > 1 else next(iter(rules), None), remarks)


@dataclass(frozen=True)
class Every:
    """The rule for a concatenation: a label survives an element where every part's own rule says so."""

    rules: Sequence[Valid]

    def __call__(self, label: int, element: Mapping[str, float]) -> bool:
        """See ``Dataset.valid``."""
        return all(rule(label, element) for rule in self.rules)


def _names(own: Any) -> Sequence[str] | None:
    """Names of classes, one for each: of several, as ImageNet has them in torchvision, ``tench, Tinca tinca``."""
    values = own.tolist() if isinstance(own, np.ndarray) else own
    if not isinstance(values, (list, tuple)) or not values:
        return None
    names = [", ".join(map(str, each)) if isinstance(each, (list, tuple)) and each else each for each in values]
    return names if all(isinstance(name, str) for name in names) else None


def _rule(own: Any) -> Valid | None:
    """The method ``valid`` if it takes a label and an element; None for anything else of this name."""
    if not is_rule(own):
        return None
    rule: Valid = own
    return rule


def is_rule(own: Any) -> bool:
    """Whether a method asks for two arguments, as ``valid(label, element)``: others call a split or a check so."""
    try:
        parameters = inspect.signature(own).parameters.values() if callable(own) else ()
    except (TypeError, ValueError):  # of something that is built in
        return False
    asked = [p for p in parameters if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return len(asked) == 2 and not any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
