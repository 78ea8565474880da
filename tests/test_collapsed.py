"""Models that have collapsed, or that guess: tables, sentences, figures and the page say so, and do not praise them."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, CaseOf
from test_metrics import observed, value

import symbench as sb
from symbench.algebra.metrics import METRICS
from symbench.read.report import chance, drawing, faults, headlines, ranks, sheets, tables, tradeoffs
from symbench.read.report.page import glance
from symbench.read.report.places import Places
from symbench.read.report.scene import Elements, scenes

MODELS = ["constant", "guesses", "upright", "total"]


@dataclass(frozen=True)
class Shown:
    """The case, run and reported once."""

    frame: pd.DataFrame
    out: Path

    def of(self, *models: str) -> pd.DataFrame:
        return self.frame[self.frame["model"].isin(models)]

    def sentences(self, *models: str) -> dict[str, str]:
        """Headlines and their tones, where only these models were measured."""
        frame = self.of(*models)
        boards, ranked = tables.boards(frame), ranks.of(tables.whole(frame))
        return dict(headlines.of([], frame, boards, ranked, None))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("collapsed") / "case"
    shutil.copytree(ROOT / "tests" / "cases" / "collapsed", folder)
    run = sb.run(folder / "suite.yaml", results=folder / "results")
    frame = run.estimates()
    sb.write_report(run, output=folder / "out", formats=["html", "md", "latex", "svg"], frame=frame)
    return Shown(frame, folder / "out")


# The numbers.


def test_chance_is_the_share_of_the_most_frequent_label() -> None:
    seen = observed()
    assert seen.target is not None
    labels = seen.target[0].tolist()
    assert value("chance_accuracy", seen) == max(labels.count(label) for label in labels) / len(labels)
    valid = np.ones((6, 60), dtype=bool)
    valid[0, seen.target[0] == labels[0]] = False  # what leaves accuracy leaves chance
    rest = [label for label in labels if label != labels[0]]
    assert value("chance_accuracy", observed(target=seen.target, valid=valid)) == max(map(rest.count, rest)) / len(
        rest
    )
    assert value("chance_accuracy", observed(target=None)) is None


def test_predicted_classes_are_counted_over_the_orbit() -> None:
    seen = observed()
    assert seen.prediction is not None
    assert value("predicted_classes", seen) == 4
    assert value("predicted_classes", observed(prediction=np.full((6, 60), 2.0))) == 1
    moved = np.full((6, 60), 2.0)
    moved[3, 7] = 0.0  # one sample at one element
    assert value("predicted_classes", observed(prediction=moved)) == 2
    assert value("predicted_classes", observed(prediction=None)) is None


@pytest.mark.parametrize(("low", "estimate", "high", "said"), [
    (0.05, 0.10, 0.12, ", which is chance"), (0.05, 0.098, 0.15, ", which is chance"),
    (0.09, 0.12, 0.15, ", which could be chance"), (0.01, 0.02, 0.05, ", which is below chance"),
    (0.11, 0.15, 0.20, ""), (math.nan, 0.10, math.nan, ", which is chance"), (math.nan, 0.2, math.nan, ""),
])  # fmt: skip
def test_what_is_said_of_an_accuracy_beside_chance(low: float, estimate: float, high: float, said: str) -> None:
    assert chance.words(low, estimate, high, 0.1) == said
    assert chance.beaten(low, estimate, 0.1) == (said == "")
    assert chance.words(low, estimate, high, math.nan) == "", "no labels, no chance"


def test_one_label_alone_is_no_chance_and_no_collapse() -> None:
    rows = pd.DataFrame({
        "model": "m", "metric": ["chance_accuracy", "predicted_classes"], "estimate": [1.0, 1.0],
    })  # fmt: skip
    assert math.isnan(chance.level(rows))
    assert chance.one_class(rows) == []
    assert chance.one_class(rows[1:]) == ["m"], "without labels it is one"


def test_the_case(shown: Shown) -> None:
    whole = tables.whole(shown.frame).set_index(["model", "metric"])["estimate"]
    assert set(whole[:, "chance_accuracy"]) == {0.6}
    assert {m: set(whole[m, "predicted_classes"]) for m in MODELS} == {
        m: {1.0 if m == "constant" else 2.0} for m in MODELS
    }


# Tables.


def test_the_column_of_kappa_stays_and_says_why_it_is_empty(shown: Shown) -> None:
    boards = tables.boards(shown.of("constant"))
    assert len(boards) == 6
    for board in boards:
        ((_, cells),) = board.rows
        found = dict(zip(board.metrics, cells, strict=True))
        assert found["kappa"].value == "–"
        assert found["kappa"].detail == "one class is always predicted: chance is 1"
    frame = shown.of("constant").assign(reason=None)
    frame.loc[frame["metric"] == "equivariance_error", "estimate"] = math.nan
    assert all("equivariance_error" in board.metrics for board in tables.boards(frame)), "nor does E disappear"


def test_columns_that_do_not_apply_are_left_out(shown: Shown) -> None:
    frame = shown.frame.copy()
    frame.loc[frame["metric"].isin(["kappa", "consistency"]), "estimate"] = (
        math.nan
    )  # as of outputs that are no classes
    assert not {"kappa", "consistency"} & {metric for board in tables.boards(frame) for metric in board.metrics}


def test_what_stands_below_a_table(shown: Shown) -> None:
    for board in tables.boards(shown.frame):
        assert (
            "chance, the share of the most frequent label, is 60.0 %; constant predicts one class only" in board.note
        )
    for board in tables.boards(shown.of("upright", "total")):
        assert "one class" not in board.note
    for text in ((shown.out / "report.md").read_text(), (shown.out / "turns-on-odd.tex").read_text()):
        assert "constant predicts one class only" in text


def test_the_terminal_says_so(case: CaseOf) -> None:
    net = case("collapsed")
    suite = net.path / "suite.yaml"
    suite.write_text(re.sub(r"  (rotations|shifts|even): .*\n", "", suite.read_text()))
    words = " ".join(net.run().out.split())
    assert "constant predicts one class only" in words
    suite.write_text(suite.read_text() + "gates:\n- {metric: predicted_classes, model: constant, at_least: 2}\n")
    assert net.gate("--suite", suite).code == 1, "and a gate can ask for more"


# Sentences.


def test_a_model_that_has_collapsed_is_never_praised(shown: Shown) -> None:
    found = shown.sentences("constant")
    said = "Predicts one class only, so that staying the same says nothing: constant."
    assert found[said] == "bad"
    assert "good" not in found.values()
    assert (
        "Under turns on odd, constant is right on 60.0 % at its worst element, which is chance, and predicts one class only (60.0 % unmoved)."
        in found
    )
    assert not any("even at its worst element" in text or "No model loses" in text for text in found)
    assert said not in shown.sentences("upright", "total")


def test_one_that_guesses_is_not_either(shown: Shown) -> None:
    found = shown.sentences("guesses")
    assert (
        found[
            "Not told from chance as it is: guesses on odd (60.0 %, chance 60.0 %); guesses on even (54.0 %, chance 60.0 %)."
        ]
        == "bad"
    )
    assert not any("even at its worst element" in text or "breaks most" in text for text in found), (
        "it has nothing to lose"
    )


def test_the_others_are_measured_by_themselves(shown: Shown) -> None:
    found = shown.sentences("constant", "total")
    assert (
        found["No model that is better than chance loses more than half a point of accuracy over any orbit."]
        == "good"
    )
    assert "No model loses more than half a point of accuracy over any orbit." in shown.sentences("total")
    found = shown.sentences(*MODELS)
    assert (
        "What breaks most is upright under rotations on even: 100.0 % as it is, 45.0 % over the orbit, which is below chance."
        in found
    )
    (beaten,) = (text for text in found if "loses to" in text)
    assert "loses to constant" not in beaten, "60 % over the orbit is more than 50 %, and chance"
    assert (
        "Under shifts on odd, total is right on 100.0 % even at its worst element; upright falls from 100.0 % to 40.0 %, which is below chance."
        in {board.summary for board in tables.boards(shown.frame)}
    )


def test_exact_by_construction_says_on_which_dataset(shown: Shown) -> None:
    """Exact on an odd side and broken on an even one: both are under turns."""
    (text,) = (text for text in shown.sentences(*MODELS) if text.startswith("Exact by construction"))
    assert (
        text
        == "Exact by construction, in float64: total under turns on odd and rotations on odd, at elements that only permute."
    )
    alone = shown.frame[shown.frame["dataset"] == "odd"]
    (text,) = headlines._exact(alone, Places.of(alone))
    assert text == "total under turns and rotations, at elements that only permute", (
        "a dataset that is the only one is not named"
    )


def test_exact_by_construction_says_of_which_output() -> None:
    rows = pd.DataFrame({
        "model": "m", "dataset": "d", "symmetry": "c4", "output": ["logits", "maps"], "elements": "permutation",
        "metric": "equivariance_error_float64", "estimate": [1e-16, 0.3],
        "reason": ["exact by construction", "broken: precision does not matter"],
    })  # fmt: skip
    assert headlines._exact(rows, Places.of(rows)) == ["m under c4, logits"]


def test_a_model_that_is_broken_is_named_where_no_accuracy_tells_of_it() -> None:
    """Outputs that are numbers have no ranking: a summary said who deviates least, and of nobody that it is broken."""
    places = ["o3", "se3", "c4", "d4", "shifts", "flips"]
    rows = pd.DataFrame({
        "model": ["m"] * len(places) + ["fine"], "dataset": "d", "symmetry": [*places, "o3"], "output": "energy",
        "elements": "exact", "element": None, "metric": "equivariance_error_float64", "estimate": 0.7,
        "reason": ["broken: precision does not matter"] * len(places) + ["exact"],
    })  # fmt: skip
    at = Places.of(rows)
    assert headlines._broken(rows, [], at) == ["m under o3 and se3 and c4 and d4 and 2 more"]
    told = [ranks.Ranked("d", place, "energy", pd.DataFrame()) for place in places[1:]]
    assert headlines._broken(rows, told, at) == ["m under o3"]
    caused = rows.assign(reason="broken: it moves as a PseudoVector")
    assert headlines._broken(caused, [], at) == [], "which has a sentence of its own"


# Figures.


def test_chance_is_a_line_in_every_figure_of_accuracy(shown: Shown) -> None:
    for name in ("polar.rotations.odd", "sizes.turns.odd", "ranks.shifts.even", "tradeoffs.turns.odd"):
        text = (shown.out / f"{name}.svg").read_text()
        assert ">chance</text>" in text, name
        assert set(pd.read_csv(shown.out / f"{name}.csv")["chance"]) == {0.6}, name
    assert "Chance is 60 %." in (shown.out / "report.html").read_text()


def test_the_lines_are_where_chance_is(shown: Shown) -> None:
    from matplotlib.figure import Figure

    def dotted(figure: Figure) -> list[tuple[float, float]]:
        """The dotted lines' first and last height."""
        drawn = [
            line
            for axes in figure.axes
            for line in axes.get_lines()
            if line.get_linewidth() == 1.0 and not line.get_gid()
        ]
        ends = [np.asarray(line.get_ydata(), dtype=float) for line in drawn]
        return [(float(y[0]), float(y[-1])) for y in ends]

    (ranked,) = (
        found for found in ranks.of(tables.whole(shown.frame)) if (found.symmetry, found.dataset) == ("turns", "odd")
    )
    assert dotted(ranks.figure_of(ranked.rows, MODELS)) == [(60.0, 60.0)]
    data = tradeoffs.with_costs(ranked.rows, shown.frame, "odd")
    assert dotted(tradeoffs.figure_of(data, MODELS)).count((60.0, 60.0)) == 3, "nobody has timed them"
    none = ranked.rows.assign(chance=math.nan)
    assert dotted(ranks.figure_of(none, MODELS)) == [], "nothing is drawn where there is no chance"


