"""Each mistake that people make in models of space is caught, and named in the report's words; its right twin is not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from conftest import ROOT, Case, CaseOf

import symbench as sb
from symbench.algebra.controls import LAW, LEAVES
from symbench.algebra.metrics.base import Context
from symbench.algebra.metrics.equivariance import _otherwise
from symbench.base.records import CellRecord, FindingRecord
from symbench.read.estimates.floors import found_of
from symbench.read.report import headlines, tables

CASES = ROOT / "tests" / "cases"
NAMED = {
    ("clamped", "turns"): "exact at elements that only exchange and negate axes, and broken at others",
    ("cut", "both"): "exact at elements that only exchange and negate axes, and broken at others",
    ("torque", "turns"): "it moves as a PseudoVector, and it is declared as Vector",
    ("still", "turns"): "it moves as if it were left alone",
    ("basis-not-turned", "turns"): "E vanishes if 'basis' is a Vector: it is declared as Scalar over lattice",
    ("mask-not-permuted", "orders"): "E vanishes if 'marks' moves along 'atoms': it is declared along 'slots'",
    ("sides", "turns"): "it moves with its numbers exchanged: 0 to 1 to 0 at inverted",
    ("backwards", "quarter-turns"): "it moves as if by the inverse element",
    ("unsaid", "quarter-turns"): "it moves with its numbers exchanged: 0 to 1 to 2 to 3 to 0 at 90°",
}
UNNAMED = {("anchored", "motions"), ("ordered", "both")}
"""Broken by translations, and by permutations; exact under turns, those that exchange axes and all others."""
RIGHT = {
    *((name, where) for name in ("exact", "crystal", "marked") for where in ("turns", "orders")),
    ("axial", "turns"), ("edges", "quarter-turns"),
}  # fmt: skip


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> sb.Run:
    folder = tmp_path_factory.mktemp("twins")
    shutil.copytree(CASES / "twins", folder, dirs_exist_ok=True)
    shutil.copy(CASES / "bars.py", folder)
    done = sb.run(sb.load_suite(folder / "suite.yaml"), choices=sb.Choices(results=folder / "results"))
    assert done.failed == []
    return done


def cells(run: sb.Run) -> dict[tuple[str, str], CellRecord]:
    found = {(cell.model, cell.symmetry): run.store.cell(cell.key) for cell in run.manifest.cells}
    return {place: record for place, record in found.items() if record is not None}


def test_every_twin_is_named_and_nobody_else(twins: sb.Run) -> None:
    records = cells(twins)
    assert set(records) == set(NAMED) | UNNAMED | RIGHT
    for place, words in NAMED.items():
        assert any(words in (each.words or "") for each in records[place].findings), place
    for place in RIGHT | UNNAMED:
        assert all(each.words is None for each in records[place].findings), place


def test_what_is_exact_under_turns_is_not_told_of_components(twins: sb.Run) -> None:
    """The numbers say that it was looked at elements of the same kind; the verdict is that of any broken model."""
    records = cells(twins)
    frame = twins.estimates()
    verdicts = frame[frame["metric"] == "equivariance_error_float64"].set_index(["model", "symmetry"])["reason"]
    for place in UNNAMED:
        assert verdicts[place] == "broken: precision does not matter", place
        (found,) = (each for each in records[place].findings if each.control == LEAVES)
        assert found.numbers["declared"] > 0.1, place
        assert found.numbers["at elements that exchange and negate axes"] < 1e-12, place
        assert found.numbers["at others of their kind"] < 1e-12, place


def test_findings_name_their_outputs(twins: sb.Run) -> None:
    """A verdict is told of its own output alone."""
    for place, record in cells(twins).items():
        for each in record.findings:
            assert each.output in record.outputs, (place, each.control)


def test_verdicts_and_the_report_say_so(twins: sb.Run) -> None:
    frame = twins.estimates()
    verdicts = frame[frame["metric"] == "equivariance_error_float64"].set_index(["model", "symmetry"])["reason"]
    for place, words in NAMED.items():
        assert verdicts[place].startswith("broken: "), place
        assert words in verdicts[place], place
    for place in RIGHT:
        assert verdicts[place].startswith("exact"), place
    said = [line for board in tables.boards(frame) for line in board.verdicts]
    for (model, _), words in NAMED.items():
        mine = [line for line in said if line.startswith(f"{model}: ") and words in line]
        assert len(mine) == 1, f"{model} is named once, not {len(mine)} times"


def test_the_page_begins_with_it(twins: sb.Run) -> None:
    frame = twins.estimates()
    said = [
        text
        for text, tone in headlines.of(twins.manifest.cells, frame, tables.boards(frame), [], None)
        if tone == "bad"
    ]
    assert any("clamped under turns" in text and NAMED["clamped", "turns"] in text for text in said)
    assert sum("is broken: " in text for text in said) == headlines.MOST_CAUSED


def test_symmetric_inputs_tell_in_one_pass(twins: sb.Run) -> None:
    """A torque that is taken for a vector leaves the plane of a planar cloud; forces lie in it. Counts of passes."""
    frame = twins.estimates()
    rows = frame[frame["metric"] == "fixed_point_error"].set_index(["model", "symmetry"])
    error = rows["estimate"]
    for place in RIGHT - {("edges", "quarter-turns")}:
        assert error[place] < 1e-12, place
    for name in ("torque", "still", "basis-not-turned"):
        assert error[name, "turns"] > 0.1, name
    assert rows["reason"]["sides", "turns"].startswith("vacuous: no element moves an output")
    assert error["clamped", "turns"] == 0, "clamping keeps zeros: only moved inputs tell"


ROWS = "times(g.to(x), x)", "times(g.mT.to(x), x)"
"""Rows turned by the matrix's transpose, and by the matrix."""


