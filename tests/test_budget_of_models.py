"""``budget:`` of a model's entry: the width whose count comes nearest, as if it had been written there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Folder, Symbench
from torch import Tensor, nn

import symbench as sb
from symbench.base.errors import ConfigError, SuiteError
from symbench.base.events import Event, Note, ignore
from symbench.base.registry import Options
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.models import MODELS, ModelRow, Width
from symbench.domains.common.models.inputs import takes
from symbench.domains.graphs import ENCODINGS
from symbench.face.api import prepare
from symbench.measure.assemble.width import search
from symbench.measure.plan import pairs, parse_only
from symbench.measure.plan.resolve import resolve
from symbench.measure.plan.widths import Counting
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import load

DATA = {
    "digits": ("{use: digits, size: 9}", "{group: C4, on: image}"),
    "sets": ("{use: sets, items: 6, samples: 20}", "{group: S6, on: set}"),
    "graphs": ("{use: graphs, nodes: [3, 5], samples: 20}", "{group: S, on: features}"),
    "shapes": ("{use: shapes, points: 6, samples: 20}", "{group: SO3, on: positions, elements: 2}"),
    "n-body": ("{use: n-body, samples: 20}", "{group: SO3, on: positions, elements: 2}"),
    "organs": ("{use: organs, shape: [5, 5, 5], samples: 20}", "{group: O, on: volume}"),
    "encoded": ("{use: graphs, nodes: [3, 5], samples: 20, encoding: laplacian}", "{group: signs4, on: encodings}"),
}
"""Data of five domains, and a symmetry on each."""


FIELDS = {name: DATASETS.row(name).fields for name in DATA if name != "encoded"}
FIELDS["encoded"] = {**FIELDS["graphs"], **ENCODINGS}


def written(folder: Folder, models: str) -> Path:
    """A suite of these models, one a line, on the data that their lines name."""
    used = [name for name in DATA if f"dataset: {name}" in models]
    lines = ["version: 1", "name: small", "models:", *models.splitlines()]
    lines += ["datasets:", *(f"  {name}: {DATA[name][0]}" for name in used)]
    lines += ["symmetries:", *(f"  on-{name}: {DATA[name][1]}" for name in used)]
    folder.suite.write_text("\n".join(lines) + "\n")
    return folder.suite


def planned(path: Path, heard: list[Event] | None = None, only: str | None = None) -> Workspace:
    suite = load(path)
    return resolve(
        suite,
        pairs(suite, parse_only(only) if only else None),
        device="cpu",
        listen=ignore if heard is None else heard.append,
    )


def mlp(w: int, d: int = 81, o: int = 10) -> int:
    return (d * w + w) + (w * w + w) + (w * o + o)


def cnn(w: int, c: int = 1, o: int = 10) -> int:
    """Four convolutions without bias, each with a scale and a shift for every channel, and a linear head."""
    return (9 * c * w + 2 * w) + (9 * w * 2 * w + 4 * w) + 2 * (9 * 2 * w * 2 * w + 4 * w) + (2 * w * o + o)


def p4(w: int, c: int = 1, o: int = 10) -> int:
    """The same with four orientations of every channel that is convolved."""
    return (9 * c * w + 2 * w) + (36 * w * 2 * w + 4 * w) + 2 * (36 * 2 * w * 2 * w + 4 * w) + (2 * w * o + o)


def deep_sets(w: int, d: int = 2, o: int = 4) -> int:
    return (d * w + w) + 3 * (w * w + w) + (w * o + o)


def mlp_flops(w: int) -> int:
    return 2 * (81 * w + w * w + w * 10)


def cnn_flops(w: int) -> int:
    """A multiply-add is two: 9 x 9 places, 5 x 5 after one stride, 3 x 3 after two."""
    convolutions = 9 * w * 81 + 9 * w * 2 * w * 25 + 2 * 9 * 2 * w * 2 * w * 9
    return 2 * (convolutions + 2 * w * 10)


FORMULAS = {
    "mlp": ("mlp", "parameters", mlp, "digits"),
    "cnn": ("cnn", "parameters", cnn, "digits"),
    "p4-cnn": ("p4-cnn", "parameters", p4, "digits"),
    "deep-sets": ("deep-sets", "parameters", deep_sets, "sets"),
    "mlp-flops": ("mlp", "flops", mlp_flops, "digits"),
    "cnn-flops": ("cnn", "flops", cnn_flops, "digits"),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("at", [10, 23])
def test_the_width_is_the_one_whose_count_by_hand_comes_nearest(folder: Folder, name: str, at: int) -> None:
    use, kind, formula, data = FORMULAS[name]
    budget = round(1.03 * formula(at))  # of no width exactly
    model = f"  m: {{use: {use}, budget: {{{kind}: {budget}}}, only: {{dataset: {data}}}}}"
    heard: list[Event] = []
    space = planned(written(folder, model), heard)
    nearest = min(range(1, 200), key=lambda width: abs(formula(width) - budget))
    assert space.plan.models["m"].broken is None
    assert space.suite.models["m"].options["width"] == nearest
    unit = "parameters" if kind == "parameters" else "floating-point operations"
    told = f"m: width {nearest} of a budget of {budget:,} {unit}: {formula(nearest):,}"
    assert told in [event.text for event in heard if isinstance(event, Note)]


@pytest.mark.parametrize("budget", ["parameters: 6000", "flops: 9.0e5"])
def test_a_budget_is_the_same_as_the_width_written_out(folder: Folder, budget: str) -> None:
    train = "train: {on: digits, epochs: 1}"

    def models(size: str) -> str:
        only = "only: {dataset: digits}"
        return f"  fresh: {{use: cnn, {size}, {only}}}\n  trained: {{use: cnn, {size}, {train}, {only}}}"

    chosen = planned(written(folder, models(f"budget: {{{budget}}}")))
    width = chosen.suite.models["fresh"].options["width"]
    by_hand = planned(written(folder, models(f"width: {width}")))
    assert [cell.key for cell in chosen.plan.cells] == [cell.key for cell in by_hand.plan.cells]
    assert chosen.plan.recipes == by_hand.plan.recipes
    assert chosen.plan.recipes["trained"]["options"] == {"width": width}
    another = planned(written(folder, models(f"width: {width + 1}")))
    assert {cell.key for cell in chosen.plan.cells}.isdisjoint(cell.key for cell in another.plan.cells)
    assert chosen.plan.asked != by_hand.plan.asked, "what was asked for is another thing"
    resolved = chosen.suite.resolved()["models"]["fresh"]
    assert resolved["width"] == width
    assert "budget" in resolved
    assert "width" not in load(written(folder, models(f"budget: {{{budget}}}"))).models["fresh"].options


def test_one_width_of_many_replicas_is_said_once(folder: Folder) -> None:
    train = "train: {on: digits, epochs: 1}"
    model = (
        f"  m: {{use: cnn, budget: {{parameters: 6000}}, {train}, sweep: {{seeds: 3}}, only: {{dataset: digits}}}}"
    )
    heard: list[Event] = []
    planned(written(folder, model), heard)
    assert [event.text for event in heard if isinstance(event, Note) and "budget" in event.text] == [
        "m: width 8 of a budget of 6,000 parameters: 6,114"
    ]


def test_a_run_records_the_width_and_meets_the_budget(folder: Folder, symbench: Symbench) -> None:
    models = "\n".join(
        [
            "  conv: {use: cnn, budget: {flops: 9.0e5}, only: {dataset: digits}}",
            "  mean: {use: cnn, budget: {flops: 9.0e5}, average: on-digits, only: {dataset: digits}}",
            "  rows: {use: deep-sets, budget: {flops: 4.0e4}, only: {dataset: sets}}",
            "  messages: {use: gnn, budget: {flops: 2.0e5}, only: {dataset: graphs}}",
            "  numbers: {use: deep-sets, budget: {parameters: 2000}, only: {dataset: sets}}",
        ]
    )
    path = written(folder, models)
    assert symbench("run", path, "--limit", "12", "--results", folder.results).code == 0
    run = sb.open_run(results=folder.results)
    facts = {}
    for cell in run.manifest.cells:
        record = run.store.cell(cell.key)
        assert record is not None
        facts[cell.model] = record.facts
    for name, (metric, budget) in {
        "conv": ("flops", 9e5),
        "mean": ("flops", 4 * 9e5),
        "rows": ("flops", 4e4),
        "messages": ("flops", 2e5),
        "numbers": ("trainable_parameters", 2000),
    }.items():
        assert facts[name][metric] == pytest.approx(budget, rel=0.05), name
    width = run.manifest.suite["models"]["conv"]["width"]
    assert facts["conv"]["flops"] == cnn_flops(width)
    assert symbench("report", "--results", folder.results, "--output", folder.path / "report").code == 0
    page = (folder.path / "report" / "report.html").read_text()
    assert f"width {width} of a budget of 900,000 flops" in page
    assert f"width {width} of a budget of 900,000 flops, averaged over on-digits" in page


OF_SOME_SHAPES = {"aps-cnn", "p4-orientation"}
"""Models that refuse this data: sides not divisible by 4, other numbers of classes than 2 and 4."""


@pytest.mark.parametrize(
    "use",
    [
        name
        for name, row in MODELS.rows.items()
        if "width" in row.options.model_fields and not row.source and name not in OF_SOME_SHAPES
    ],
)
def test_counts_without_numbers_are_those_with_numbers(folder: Folder, use: str) -> None:
    """Of every model that has a width, but for packed ones: what these do depends on how many places are real."""
    data = next(name for name in DATA if takes(MODELS.row(use).inputs, FIELDS[name]) is not None)
    space = planned(written(folder, f"  m: {{use: {use}, width: 8, only: {{dataset: {data}}}}}"))
    counts = {}
    for device in ("meta", "cpu"):
        counting = Counting(space, "m", *space.made_for("m", data), space.data_of(data), (device,))
        module = counting.built(device, 8)
        if device == "cpu" or getattr(module, "layout", "padded") == "padded":
            counts[device] = counting.operations(module, device)
    assert counts["cpu"] > 0
    assert counts.get("meta", counts["cpu"]) == counts["cpu"]


def brute(count: Callable[[int], float | None], budget: float, least: int, most: int) -> tuple[object, object]:
    known = [(w, c) for w in range(least, most + 1) if (c := count(w)) is not None]
    below = [each for each in known if each[1] < budget]
    above = [each for each in known if each[1] >= budget]
    return (below[-1] if below else None), (above[0] if above else None)


COUNTS: dict[str, Callable[[int], float | None]] = {
    "linear": lambda w: 7.0 * w + 3,
    "quadratic": lambda w: 90.0 * w * w + 40 * w + 10,
    "steps": lambda w: float(w // 8),
    "every 16th": lambda w: None if w % 16 else 3.0 * w * w,
    "odd": lambda w: None if w % 2 == 0 else 5.0 * w,
    "from 40 on": lambda w: None if w < 40 else float(w),
    "nowhere": lambda w: None,
}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("most", [1, 100, 300])
def test_the_search_finds_both_sides(name: str, most: int) -> None:
    asked: list[int] = []

    def count(width: int) -> float | None:
        asked.append(width)
        return COUNTS[name](width)

    for budget in (0.5, 1, 9, 10, 139, 140, 141, 5000, 12288, 1e6, 1e9):
        found = search(count, budget, 1, most)
        assert (found.below, found.above) == brute(COUNTS[name], budget, 1, most), budget
    assert all(1 <= width <= most for width in asked)


def test_the_search_is_short() -> None:
    asked: set[int] = set()

    def count(width: int) -> float:
        asked.add(width)
        return 90.0 * width**2 + 40 * width + 10

    assert search(count, 60_000, 1, 4096).chosen(60_000) == (26, 61_890.0)
    assert len(asked) <= 10


class Headed(nn.Module):
    """Looks at its numbers while it is built and run, and has heads of a quarter of its width."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(f"{width} is no multiple of 4 heads")
        self.first = nn.Linear(shape[0] * shape[1] * shape[2], width)
        self.last = nn.Linear(width, outputs)
        self.scale = float(self.first.weight.abs().max())
        self.last.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x.flatten(1))
        out: Tensor = self.last(hidden / max(float(hidden.abs().max()), self.scale))
        return out