def test_no_front_is_made_of_models_at_chance(shown: Shown) -> None:
    """Without parameters, a constant is cheapest; it beats nobody."""
    for ranked in ranks.of(tables.whole(shown.frame)):
        data = tradeoffs.with_costs(ranked.rows, shown.frame, ranked.dataset).set_index("model")
        fronts = data[[column for column in data if str(column).startswith("front_")]]
        assert not fronts.loc[["constant", "guesses"]].any(axis=None)
        assert not fronts.pop("front_throughput").any(), "nobody has timed them"
        assert len(fronts.columns) == 3
        assert fronts.loc["total"].all()


def test_figures_without_labels_have_none(shown: Shown) -> None:
    frame = shown.frame[shown.frame["metric"] != "chance_accuracy"]
    for (symmetry, dataset), rows in frame[frame["metric"] == "element_accuracy"].groupby(["symmetry", "dataset"]):
        elements = (
            rows[["element"]].drop_duplicates().assign(kind="permutation", size=range(rows["element"].nunique()))
        )
        known = {(str(symmetry), str(dataset)): Elements(elements)}
        drawn = list(drawing.sketches(scenes(frame, known, MODELS, METRICS.rows)))
        assert drawn
        assert all("chance" not in sketch.data or sketch.data["chance"].isna().all() for *_, sketch in drawn)
        assert not any("Chance" in sketch.alt for *_, sketch in drawn)