def vectors_turned_wrongly(net: Case) -> None:
    """A second action in the suite's code, for vectors alone."""
    code = net.path / "groups.py"
    text = code.read_text()
    action = text[text.index("class Rotate(Action)") : text.index("SO3.actions")]
    rows = action.replace("class Rotate", "class Rows").replace(*ROWS)
    assert rows != action.replace("class Rotate", "class Rows")
    named = "{__name__}:{'Rows' if kind == 'Vector' else 'Rotate'}"
    code.write_text(text.replace("SO3.actions = ", f"{rows}SO3.actions = ").replace("{__name__}:Rotate", named))


def test_rows_turned_the_wrong_way_are_an_action_from_the_right(case: CaseOf) -> None:
    """Of inputs and outputs alike it leaves E at 0: that is what hides it."""
    right = case("space")
    assert right.run().code == 0
    net = Case(right.path.parent / "wrong", right.symbench)
    shutil.copytree(right.path, net.path, ignore=shutil.ignore_patterns("results"))
    code = net.path / "groups.py"
    assert ROWS[0] in code.read_text()
    code.write_text(code.read_text().replace(*ROWS))
    ran = net.run()
    assert ran.code == 0
    assert net.estimate("equivariance_error_float64", output="forces") < 1e-14
    words = "is one from the right: g after h does what (h g) does. Are rows turned by the matrix"
    assert words in " ".join(ran.out.split())
    assert "from the right" not in right.symbench("report", "--results", right.results).out


def test_rows_of_one_kind_turned_the_wrong_way(case: CaseOf) -> None:
    """Outputs alone: they move as if by the inverse of what the suite's action says."""
    net = case("space")
    vectors_turned_wrongly(net)
    net.suite.write_text(net.suite.read_text() + "controls: full\n")
    net.edit('{use: "model.py:build"}', '{use: "model.py:build", args: {kind: gradient}}')
    ran = net.run()
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert "it moves as if by the inverse element" in said
    assert "the action on output 'forces' is one from the right" in said
    remarks = net.frame().query("metric == 'equivariance_error' and element.isna()").set_index("output")["remark"]
    assert "from the right" in remarks["forces"]
    assert "from the right" not in str(remarks["energy"]), "energy has no action to be wrong"


def test_nothing_that_is_found_of_an_output_is_lost(twins: sb.Run) -> None:
    """Two of one control, and one of another output."""
    said = [("forces", "one"), ("energy", "two"), (None, "three")]
    findings = [FindingRecord(control=LAW, output=o, words=w, samples=1, elements=1) for o, w in said]
    record = next(iter(cells(twins).values())).model_copy(update={"findings": findings})
    found = found_of(record, "forces")
    assert [each.words for each in found[LAW]] == ["one", "three"]
    none = np.zeros(0)
    seen = Context(
        samples=none, weights=none, labels=(), kinds=(), null_limit_sq=0.0, controls={}, facts={}, findings=found
    )
    assert _otherwise(seen) == "broken: one; three"


def test_nothing_is_said_of_files_that_know_no_findings(twins: sb.Run) -> None:
    """Cells of before: without the fields, the same record."""
    record = next(iter(cells(twins).values()))
    older = record.model_dump(mode="json", exclude={"findings"})
    assert CellRecord.model_validate(older).findings == []