class HeadedOptions(Options):
    width: Width = 32


@pytest.mark.parametrize(
    ("budget", "width"),
    [("parameters: 1090", 12), ("parameters: 1110", 12), ("parameters: 1448", 16), ("flops: 2184", 12), ("flops: 2900", 16)],
)  # fmt: skip
def test_widths_that_cannot_be_built_are_passed_over(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, budget: str, width: int
) -> None:
    """``82 w + 10 w`` trainable ones, the bias of the head being none; and 2 (81 w + 10 w) operations."""
    monkeypatch.setitem(MODELS.rows, "headed", ModelRow(f"{__name__}:Headed", "", HeadedOptions))
    space = planned(written(folder, f"  m: {{use: headed, budget: {{{budget}}}, only: {{dataset: digits}}}}"))
    assert space.plan.models["m"].broken is None
    assert space.suite.models["m"].options["width"] == width


def test_one_that_can_be_built_at_no_width_says_why(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS.rows, "headed", ModelRow(f"{__name__}:Broken", "", HeadedOptions))
    space = planned(written(folder, "  m: {use: headed, budget: {parameters: 99}, only: {dataset: digits}}"))
    assert "there is no such thing" in str(space.plan.models["m"].broken)


class Broken(nn.Module):
    def __init__(self, **options: object) -> None:
        raise RuntimeError("there is no such thing")


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (
            f"parameters: {(p4(2) + p4(3)) // 2}",
            f"small.yaml:4: models.m.budget: got {(p4(2) + p4(3)) // 2:,} parameters, from which every width is more than 5 % "
            f"away: width 2 has {p4(2):,} and width 3 has {p4(3):,}. Say a budget of {p4(2):,} or {p4(3):,}, or width: 2 in "
            "its place.",
        ),
        (
            "parameters: 20",
            f"small.yaml:4: models.m.budget: got 20 parameters, from which every width is more than 5 % away: width 1 has "
            f"{p4(1):,}, the narrowest. Say a budget of {p4(1):,}, or width: 1 in its place.",
        ),
        (
            "parameters: 1000000000000",
            "small.yaml:4: models.m.budget: got 1,000,000,000,000 parameters, from which every width is more than 5 % away: "
            f"width 4096 has {p4(4096):,}, the widest. Say a budget of {p4(4096):,}, or width: 4096 in its place.",
        ),
    ],
)  # fmt: skip
def test_a_budget_that_no_width_meets_fails_its_cells_alone(
    folder: Folder, symbench: Symbench, budget: str, message: str
) -> None:
    models = f"  m: {{use: p4-cnn, budget: {{{budget}}}, only: {{dataset: digits}}}}\n"
    path = written(folder, models + "  other: {use: mlp, width: 4, only: {dataset: digits}}")
    space = planned(path)
    assert str(space.plan.models["m"].broken) == message
    done = symbench("run", path, "--limit", "4", "--results", folder.results)
    assert done.code == 3
    statuses = {cell.model: cell.status for cell in sb.open_run(results=folder.results).manifest.cells}
    assert statuses["m"] == "failed"
    assert statuses["other"] != "failed"