# The page.


def test_the_page_marks_them(shown: Shown) -> None:
    page = (shown.out / "report.html").read_text()
    assert "constant predicts one class only" in page
    assert "Predicts one class only, so that staying the same says nothing: constant." in page
    seen = glance(tables.boards(shown.frame), MODELS)
    texts = {name: [entry.text for entry in entries] for name, entries in seen.rows}
    assert texts["constant"] == ["60.0 (one class)"] * 6
    assert set(texts["total"]) == {"100.0"}
    assert texts["upright"][:2] == ["70.0", "50.0 (chance)"]
    coloured = {name: all(entry.bar is not None for entry in entries) for name, entries in seen.rows}
    assert coloured == {"constant": False, "guesses": False, "upright": True, "total": True}, (
        "by what there was to lose"
    )


def test_a_failed_cell_has_no_colour_of_a_number(shown: Shown) -> None:
    board = replace(tables.boards(shown.of("total"))[0], failed=[("upright", "it fell over")])
    entry = dict(glance([board], MODELS).rows)["upright"][0]
    assert (entry.text, entry.bar, entry.tone) == ("failed", None, "none")
    assert '<td class="none"' not in (shown.out / "report.html").read_text()


def test_even_is_said_of_what_stays(shown: Shown) -> None:
    """100 % as it is and 40 % at the worst element is no "even"; and 40.01 % to 39.99 % is no fall."""
    (board,) = (each for each in tables.boards(shown.of("upright")) if each.place[:2] == ("shifts", "odd"))
    assert board.summary == (
        "Under shifts on odd, upright is right on 40.0 % at its worst element, which is below chance (100.0 % unmoved)."
    )
    frame = shown.of("upright", "total").copy()
    at = (frame["symmetry"] == "shifts") & (frame["dataset"] == "odd") & (frame["metric"] != "chance_accuracy")
    chances = frame["metric"] == "chance_accuracy"
    frame = frame[~chances]
    at = at[~chances]
    of = {model: at & (frame["model"] == model) for model in ("upright", "total")}
    worst, clean = (frame["metric"] == name for name in (tables.WORST, tables.CLEAN))
    for chosen, number in ((of["total"] & worst, 0.5), (of["upright"] & worst, 0.3), (of["upright"] & clean, 0.3001)):
        frame.loc[chosen, ["estimate", "low", "high"]] = [number, number - 0.01, number + 0.01]
    frame.loc[of["total"] & clean, ["estimate", "low", "high"]] = [0.5, 0.49, 0.51]
    (board,) = (each for each in tables.boards(frame) if each.place[:2] == ("shifts", "odd"))
    assert (
        board.summary == "Under shifts on odd, total is right on 50.0 % even at its worst element (50.0 % unmoved)."
    )
    frame.loc[of["total"] & clean, ["estimate", "low", "high"]] = [0.9, 0.89, 0.91]
    (board,) = (each for each in tables.boards(frame) if each.place[:2] == ("shifts", "odd"))
    assert board.summary == "Under shifts on odd, total is right on 50.0 % at its worst element (90.0 % unmoved)."


