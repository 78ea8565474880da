"""Calculators of ASE as models, held against ASE called directly; and SevenNet, which respects rotations alone."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, CaseOf, subprocess_symbench
from scipy.spatial.transform import Rotation
from torch import Tensor

from symbench import open_run
from symbench.base.errors import ModelError
from symbench.domains.atoms.models.ase import Ase
from symbench.domains.common.datasets.padding import Padded
from symbench.domains.common.models.unanswered import Unanswered

pytest.importorskip("ase", reason="needs the extra molecules")
CASE = ROOT / "tests" / "cases" / "atoms"


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The case's own files."""
    monkeypatch.syspath_prepend(str(CASE))
    for name in ("data", "calculators"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import calculators  # type: ignore[import-not-found]
    import data  # type: ignore[import-not-found]

    yield type("Code", (), {"data": data, "calculators": calculators})
    for name in ("data", "calculators"):
        sys.modules.pop(name, None)


def leaves_of(dataset: Any) -> dict[str, Tensor]:
    return dict(dataset.batch(range(len(dataset))).leaves)


def source(name: str, **options: Any) -> Ase:
    given = {"symbol": None, "stress": None, **options}
    return Ase(where="models.mine.use", folder=CASE, size=None, name=name, **{"options": {}, **given})


def built(name: str, leaves: dict[str, Tensor], **options: Any) -> Any:
    return source(name, **options).build_for({key: tuple(x.shape[1:]) for key, x in leaves.items()}, 0)


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("emt", "metals", {}),
        ("lj", "metals", {"sigma": 2.2, "epsilon": 0.1, "rc": 6.0}),
        ("lj", "molecules", {"sigma": 1.5, "rc": 5.0}),
        ("morse", "metals", {"r0": 2.5}),
    ],
)
def test_answers_are_those_of_the_calculator(code: Any, name: str, kind: str, options: dict[str, Any]) -> None:
    from ase.calculators.calculator import get_calculator_class

    leaves, structures = leaves_of(code.data.load(kind=kind)), code.data.structures(kind)
    got = built(name, leaves, options=options)(**leaves)
    assert set(got) == {"energy", "forces", *(["stress"] if kind == "metals" else [])}
    for row, atoms in enumerate(structures):
        atoms.calc = get_calculator_class(name)(**options)
        assert got["energy"].shape == (len(structures), 1)
        assert got["energy"][row, 0].item() == atoms.get_potential_energy()
        assert np.array_equal(got["forces"][row, : len(atoms)].numpy(), atoms.get_forces())
        assert not got["forces"][row, len(atoms) :].any(), "padding is answered by 0"
        if "stress" in got:
            xx, yy, zz, yz, xz, xy = atoms.get_stress()
            assert got["stress"][row].tolist() == [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]