def test_five_percent_away_is_near_enough(folder: Folder) -> None:
    path = written(
        folder, f"  m: {{use: p4-cnn, budget: {{parameters: {round(p4(2) / 1.049)}}}, only: {{dataset: digits}}}}"
    )
    assert planned(path).plan.models["m"].broken is None
    path = written(
        folder, f"  m: {{use: p4-cnn, budget: {{parameters: {round(p4(2) / 1.052)}}}, only: {{dataset: digits}}}}"
    )
    assert planned(path).plan.models["m"].broken is not None


def test_datasets_that_want_other_widths_are_refused(folder: Folder) -> None:
    suite = """\
version: 1
name: small
datasets:
  small: {use: digits, size: 9}
  large: {use: digits, size: 15}
models:
  m: {use: mlp, budget: {parameters: 5000}%s}
symmetries:
  turns: {group: C4, on: image}
"""
    assert min(range(1, 99), key=lambda w: abs(mlp(w) - 5000)) == 38
    assert min(range(1, 99), key=lambda w: abs(mlp(w, d=225) - 5000)) == 19
    folder.suite.write_text(suite % "")
    said = str(planned(folder.suite).plan.models["m"].broken)
    assert said == (
        "small.yaml:7: models.m.budget: got one budget for several widths: 38 for small, 19 for large, expected one. "
        "Give each dataset an entry of its own with only:, or train the model, which is then built once."
    )
    for alone, width in (("small", 38), ("large", 19)):
        assert planned(folder.suite, only=f"dataset={alone}").suite.models["m"].options["width"] == width
    folder.suite.write_text(suite % ", size: 9")
    space = planned(folder.suite)
    assert space.suite.models["m"].options["width"] == 38, "both are brought to one size"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("use: cnn, width: 8, budget: {parameters: 600}", "models.m.budget: got both width and budget, expected one of them."),
        ("use: torchvision/resnet18, budget: {parameters: 600}", "got a budget for torchvision/resnet18, which has no width, expected a model that has one: "),
        ('use: "model.py:build", budget: {parameters: 600}', "got a budget for code of your own, whose width nobody knows, expected a built-in model with a width. Say under args: what meets it."),
        ("use: cnn, budget: {}", "models.m.budget: got {}, expected parameters or flops, one of them."),
        ("use: cnn, budget: {parameters: 6, flops: 6.0}", "expected parameters or flops, one of them."),
        ("use: cnn, budget: {parameters: 0}", "models.m.budget.parameters: got 0, expected 1 or more."),
        ("use: cnn, budget: {parameters: 1.5}", "models.m.budget.parameters: got 1.5, expected a whole number."),
        ("use: cnn, budget: {flops: 0.0}", "models.m.budget.flops: got 0.0, expected a number above 0."),
        ("use: cnn, budget: {params: 6}", "got unknown key 'params', expected one of parameters, flops. Did you mean 'parameters'?"),
        ("use: cnn, budget: 600", "models.m.budget: got 600, expected a mapping."),
        ("use: cnnn, budget: {parameters: 600}", "Did you mean 'cnn'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_budget_is_said(folder: Folder, entry: str, message: str) -> None:
    with pytest.raises(SuiteError) as raised:
        load(written(folder, f"  m: {{{entry}, only: {{dataset: digits}}}}"))
    assert message in str(raised.value)
    assert len(raised.value.problems) == 1


def test_planning_draws_nothing_from_the_global_generator(folder: Folder) -> None:
    path = written(folder, "  m: {use: cnn, budget: {flops: 9.0e5}, only: {dataset: digits}}")
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    space, _ = prepare(path, sb.Choices(device="cpu"))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert isinstance(space.suite.models["m"].options["width"], int)
    with pytest.raises(ConfigError):
        load(written(folder, "  m: {use: cnn, budgets: {flops: 9.0e5}, only: {dataset: digits}}"))