def test_shares_of_places_are_called_that() -> None:
    assert tables.share_of({"segmentation"}) == "% of places"
    assert tables.share_of({"classification"}) == "%"
    rows = pd.DataFrame({"model": ["m"], "chance": [math.nan]})
    for metric, number in ((ranks.CLEAN, 0.96), (ranks.ORBIT, 0.9), (ranks.WORST, 0.8)):
        rows[metric] = rows[f"{metric}_low"] = rows[f"{metric}_high"] = number
    said = ranks.Ranked("maps", "turns", "masks", rows, "% of places")
    ((text, _),) = headlines._breaks([said], Places(frozenset()))
    assert "96.0 % of places right as it is, 90.0 % over the orbit" in text
    assert ranks.figure_of(rows, ["m"], said.of).axes[0].get_ylabel() == "accuracy, % of places"


def test_slopes_are_told_per_units_that_occur() -> None:
    row = {"model": "m", "output": "y", "dataset": "d", "symmetry": "s", "element": "rotation", "estimate": 0.1}
    rows = [
        {**row, "metric": "lie_slope", "unit": unit, "low": 0.1, "high": 0.1} for unit in ("E per rad", "E per px")
    ]
    boards = faults._lie("s on d", pd.DataFrame(rows[:1])), faults._lie("s on d", pd.DataFrame(rows))
    assert [board.note.split(" at the")[0] for board in boards] == ["E per rad", "E per rad or px"]