def test_data_without_species_needs_a_symbol_and_argon_has_its_closed_form() -> None:
    from symbench.domains.points.datasets import lennard_jones as lj

    dataset = Padded(lj.load(split="test", atoms=(3, 7), samples=5, seed=0))
    batch = dataset.batch(range(5))
    leaves = {"positions": batch.leaves["positions"].double(), "atoms_mask": batch.leaves["atoms_mask"]}
    with pytest.raises(ModelError, match="takes species, and the data has positions, atoms_mask alone") as said:
        built("lj", leaves)
    assert "Say symbol: Ar" in str(said.value)
    options = {"sigma": lj.SIGMA, "epsilon": lj.EPSILON_EV, "rc": 1e4}
    got = built("lj", leaves, options=options, symbol="Ar")(**leaves)
    assert torch.allclose(got["energy"], batch.targets["energy"].double(), rtol=1e-6)
    assert torch.allclose(got["forces"], batch.targets["forces"].double(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelError, match="'Argon', expected the symbol of an element"):
        built("lj", leaves, symbol="Argon")


def test_the_same_structure_is_computed_anew(code: Any) -> None:
    from symbench.domains.atoms.models.calculators import AseModel

    calculator, leaves = code.calculators.springs(), leaves_of(code.data.load())
    model = AseModel(calculator)
    leaves = {name: x[[0, 0]] for name, x in leaves.items()}
    model(**leaves)
    assert calculator.calls == 2, "else a control that repeats the pass would find what was kept"


def test_networks_inside_are_counted_and_keep_their_precision(code: Any) -> None:
    from symbench.domains.atoms.models.calculators import AseModel
    from symbench.domains.common.models.operations import count_numbers

    model = AseModel(code.calculators.springs())
    assert count_numbers(model)["parameters"] == 9
    with pytest.raises(ModelError, match="Springs computes in float32, and cannot be made to compute in float64"):
        model.double()
    plain = built("emt", leaves_of(code.data.load()))
    assert count_numbers(plain)["parameters"] is None
    assert plain.double() is plain
    with pytest.raises(ModelError, match=r"EMT computes in float64.* expected numerics\.dtype float64, or none"):
        plain.to("cpu", torch.float32)


@pytest.mark.parametrize(
    ("worst", "said"),
    [
        ("raises", "Springs on Cu4 raised RuntimeError: no basis for copper"),
        ("exits", "Springs on Cu4 raised SystemExit: 3"),
        ("nan", "Springs on Cu4 has energy that is NaN or infinite"),
    ],
)
def test_one_structure_without_an_answer_is_named(code: Any, worst: str, said: str) -> None:
    from symbench.domains.atoms.models.calculators import AseModel

    leaves = {name: x.flip(0) for name, x in leaves_of(code.data.load()).items()}
    with pytest.raises(Unanswered) as error:
        AseModel(code.calculators.springs(worst=worst))(**leaves)
    assert error.value.row == 2
    assert said in str(error.value)


def test_a_structure_without_atoms_is_refused(code: Any) -> None:
    leaves = leaves_of(code.data.load())
    model = built("emt", leaves)
    leaves["species"] = leaves["species"] * 0
    with pytest.raises(Unanswered, match="has no atoms, expected one at least"):
        model(**leaves)


def test_calculators_by_name_and_of_a_file_are_measured(case: CaseOf) -> None:
    atoms = case("atoms")
    assert atoms.run().code == 0
    for model, outputs in {"emt": ("energy", "forces", "stress"), "own": ("energy", "forces")}.items():
        for output in outputs:
            assert atoms.estimate("absolute_error_max", model=model, output=output) < 1e-10
    frame = atoms.frame()
    units = frame[(frame["metric"] == "absolute_error") & (frame["model"] == "emt")].set_index("output")["unit"]
    assert units.to_dict() == {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å^3"}
    assert "nothing to do" in atoms.run().err, "what a calculator is can be known again"


def test_a_cell_that_is_declared_as_numbers_is_refused(case: CaseOf) -> None:
    atoms = case("atoms")
    atoms.edit('"data.py:load"', '"data.py:load", args: {cells: numbers}')
    ran = atoms.run()
    assert ran.code == 2
    assert "would leave 'cell' (Scalar over lattice) where it is, and turn positions" in ran.err


def test_a_cell_that_is_not_rotated_is_caught(case: CaseOf) -> None:
    atoms = case("atoms")
    atoms.edit('"data.py:load"', '"data.py:load", args: {cells: box}')
    atoms.edit('"calculators.py:springs"', '"calculators.py:fixed_cell", args: {name: emt}')
    assert atoms.run("--only", "model=own").code == 0
    assert atoms.estimate("absolute_error_max", model="own", output="energy") > 1, "eV"
    words = atoms.frame().query("metric == 'equivariance_error_float64' and output == 'energy'")["reason"]
    assert words.str.startswith("broken").all()


@pytest.mark.parametrize("worst", ["raises", "nan"])
def test_other_cells_go_on(case: CaseOf, worst: str) -> None:
    atoms = case("atoms")
    atoms.edit('"calculators.py:springs"', f'"calculators.py:springs", args: {{worst: {worst}}}')
    assert atoms.run().code == 3
    cells = {cell.model: cell for cell in open_run(results=atoms.results).manifest.cells}
    assert cells["emt"].status == "done"
    assert cells["own"].status == "failed"
    assert "sample 0: Springs on Cu4" in (cells["own"].reason or "")


def test_a_species_that_is_unknown_is_named_with_its_sample(case: CaseOf) -> None:
    atoms = case("atoms")
    atoms.edit("data.py:load", "calculators.py:with_salt")
    assert atoms.run().code == 3
    cells = {cell.model: cell for cell in open_run(results=atoms.results).manifest.cells}
    assert cells["own"].status == "done"
    assert "sample 2: EMT on Cl4Na4 raised NotImplementedError" in (cells["emt"].reason or "")


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("ase/etm", ["ASE has no calculator 'etm'", "Did you mean 'emt'?", "sevennet"]),
        ("ase/eam, options: {potential: none.alloy}", ["ase/eam cannot be made with options", "none.alloy"]),
        ("ase/lj, options: {sgima: 1}", ["ase/lj has no option 'sgima'", "Did you mean 'sigma'?"]),
    ],
)
def test_what_cannot_be_made_is_a_sentence(case: CaseOf, use: str, said: list[str]) -> None:
    atoms = case("atoms")
    atoms.edit("ase/emt", use)
    ran = atoms.run()
    assert ran.code in (2, 3)
    assert "Traceback" not in ran.err
    for words in said:
        assert words in ran.err + ran.out


