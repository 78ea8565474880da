"""``loss_weights`` and ``loss_per``: the loss by hand, what training makes of it, and that keys change with them alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from conftest import Folder
from torch import Tensor, nn

import symbench as sb
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.common.datasets.padding import Padded
from symbench.domains.common.models.base import Model
from symbench.face.api import prepare
from symbench.fields import Axis, Field, Point, Scalar, Vector
from symbench.measure.objective import Objective

ATOMS = Axis("atoms")
TARGETS: dict[str, Field] = {"energy": Scalar(unit="eV"), "forces": Vector(unit="eV/Å").over(ATOMS)}


class Springs(nn.Module):
    """A multiple of the squared distance from the origin, with forces of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.stiffness = nn.Parameter(torch.tensor([0.7, 0.3], dtype=torch.float64))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        energy = self.stiffness[0] * x.square().sum((1, 2))[:, None]
        return {"energy": energy, "forces": -2 * self.stiffness[1] * x}


def clusters(*, ragged: bool) -> Arrays:
    generator = torch.Generator().manual_seed(0)
    sizes = [4, 2, 3] if ragged else [4, 4, 4]
    real = torch.arange(4) < torch.tensor(sizes)[:, None]
    positions, forces = torch.randn(2, 3, 4, 3, generator=generator, dtype=torch.float64) * real[..., None]
    energy = torch.randn(3, 1, generator=generator, dtype=torch.float64)
    return Arrays(
        {"positions": positions},
        {"energy": energy, "forces": forces},
        fields={"positions": Point().over(ATOMS)},
        target_fields=TARGETS,
        sizes={"atoms": sizes} if ragged else None,
    )


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("per", [{}, {"energy": "atoms"}], ids=["total", "per atom"])
@pytest.mark.parametrize("weights", [{}, {"forces": 10.0}, {"energy": 0.5, "forces": 0.0}], ids=str)
def test_the_loss_is_the_one_by_hand(weights: dict[str, float], per: dict[str, str], ragged: bool) -> None:
    data = clusters(ragged=ragged)
    whole = Padded(data) if ragged else data
    batch = whole.batch(range(3))
    model = Model(Springs(), TARGETS)
    objective = Objective(model, whole, ["positions"], None, "cpu", weights=weights, per=per)
    found = objective(batch.leaves, batch.targets)
    energies, forces = [], []
    for sample, atoms in enumerate([4, 2, 3] if ragged else [4, 4, 4]):
        x = batch.leaves["positions"][sample, :atoms]
        missed = 0.7 * x.square().sum() - batch.targets["energy"][sample, 0]
        energies.append((missed / atoms if per else missed) ** 2)
        forces += (-0.6 * x - batch.targets["forces"][sample, :atoms]).square().flatten().tolist()
    wanted = weights.get("energy", 1) * sum(energies) / 3 + weights.get("forces", 1) * sum(forces) / len(forces)
    assert float(found.detach()) == pytest.approx(float(wanted), rel=1e-12)
    found.backward()
    assert bool(model.module.stiffness.grad[1] == 0) is (weights.get("forces") == 0)  # type: ignore[index]


SUITE = """\
version: 1
name: small
datasets:
  clusters: {use: lennard-jones, atoms: [3, 5], samples: 96}
models:
  plain: {use: distance-net, readout: energy, width: 16, depth: 2, train: {on: clusters, epochs: 12}}
  usual: {use: distance-net, readout: energy, width: 16, depth: 2, train: {on: clusters, epochs: 12, batch: 32}}
  forces: {use: distance-net, readout: energy, width: 16, depth: 2, train: {on: clusters, MORE}}
symmetries:
  turns: {group: SO3, on: positions, elements: 2}
controls: {share: 0, floor: 0}
"""


@dataclass(frozen=True)
class Losses:
    energy: float
    forces: float


def losses(run: sb.Run) -> dict[str, Losses]:
    frame = run.estimates()
    frame = frame[(frame.metric == "loss") & frame.element.isna()]
    found: dict[str, dict[str, float]] = {}
    for row in frame.itertuples():
        found.setdefault(str(row.model), {})[str(row.output)] = float(str(row.estimate))
    return {model: Losses(**each) for model, each in found.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> sb.Run:
    """Two networks on clusters of 3 to 5 atoms, one of them taught forces above all."""
    folder = tmp_path_factory.mktemp("losses")
    suite = folder / "small.yaml"
    text = SUITE.replace("MORE", "epochs: 12, loss_weights: {energy: 0.01, forces: 100}")
    suite.write_text(text)
    return sb.run(suite, results=folder / "results", choices=sb.Choices(device="cpu"))


def test_what_counts_more_is_learnt_better(trained: sb.Run) -> None:
    found = losses(trained)
    assert found["forces"].forces < 0.8 * found["plain"].forces
    assert found["forces"].energy > found["plain"].energy


def test_keys_change_where_something_is_said(folder: Folder) -> None:
    def recipes(more: str) -> dict[str, Any]:
        folder.suite.write_text(SUITE.replace("MORE", f"epochs: 12, {more}"))
        return prepare(folder.suite, sb.Choices(device="cpu"))[0].plan.recipes

    for more in ("loss_weights: {forces: 2}", "loss_per: {energy: atoms}"):
        found = recipes(more)
        assert found["plain"] == found["usual"]
        assert found["forces"] != found["plain"]
        assert not {"loss_weights", "loss_per"} & set(found["plain"]["recipe"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("loss_weights: {force: 2}", r"got 'force', which is no target of clusters, .* Did you mean 'forces'\?"),
        ("loss_weights: {energy: 0, forces: 0}", "got 0 for each target of clusters"),
        ("loss_per: {energy: atom}", r"loss_per.energy: got 'atom', along which .* Did you mean 'atoms'\?"),
        ("optimiser: least-squares, loss_per: {energy: atoms}", "got loss_per for least-squares, which takes no"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Folder, more: str, message: str) -> None:
    folder.suite.write_text(SUITE.replace("MORE", f"epochs: 12, {more}"))
    with pytest.raises(sb.ConfigError, match=message):
        prepare(folder.suite, sb.Choices(device="cpu"))
