"""Names of classes and rules of labels behind wrappers, and what is said where labels are taken by index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CaseOf
from torch.utils.data import ConcatDataset, Dataset, Subset, random_split

from symbench.domains.common.datasets.wrappers import declared
from symbench.domains.images.datasets.items import Items
from symbench.measure.assemble.labels import match


class Pets(Dataset[Any]):
    classes: Any = ("cat", "dog")

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((1, 3, 3), index / 6), index % 2

    def valid(self, label: int, element: Mapping[str, float]) -> bool:
        return label == 0 or not element


class Others(Pets):
    classes: Any = ("dog", "cat")


class Bare(Pets):
    classes: Any = None


class Holds(Dataset[Any]):
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


WRAPPED = {
    "plain": Pets(),
    "subset": Subset(Pets(), [0, 1]),
    "random_split": random_split(Pets(), [3, 3], torch.Generator().manual_seed(0))[1],
    "joined": ConcatDataset([Pets(), Subset(Pets(), [0])]),
    "a user's own": Holds(Pets()),
    "subset of joined": Subset(ConcatDataset([Pets(), Holds(Subset(Pets(), [2, 3]))]), [0, 7]),
}


@pytest.mark.parametrize("source", WRAPPED.values(), ids=list(WRAPPED))
def test_names_and_rules_are_found_behind_wrappers(source: Any) -> None:
    data = Items(source)
    assert data.classes == ["cat", "dog"]
    assert data.valid is not None
    assert data.valid(0, {"angle_deg": 90.0})
    assert not data.valid(1, {"angle_deg": 90.0})
    whose = "the classes' names are those of the" in " ".join(data.remarks())
    assert whose == ("Holds" in repr(source) or any("Holds" in repr(p) for p in _parts(source)))


def _parts(source: Any) -> list[Any]:
    inner = getattr(source, "dataset", None)
    return list(getattr(source, "datasets", [])) + ([] if inner is None else [inner, *_parts(inner)])


def test_parts_with_other_classes_have_none_in_common() -> None:
    for parts in ([Pets(), Others()], [Pets(), Bare()]):
        found = declared(ConcatDataset(parts))
        assert found.classes is None
        assert "its parts have other classes, so none of their names are taken" in found.remarks
    assert declared(ConcatDataset([Bare(), Bare()])).remarks == ()


def test_its_own_names_come_first() -> None:
    outer = Holds(Pets())
    outer.classes = ["a", "b"]  # type: ignore[attr-defined]
    assert declared(outer).classes == ["a", "b"]
    assert declared(outer).remarks == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("cat", "dog"), ["cat", "dog"]),
        (np.array(["cat", "dog"]), ["cat", "dog"]),
        ([("tench", "Tinca tinca"), ("goldfish",)], ["tench, Tinca tinca", "goldfish"]),
        ([0, 1], None),
        ([], None),
        (2, None),
    ],
    ids=["tuple", "array", "synonyms", "numbers", "empty", "a count"],
)
def test_what_names_may_be(names: Any, expected: list[str] | None) -> None:
    data = Bare()
    data.classes = names
    assert declared(data).classes == expected


def test_a_method_of_another_meaning_is_no_rule() -> None:
    class Split(Bare):
        def valid(self) -> Pets:  # type: ignore[override]
            """The validation split."""
            return Pets()

    assert Items(Split()).valid is None


def test_a_loop_of_wrappers_ends() -> None:
    loop = Holds(Bare())
    loop.dataset = loop
    assert declared(loop).classes is None


def test_a_subset_is_compared_by_name(case: CaseOf) -> None:
    found = case("subset_names")
    ran = found.run()
    assert ran.code == 0, ran.err
    for name in ("whole", "half", "drawn", "joined", "dimmed"):
        assert found.estimate("accuracy", dataset=name) == 1, name
    assert "by index" not in ran.err
    assert "datasets.dimmed: the classes' names are those of the Shades behind Dimmed.dataset." in ran.err


def test_labels_by_index_are_said_where_one_side_has_names(case: CaseOf) -> None:
    found = case("subset_names")
    data, model = found.path / "data.py", found.path / "model.py"
    text = data.read_text()
    data.write_text(text.replace("    classes =", "    kinds ="))
    ran = found.run("--only", "dataset=half")
    assert found.estimate("accuracy") == pytest.approx(1 / 3), "as it stands, and not without a word"
    assert (
        "net on half: labels by index, since the outputs of net have names, and the classes of half have none"
        in ran.err
    )
    data.write_text(text)
    model.write_text(model.read_text().replace("    classes =", "    kinds ="))
    ran = found.run("--only", "dataset=half")
    assert (
        "net on half: labels by index, since the classes of half have names, and the outputs of net have none"
        in ran.err
    )
    assert "labels: index says that this is right" in ran.err
    suite = found.path / "suite.yaml"
    suite.write_text(suite.read_text().replace('build"}', 'build", labels: index}'))
    assert "by index" not in found.run("--only", "dataset=half").err


@pytest.mark.parametrize(
    ("classes", "names", "wanted", "strict", "said"),
    [
        (["a", "b"], None, None, True, "since the classes of d have names, and the outputs of m have none"),
        (None, [["a"], ["b"]], None, True, "since the outputs of m have names, and the classes of d have none"),
        (["x", "y"], [["a"], ["b"]], None, False, "since none of the classes of d is an output of m by name"),
        (None, None, None, True, None),
        (["a", "b"], [["b"], ["a"]], None, True, None),
        (["0", "1"], None, None, True, None),
        (["a", "b"], None, "index", True, None),
        (None, [["a"], ["b"]], "index", True, None),
    ],
    ids=["data's", "model's", "nothing in common", "none", "both", "numbers", "asked", "asked of the model's"],
)
def test_what_is_said_of_labels_by_index(
    classes: Any, names: Any, wanted: Any, strict: bool, said: str | None
) -> None:
    note = match(classes, names, wanted, strict=strict, model="m", data="d", where="w").note
    assert note is None if said is None else said in str(note)