def test_without_the_package_its_extra_is_named(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase", None)
    atoms = case("atoms")
    atoms.edit('  own: {use: "calculators.py:springs"}\n', "")
    ran = atoms.run()
    assert ran.code == 2
    assert "needs the package ase" in ran.err
    assert 'pip install "symbench[molecules]"' in ran.err


def test_a_calculator_may_run_programs_and_is_code(case: CaseOf) -> None:
    atoms = case("atoms")
    atoms.edit('  own: {use: "calculators.py:springs"}\n', "")
    ran = atoms.run("--no-code")
    assert ran.code == 2
    assert "ase/emt" in ran.err


def test_files_that_a_calculator_reads_are_part_of_what_it_is(case: CaseOf, tmp_path: Path) -> None:
    del tmp_path
    atoms = case("atoms")
    own = atoms.path / "calculators.py"
    own.write_text(
        own.read_text().replace("return Springs(**options)", "return Springs(chiral=float((Path(__file__).parent / 'k.txt').read_text()), **options)")
        .replace("from typing", "from pathlib import Path\nfrom typing")
    )  # fmt: skip
    for stiffness in ("0", "0.5"):
        (atoms.path / "k.txt").write_text(stiffness)
        assert "1 of them to be measured" in atoms.run("--only", "model=own").err


@pytest.fixture(scope="module")
def sevennet() -> Any:
    """SevenNet-0, whose wheel brings its weights; what it warns of at loading is its own affair."""
    pytest.importorskip("sevenn", reason="needs the extra molecules")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        leaves = {"positions": torch.zeros(1, 8, 3), "species": torch.ones(1, 8), "cell": torch.zeros(1, 3, 3)}
        yield built("sevennet", leaves)


def turned(x: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors under a rotation, and its matrix."""
    rotation = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())
    return x @ rotation.T, rotation


def test_sevennet_is_counted(sevennet: Any) -> None:
    assert sum(p.numel() for p in sevennet.networks.parameters()) == 842_623
    assert list(sevennet.outputs) == ["energy", "forces", "stress"]


def test_rotations_of_rock_salt_with_its_cell_and_without(sevennet: Any, code: Any) -> None:
    leaves = {name: x[:1] for name, x in leaves_of(code.data.load(kind="salt")).items()}
    moved = dict(leaves)
    moved["positions"], rotation = turned(leaves["positions"])
    before, left = sevennet(**leaves), sevennet(**moved)
    moved["cell"] = leaves["cell"] @ rotation.T
    after = sevennet(**moved)
    assert abs(after["energy"] - before["energy"]).item() / 8 < 1e-6, "eV/atom"
    assert (after["forces"] - before["forces"] @ rotation.T).abs().max() < 1e-5
    assert (after["stress"] - rotation @ before["stress"] @ rotation.T).abs().max() < 1e-6
    assert abs(left["energy"] - before["energy"]).item() / 8 > 1, "eV/atom, where the cell stays"


def test_molecules_turned_moved_and_mirrored(sevennet: Any, code: Any) -> None:
    chosen = {name: x[:3] for name, x in leaves_of(code.data.load(kind="molecules")).items()}
    plain = {**chosen, "cell": torch.zeros(3, 3, 3), "periodic": torch.zeros(3, 3, dtype=torch.int64)}
    model = type(sevennet)(sevennet.calculator)
    before, atoms = model(**plain), (chosen["species"] > 0).sum(1, keepdim=True)
    x, rotation = turned(chosen["positions"])
    after = model(**{**plain, "positions": x})
    assert ((after["energy"] - before["energy"]).abs() / atoms).max() < 1e-6
    assert (after["forces"] - before["forces"] @ rotation.T).abs().max() < 5e-5
    far = model(**{**plain, "positions": chosen["positions"] + 40})
    assert (far["forces"] - before["forces"]).abs().max() < 5e-5
    mirror = torch.tensor([-1.0, 1.0, 1.0]).double()
    mirrored = model(**{**plain, "positions": chosen["positions"] * mirror})
    off = (mirrored["forces"] - before["forces"] * mirror).abs().amax((1, 2))
    assert off[:2].min() > 1e-3, "benzene and ethanol, rattled"
    assert off[2] < 5e-5, "water is planar: of it a mirror image is a rotation"


@pytest.mark.slow
def test_the_suite_finds_what_sevennet_respects(tmp_path: Path) -> None:
    pytest.importorskip("sevenn", reason="needs the extra molecules")
    pytest.importorskip("rdkit", reason="needs the extra molecules")
    only = "dataset=chiral,symmetry=mirrors"
    done = subprocess_symbench("run", ROOT / "suites" / "sevennet.yaml", "--only", only, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    said = "sevennet respects SO(3), not O(3): proper elements hold to rounding, improper ones change energy"
    assert said in " ".join(done.stdout.split())
    frame = open_run(results=tmp_path).estimates()
    largest = frame[(frame["metric"] == "absolute_error_max") & frame["stratum"].notna() & frame["element"].isna()]
    off = largest.set_index(["stratum", "output"])["estimate"]
    assert 0.5e-3 < off["improper", "energy"] < 4e-3, "1 to 3 meV between mirror images"
    assert off["proper", "energy"] < 1e-5, "under 0.01 meV"
    assert off["improper", "forces"] > 100 * off["proper", "forces"]


@pytest.mark.slow
def test_the_suite_of_potentials_gates(tmp_path: Path) -> None:
    """With few samples and hardly any training: what is exact is so whatever was learnt."""
    text = (ROOT / "suites" / "potentials.yaml").read_text()
    for usual, less in (
        ("samples: 24}\n\nmodels", "samples: 4}\n\nmodels"),
        ("epochs: 40", "epochs: 1"),
        ("epochs: 4}", "epochs: 1}"),
    ):
        assert usual in text
        text = text.replace(usual, less)
    (tmp_path / "potentials.yaml").write_text(text)
    done = subprocess_symbench("run", tmp_path / "potentials.yaml", "--results", tmp_path / "results")
    assert done.returncode == 0, done.stderr
    gated = subprocess_symbench("gate", "--results", tmp_path / "results", "--no-baseline", "pass")
    assert gated.returncode == 0, gated.stdout
    frame = open_run(results=tmp_path / "results").estimates()
    mlp = frame[(frame["model"] == "point-mlp") & (frame["metric"] == "equivariance_error") & frame["element"].isna()]
    assert mlp[mlp["symmetry"] == "rotations"]["estimate"].max() > 0.1, "else nothing is measured"