def test_a_rank_gained_by_standing_still_is_not_good(shown: Shown) -> None:
    ranked = [
        found for found in ranks.of(tables.whole(shown.of("constant", "upright"))) if found.symmetry == "rotations"
    ]
    lines = {line.name: line for line in sheets.ranking(ranked[:1], MODELS).groups[0].lines}
    gained = lines["constant"].entries[1]
    assert gained.detail == "rank 1, up 1, chance"
    assert gained.tone == ""
    assert lines["upright"].entries[1].tone == "bad"


def test_a_rank_says_what_the_sentence_above_it_says() -> None:
    """An accuracy that is surely below chance was called chance in the table of ranks."""
    row = {"chance": 0.116, "accuracy_rank": 1, "worst_case_accuracy_rank": 2}
    for low, found, high, said in ((0.0, 0.0, 0.008, "below chance"), (0.09, 0.11, 0.14, "chance")):
        ends = {f"worst_case_accuracy{end}": x for end, x in (("_low", low), ("", found), ("_high", high))}
        assert sheets._rank(row | ends, "worst_case_accuracy").detail == f"rank 2, down 1, {said}"


def test_names_of_places() -> None:
    columns = ["symmetry", "dataset", "output", "metric"]
    frame = pd.DataFrame(
        [("c4", "odd", "y", "E"), ("c4", "even", "y", "E"), ("d4", "odd", "y", "E"), ("d4", "odd", "z", "E"), ("s", "odd", "y", "E"), ("s", "odd", "conv", "layer_error"), ("s", "odd", None, "E")],
        columns=columns,
    )  # fmt: skip
    places = Places.of(frame)
    assert places.name("c4", "even", "y") == "c4 on even"
    assert places.name("d4", "odd", "z") == "d4, z"
    assert places.name("d4", "odd") == "d4"
    assert places.name("s", "odd", "y") == "s", "layers are no outputs"


def test_failed_cells_are_told_apart_by_their_dataset() -> None:
    cells = [
        SimpleNamespace(model="m", symmetry="c4", dataset=d, status=s)
        for d, s in (("odd", "failed"), ("even", "done"))
    ]
    rows = [
        {
            "model": "m",
            "symmetry": "c4",
            "dataset": d,
            "output": o,
            "element": None,
            "elements": e,
            "metric": "accuracy",
            "estimate": x,
            "low": x,
            "high": x,
            "reason": None,
        }
        for d, o, e, x in (("odd", None, None, math.nan), ("even", "y", "all", 1.0))
    ]
    found = headlines.of(cells, pd.DataFrame(rows), [], [], None)  # type: ignore[arg-type]
    assert found[0] == ("1 of 2 cells failed: m under c4 on odd.", "bad")


def test_chance_of_several_labels_is_that_of_always_the_likelier_answers() -> None:
    there = np.array([[True, False], [True, False], [False, False], [True, True]])
    seen = observed()
    k, n = len(seen.labels), 4
    several = replace(
        seen,
        label_targets=np.broadcast_to(there, (k, n, 2)),
        label_scores=np.full((k, n, 2), -1.0),
        valid=np.ones((k, n), dtype=bool),
    )
    assert value("chance_accuracy", several) == 0.75
    assert value("predicted_classes", several) == 1, "no label of any sample"


def test_a_gate_on_staying_the_same_says_who_has_collapsed(case: CaseOf) -> None:
    net = case("collapsed")
    suite = net.path / "suite.yaml"
    suite.write_text(f"{suite.read_text()}\ngates:\n- {{metric: consistency, at_least: 0.5}}\n")
    net.run()
    ran = net.gate()
    assert re.search(
        r"note: constant on \S+ under \S+ predicts one class only: that it stays the same says nothing", ran.out
    )
    assert "upright on" not in "".join(line for line in ran.out.splitlines() if line.startswith("note:"))
