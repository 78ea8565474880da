"""What a cell's key says of a dataset's rule of which elements keep a label."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from symbench.algebra.fields import Category, Classes
from symbench.base.code import foreign
from symbench.base.errors import DataError
from symbench.base.identity import dependencies
from symbench.domains.common.datasets.base import Dataset, Valid
from symbench.domains.common.datasets.wrappers import Every
from symbench.measure.assemble.symmetry import Prepared
from symbench.measure.store import content_key

ASKED = 64
"""Elements that a rule of valid labels is asked about where there are too many to ask about all."""


def validity_document(name: str, dataset: Dataset, prepared: Prepared) -> Any:
    """What a cell's key says of a dataset's rule of valid labels; None where it has no rule.

    The digest of its answers for every label and element, whatever they are taken from. Where every sample has its
    own elements, these are too many to ask for: see :func:`rule_document`.

    Raises:
        DataError: the rule raised.
    """
    rule, shared, labels = dataset.valid, prepared.elements.shared, _labels(dataset)
    if rule is None or shared is None or labels is None:
        return rule_document(name, dataset, prepared)
    return _answers(rule, name, labels, prepared.group.parameters(shared))


def rule_document(name: str, dataset: Dataset, prepared: Prepared) -> Any:
    """What is said of a rule of valid labels where any element may be met; None where there is no rule.

    The code that it stands in, and its answers for some elements that are drawn under a fixed seed.

    Raises:
        DataError: the rule raised.
    """
    rule, labels = dataset.valid, _labels(dataset)
    if rule is None:
        return None
    drawn = prepared.group.sample(ASKED, generator=torch.Generator().manual_seed(0))
    answers = _answers(rule, name, labels or (), prepared.group.parameters(drawn))
    return {"code": dependencies(_modules_of(rule)).document(), "answers": answers}


def _labels(dataset: Dataset) -> Sequence[int] | None:
    """The class labels that there are; None where that is not known."""
    for field in dataset.targets.values():
        count = field.classes if isinstance(field, (Category, Classes)) else getattr(field, "labels", None)
        if count is not None:
            return range(count)
    return dataset.occurring


def _answers(rule: Valid, name: str, labels: Sequence[int], elements: Sequence[Mapping[str, float]]) -> str:
    with foreign(DataError, name, "asking which elements keep a label (valid)"):
        return content_key([[label, [bool(rule(label, each)) for each in elements]] for label in labels])


def _modules_of(rule: Valid) -> Iterator[str]:
    """The modules that a rule stands in, and those that it only passes on to."""
    if isinstance(rule, Every):
        for each in rule.rules:
            yield from _modules_of(each)
    elif isinstance(rule, functools.partial):
        yield from _modules_of(rule.func)
    else:
        yield getattr(rule, "__module__", None) or type(rule).__module__
