"""What the labels of users' data are: a class, a number or several, 0 or 1 for each of several labels, or none.

The first samples do not tell: 0.0 and 1.0 are two classes, until 0.7 comes. So every label is looked at where the
first leaves it open, and what was found holds for the whole dataset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.fields import Category, Field, MultiLabel, Scalar
from symbench.base.errors import ConfigError, DataError, Problem

EXPECTED = "a class index, a number, an array of numbers, or 0 or 1 for each of several labels; None for no label"
Kind = Literal["none", "class", "yes or no", "number", "numbers", "each label", "several classes"]
"""``yes or no``: floats of 0 and 1; ``each label``: arrays of 0 and 1; ``several classes``: lists of indices."""
WORDS: dict[Kind, str] = {
    "class": "a class index",
    "yes or no": "0 or 1",
    "number": "a number",
    "numbers": "several numbers",
    "each label": "0 and 1 for several labels",
    "several classes": "a list of class indices",
}


@dataclass(frozen=True)
class LabelReader:
    """How the labels of a dataset are turned into tensors, all in the same way.

    Attributes:
        kind: what each of them is.
        size: how many numbers or labels each sample has, where it has several.
    """

    kind: Kind
    size: int = 0

    @property
    def field(self) -> Field | None:
        """The target's field; None where there are no labels."""
        if self.kind in {"each label", "several classes"}:
            return MultiLabel(self.size)
        if self.kind in {"number", "numbers"}:
            return Scalar()
        return {"class": Category(), "yes or no": Category(2)}.get(self.kind)

    def read(self, value: Any, where: str) -> Any:
        """One label as what goes into a tensor: an int, a float, or a list.

        Raises:
            DataError: it is of another kind than the others.
        """
        if self.kind == "none":
            if value is not None:
                raise DataError(Problem(where, f"has label {shown(value)}", "no label, as the samples before"))
            return -1
        if value is None:
            raise DataError(Problem(where, "has no label", self._expected()))
        array = _array(value, where)
        kind = _kind(value, array, where)
        if self.kind == "class" and array.size == 1 and kind != "yes or no" and kind != "number":
            return _index(array, where)
        if self.kind == "yes or no" and kind in {"yes or no", "class"} and set(array.flat) <= {0, 1}:
            return int(array.reshape(-1)[0])
        if self.kind == "number" and kind in {"yes or no", "number", "class"}:
            return float(array.reshape(-1)[0])
        if self.kind in {"numbers", "each label"} and array.shape == (self.size,):
            return array.astype(np.float64 if self.kind == "numbers" else np.int64).tolist()
        if self.kind == "several classes" and _is_list(value):
            return [int(label in set(array.tolist())) for label in range(self.size)]
        raise DataError(Problem(where, f"got label {shown(value)}", self._expected()))

    def stack(self, labels: list[Any]) -> Tensor:
        """The labels of several samples, each from :meth:`read`, as one tensor ``(n,)`` or ``(n, size)``."""
        return torch.tensor(labels, dtype=torch.float32 if self.kind in {"number", "numbers"} else torch.int64)

    def _expected(self) -> str:
        """What messages expect of a label, from those before."""
        return {
            "class": "one class index",
            "yes or no": "0 or 1",
            "number": "one number",
            "numbers": f"{self.size} numbers",
            "each label": f"0 or 1 for each of {self.size} labels",
            "several classes": "a list of class indices",
        }[self.kind] + ", as the samples before"


def is_open(value: Any, where: str) -> bool:
    """Whether a first label leaves open what the others are."""
    return value is not None and _kind(value, _array(value, where), where) not in {"class", "number", "numbers"}


def of_first(value: Any, where: str) -> LabelReader:
    """The reader of a dataset whose first label leaves nothing open, as 0.7 or None does.

    Raises:
        DataError: it is nothing that a label can be.
    """
    if value is None:
        return LabelReader("none")
    array = _array(value, where)
    return LabelReader(_kind(value, array, where), array.size)


