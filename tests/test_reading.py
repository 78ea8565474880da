"""Data that is another each time it is read: an error in tests, read anew in training."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Case, CaseOf
from torch import Tensor

from symbench.domains.common.datasets.base import Arrays, Batch
from symbench.domains.common.datasets.reading import change, change_under_seeds, seeded
from symbench.domains.images.datasets.items import Items
from symbench.fields import Image
from symbench.testing import Blobs


def use(case: Case, text: str) -> None:
    suite = case.path / "suite.yaml"
    suite.write_text(suite.read_text().replace('{use: "data.py:load"}', f"{{{text}}}"))


def seen(case: Case) -> list[str]:
    """What the network was shown while it learnt, since the last time."""
    log = case.path / "seen.txt"
    found = log.read_text().split()
    log.unlink()
    return found


# In tests.


@pytest.mark.parametrize("draw", ["torch", "numpy", "python", "own"])
def test_random_test_data_is_named_and_not_the_model(case: CaseOf, draw: str) -> None:
    found = case("random_data")
    use(found, f'use: "data.py:flickering", args: {{draw: {draw}}}')
    told = "suite.yaml:4: datasets.bars: sample 0 is another each time it is read: 'image' differs in 225 of 225 numbers, by"
    for command in ("run", "validate"):
        ran = found.symbench(command, found.path / "suite.yaml", "--results", found.results)
        assert ran.code == 3
        said = ran.err if command == "run" else ran.out
        assert told in said
        assert "Take random transforms out of the test data, or seed them by the sample's index." in said


def test_random_labels_are_named(case: CaseOf) -> None:
    found = case("random_data")
    use(found, 'use: "data.py:doubtful"')
    ran = found.run()
    assert ran.code == 3
    assert "is another each time it is read: 'label' is " in ran.err
    assert found.frame()["status"].eq("failed").all()


class Growing(Blobs):
    """The third sample has another size each time."""

    reads = 0

    def batch(self, indices: object, *, canvas: object = None) -> Batch:
        found = super().batch(indices)  # type: ignore[arg-type]
        self.reads += list(indices) == [2]  # type: ignore[call-overload]
        return Batch({"image": found.leaves["image"][..., self.reads :, :]}, found.targets)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Growing(4), "sample 2 is another each time it is read: 'image' has shape (1, 8, 9), then (1, 7, 9)"),
        (Blobs(4), None),
        (Items([torch.full((1, 2, 2), 0.5)] * 3), None),
        (
            Arrays({"set": torch.full((3, 2), torch.nan)}, {}, fields={"set": Image()}, target_fields={}),
            None,
        ),
    ],
    ids=["another size", "the same", "unlabelled", "NaN"],
)
def test_what_differs_between_two_readings(data: Arrays, said: str | None) -> None:
    assert change(data) == said


def test_large_sets_are_looked_at_here_and_there() -> None:
    class Late(list[Tensor]):
        def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
            return torch.rand(1, 2, 2) if index > 900 else torch.zeros(1, 2, 2)

    said = change(Items(Late([torch.zeros(0)] * 1000)))
    assert said is not None
    assert int(said.split()[1]) > 900


def test_seeds_are_put_back() -> None:
    def draws() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002

    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    expected = draws()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    with seeded(5):
        one = draws()
    assert draws() == expected
    with seeded(5):
        assert draws() == one != expected
    with pytest.raises(ValueError, match="no"), seeded(5):
        raise ValueError("no")
    assert change(Blobs(3)) is None
    assert change_under_seeds(Blobs(3)) is None


# In training.


@pytest.mark.parametrize("draw", ["torch", "numpy", "python"])
def test_random_training_data_is_read_anew_in_every_epoch(
    case: CaseOf, draw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = case("random_data")
    use(found, f'use: "data.py:load", args: {{draw: {draw}}}')
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    ran = found.run()
    assert ran.code == 0
    assert "datasets.bars: samples are others each time they are read, so every epoch reads them anew" in ran.err
    shown = seen(found)
    assert (len(shown), len(set(shown))) == (80, 80)
    again = found.run()
    assert "nothing to do" in again.err
    assert not (found.path / "seen.txt").exists(), "nothing was trained"
    monkeypatch.setenv("SYMBENCH_CACHE_DIR", str(tmp_path / "other"))
    torch.manual_seed(17)
    found.symbench("run", found.path / "suite.yaml", "--results", tmp_path / "others")
    assert seen(found) == shown, "training is reproducible"


def test_training_data_with_generators_of_its_own_is_trained_on_anew_and_that_is_said(case: CaseOf) -> None:
    found = case("random_data")
    use(found, 'use: "data.py:load", args: {draw: own}')
    for _ in range(2):
        ran = found.run()
        assert ran.code == 0
        assert (
            "even with the generators of torch, NumPy and Python seeded: what is trained on it is trained anew"
            in ran.err
        )
        assert len(set(seen(found))) == 80


def test_steady_training_data_is_as_it_was(case: CaseOf) -> None:
    found = case("random_data")
    data = found.path / "data.py"
    data.write_text(data.read_text().replace("Flickering(8, DRAWS[draw]) if", "Bars(8) if"))
    ran = found.run()
    assert ran.code == 0
    assert "anew" not in ran.err
    assert len(set(seen(found))) == 8


def test_other_random_training_data_is_another_recipe(case: CaseOf) -> None:
    found = case("random_data")
    found.run()
    seen(found)
    data = found.path / "data.py"
    data.write_text(data.read_text().replace("0.1 * self.draw()", "0.2 * self.draw()"))
    assert "nothing to do" not in found.run().err
    assert len(seen(found)) == 80