def of_all(values: Iterable[tuple[Any, str]], classes: int | None) -> LabelReader:
    """The reader of a dataset whose labels all have to be looked at to know what they are.

    Args:
        values: every label, with what messages call its sample.
        classes: how many classes have names.

    Raises:
        DataError: a label is nothing that one can be, or they are of several kinds.
    """
    kinds: dict[Kind, str] = {}
    sizes: dict[int, str] = {}
    most, binary, lists = -1, True, True
    for value, where in values:
        array, lists = _array(value, where), lists and _is_list(value)
        kinds.setdefault(_kind(value, array, where), where)
        sizes.setdefault(array.size, where)
        if array.size and np.issubdtype(array.dtype, np.integer):
            most = max(most, int(array.max()))
        binary = binary and set(array.flat) <= {0, 1}
    # From the narrowest kind that suits all of them to the widest: a single 0.7 among zeros and ones makes numbers of
    # all, and lists of several lengths cannot be 0 or 1 for each label.
    names = set(kinds)
    if names <= {"class", "yes or no"}:
        return LabelReader("class" if names == {"class"} else "yes or no" if binary else "number")
    if names <= {"class", "yes or no", "number"}:
        return LabelReader("number")
    if names <= {"each label", "several classes"} and set(sizes) == {1}:
        return LabelReader("class")
    if names <= {"each label", "several classes"} and lists and ("several classes" in names or len(sizes) > 1):
        return LabelReader("several classes", max(most + 1, classes or 0))
    if names <= {"each label", "numbers"} and len(sizes) == 1:
        return LabelReader("numbers" if "numbers" in names else "each label", next(iter(sizes)))
    if len(kinds) > 1:
        kind, where = list(kinds.items())[-1]
        raise DataError(Problem(where, f"its label is {WORDS[kind]}, after {WORDS[next(iter(kinds))]}", "one kind"))
    size, where = list(sizes.items())[-1]
    raise DataError(Problem(where, f"its label has {size} numbers, after {next(iter(sizes))}", "as many for each"))


def of_array(labels: np.ndarray, where: str) -> tuple[Field, np.ndarray]:
    """The field of an array of labels, ``(n,)`` or ``(n, size)``, and the array in the dtype of that field.

    Raises:
        ConfigError: they are nothing that labels can be.
    """
    whole = np.issubdtype(labels.dtype, np.integer) or labels.dtype == np.bool_
    number = whole or np.issubdtype(labels.dtype, np.floating)
    if number and labels.ndim in {1, 2} and np.isfinite(labels).all():
        binary = bool(np.isin(labels, (0, 1)).all())
        if labels.ndim == 2 and binary and labels.shape[1] > 1:
            return MultiLabel(labels.shape[1]), labels.astype(np.int64)
        if labels.ndim == 1 and (whole or binary):
            if labels.min() < 0:
                raise ConfigError(Problem(where, f"got label {labels.min()}", "class indices, 0 or more"))
            return Category(int(labels.max()) + 1), labels.astype(np.int64)
        if not whole:
            return Scalar(), labels.astype(np.float32)
    got = f"labels are {labels.dtype} of shape {labels.shape}"
    raise ConfigError(Problem(where, got, f"for each of {len(labels)} images {EXPECTED.partition(';')[0]}"))


def _array(value: Any, where: str) -> np.ndarray:
    """A label as an array.

    Raises:
        DataError: it holds no numbers, or some that are not finite.
    """
    plain = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    try:
        array = np.asarray(sorted(plain) if isinstance(plain, (set, frozenset)) else plain)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    if isinstance(value, (list, tuple)) and not value:
        array = np.zeros(0, dtype=np.int64)
    if array.dtype == np.bool_:
        array = array.astype(np.int64)
    number = np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
    if not number or array.ndim > 1 or not np.isfinite(array).all():
        raise DataError(Problem(where, f"got label {shown(value)}", EXPECTED))
    return array


def _kind(value: Any, array: np.ndarray, where: str) -> Kind:
    """The kind that a label seems to be, with no other label known.

    Raises:
        DataError: it may be one thing or another: several whole numbers, or a class below 0.
    """
    whole = np.issubdtype(array.dtype, np.integer)
    binary = set(array.flat) <= {0, 1}
    if array.size == 1 and not (whole and _is_list(value)):
        return "class" if whole else "yes or no" if binary else "number"
    if binary and array.size:
        return "each label"
    if not whole:
        return "numbers"
    if not _is_list(value) or (array.size and array.min() < 0):
        remedy = "Numbers are floats; several classes are a list of their indices, or 0 and 1 for each of them."
        raise DataError(Problem(where, f"got label {shown(value)}", None, remedy))
    return "several classes"


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))


def _index(array: np.ndarray, where: str) -> int:
    label = int(array.reshape(-1)[0])
    if label < 0:
        raise DataError(Problem(where, f"got label {label}", "0 or more"))
    return label


def shown(value: Any) -> str:
    """A label in a message: short, whatever it is."""
    if isinstance(value, (Tensor, np.ndarray)) and value.ndim > 0:
        return f"{value.dtype} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def present(labels: Tensor) -> list[list[int]]:
    """The classes of each sample, of class indices ``(n,)`` or of 0 and 1 for each label ``(n, labels)``."""
    if labels.ndim == 1:
        return [[label] for label in labels.tolist()]
    return [row.nonzero().flatten().tolist() for row in labels]
