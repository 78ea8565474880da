"""What models of users return, and what is measured of it: declared, noticed, or refused with the line to add."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Case, CaseOf
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss

from symbench.base.records import CellRecord
from symbench.read.report.tables import boards


def module_of(file: str) -> Any:
    """A file of the cases, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"cases.{file}", ROOT / "tests" / "cases" / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BARS = module_of("bars.py").load()
IMAGES, LABELS = BARS.images, torch.tensor(BARS.labels)
TURNED = [IMAGES.rot90(turns, (2, 3)) for turns in range(4)]


def tilt(images: torch.Tensor) -> torch.Tensor:
    """How much brighter the standing bar's place is than the lying one's."""
    return images[:, 0, 4:11, 7].sum(1) - images[:, 0, 7, 4:11].sum(1)


def first(case: Case, metric: str, model: str, **names: str) -> Any:
    """A metric's row over all elements."""
    frame = case.frame()
    rows = frame[(frame["metric"] == metric) & (frame["model"] == model) & frame["element"].isna()]
    for column, name in names.items():
        rows = rows[rows[column] == name]
    return rows.iloc[0]


def record_of(case: Case, model: str) -> CellRecord:
    manifest = json.loads(next((case.results / "runs").glob("*.json")).read_text())
    key = next(cell["key"] for cell in manifest["cells"] if cell["model"] == model)
    return CellRecord.model_validate_json((case.results / "cells" / key[:2] / key / "cell.json").read_bytes())


def report(case: Case, symbench: Any) -> str:
    """The report in Markdown; the page is drawn as well."""
    ran = symbench("report", "--results", case.results, "--output", case.path / "report", "--format", "md,html,csv")
    assert ran.code == 0, ran.err
    assert (case.path / "report" / "report.html").stat().st_size > 10_000
    return (case.path / "report" / "report.md").read_text()


# Probabilities.


def test_probabilities_are_noticed_said_and_not_put_through_softmax_again(case: CaseOf, symbench: Any) -> None:
    net = case("after_softmax")
    ran = net.run()
    assert ran.code == 0, ran.err
    chances = [torch.stack([-tilt(x), tilt(x)], 1).double().softmax(1) for x in TURNED]
    top = chances[0].argmax(1, keepdim=True)
    loss = float(-chances[0].gather(1, LABELS[:, None]).log().mean())
    change = float(torch.stack([(p.gather(1, top) - chances[0].gather(1, top)).abs() for p in chances[1:]]).mean())
    assert loss == pytest.approx(0.000247, abs=1e-6)
    assert change == pytest.approx(0.6663, abs=1e-4)
    for model in ("net", "declared", "logits"):
        assert net.estimate("loss", model=model) == pytest.approx(loss, rel=1e-3), model
        assert net.estimate("confidence_change", model=model) == pytest.approx(change, rel=1e-5), model
    said = "net: its output is taken for probabilities, for it holds rows that are 0 or more and sum to 1"
    assert said in ran.err
    assert "outputs: {logits: probabilities} in the model's entry makes that certain" in ran.err
    assert "declared: its" not in ran.err
    assert "logits: its" not in ran.err
    assert said in report(net, symbench)
    forms = {model: record_of(net, model).outputs["logits"] for model in ("net", "declared", "logits")}
    assert {model: (each["form"], each["said"]) for model, each in forms.items()} == {
        "net": ("probabilities", "noticed"),
        "declared": ("probabilities", "declared"),
        "logits": ("logits", "assumed"),
    }


def test_what_was_noticed_is_said_once_for_all_cells_of_a_model(case: CaseOf) -> None:
    net = case("after_softmax")
    edit(net, "{group: C4, on: image}", "{group: C4, on: image}\n  flips: {group: D1, on: image}")
    ran = net.run("--only", "model=net")
    assert ran.code == 0, ran.err
    assert ran.err.count("taken for probabilities") == 1
    said = net.frame()[net.frame()["remark"].notna()]
    assert said["symmetry"].tolist() == ["turns", "flips"]


def test_what_was_noticed_depends_on_no_batch(case: CaseOf) -> None:
    one, two = case("after_softmax"), case("several_labels")
    assert one.run("--only", "model=net", "--batch-size", "1").code == 0
    assert record_of(one, "net").outputs["logits"]["said"] == "noticed"
    assert two.run("--only", "model=sigmoid,dataset=floats", "--batch-size", "7").code == 0
    assert record_of(two, "sigmoid").outputs["logits"]["said"] == "noticed"


def test_declared_probabilities_have_to_be_some(case: CaseOf) -> None:
    net = case("after_softmax")
    edit(net, "args: {after: nothing}", "args: {after: nothing}, outputs: {logits: probabilities}")
    ran = net.run("--only", "model=logits")
    assert ran.code == 3
    assert "output 'logits' is declared as probabilities and holds none, expected rows that are 0 or more" in ran.err
    assert "Say outputs: {logits: logits} in the model's entry if they are logits." in ran.err


def edit(case: Case, old: str, new: str, name: str = "suite.yaml") -> None:
    text = (case.path / name).read_text()
    assert old in text
    (case.path / name).write_text(text.replace(old, new))


# Embeddings.


def embeddings() -> list[torch.Tensor]:
    """Of the unmoved and of the turned bars, in float64, by the case's own lines."""
    torch.manual_seed(3)
    see, head = torch.nn.Conv2d(1, 8, 3, padding=1).double(), torch.nn.Linear(8, 6).double()
    with torch.no_grad():
        vectors = [head(3 * see(x.double()).relu().amax((2, 3))) for x in TURNED]
    return [8 * v / v.norm(dim=1, keepdim=True) for v in vectors]


def test_unlabelled_vectors_are_an_embedding_and_no_class_scores(case: CaseOf, symbench: Any) -> None:
    net = case("unlabelled_embedding")
    ran = net.run()
    assert ran.code == 0, ran.err
    still, *moved = embeddings()
    squares = torch.stack([torch.cdist(a, still).square() for a in moved])  # (turns, moved, unmoved)
    own = squares.diagonal(dim1=1, dim2=2)
    others = (squares.sum((1, 2)) - own.sum(1)) / (40 * 39)
    expected = {
        "equivariance_error": float((own.mean() / others.mean()).sqrt()),
        "absolute_error": float(own.sqrt().mean()),
        "cosine_similarity": float(torch.stack([(a * still).sum(1) / 64 for a in moved]).mean()),
        "recall_at_1": float((squares.argmin(2) == torch.arange(40)).double().mean()),
    }
    assert expected["equivariance_error"] == pytest.approx(1.104, abs=1e-3)
    assert expected["absolute_error"] == pytest.approx(0.899, abs=1e-3)
    for model in ("net", "declared"):
        for metric, value in expected.items():
            assert net.estimate(metric, model=model) == pytest.approx(value, rel=1e-4), (model, metric)
        for metric in ("consistency", "kappa", "confidence_change", "accuracy", "loss"):
            assert np.isnan(first(net, metric, model)["estimate"]), metric
        assert first(net, "consistency", model)["reason"] == "no class predictions"
    assert net.estimate("consistency", model="scores") == pytest.approx(0.467, abs=1e-3)
    said = "net: its output is taken for an embedding, for nothing says that it holds class scores"
    assert said in ran.err
    assert (
        "outputs: {embedding: embedding} or outputs: {logits: logits} in the model's entry says which it is"
        in ran.err
    )
    assert "declared: its" not in ran.err
    text = report(net, symbench)
    assert said in text
    assert "recall@1" in text


def test_a_label_of_none_is_no_label(case: CaseOf) -> None:
    net = case("unlabelled_embedding")
    edit(net, "data.py:load", "data.py:with_none")
    assert net.run("--only", "model=declared").code == 0
    assert net.estimate("absolute_error", model="declared") == pytest.approx(0.899, abs=1e-3)


def test_a_model_that_names_classes_returns_their_scores(case: CaseOf) -> None:
    net = case("unlabelled_embedding")
    edit(
        net,
        "        torch.manual_seed(3)\n",
        "        torch.manual_seed(3)\n        self.classes = list('abcdef')\n",
        "model.py",
    )
    ran = net.run("--only", "model=net")
    assert ran.code == 0, ran.err
    assert net.estimate("consistency", model="net") == pytest.approx(0.467, abs=1e-3)
    assert "taken" not in ran.err


# Several outputs.


def test_several_outputs_have_to_be_declared(case: CaseOf) -> None:
    net = case("several_outputs")
    ran = net.run()
    assert ran.code == 3
    said = "net: returned 'out' (n, 2) and 'aux' (n, 8, 15, 15), expected one output, or a declaration."
    assert said in ran.err
    assert "Say which with outputs: {out: logits} in the model's entry." in ran.err
    validated = net.symbench("validate", net.path / "suite.yaml")
    assert validated.code == 3
    assert said in validated.out


def test_outputs_are_found_by_name_or_by_place(case: CaseOf) -> None:
    net = case("several_outputs")
    (net.path / "suite.yaml").write_text((net.path / "declared.yaml").read_text())
    ran = net.run()
    assert ran.code == 0, ran.err
    models = ("dict", "dataclass", "named", "tuple", "swapped", "tensor")
    errors = {model: first(net, "equivariance_error", model, output="out")["estimate"] for model in models}
    assert len(set(errors.values())) == 1
    maps = {model: first(net, "equivariance_error", model, output="aux")["estimate"] for model in models[:-1]}
    assert len(set(maps.values())) == 1
    torch.manual_seed(3)
    see = torch.nn.Conv2d(1, 8, 3, padding=1)
    with torch.no_grad():
        found = [(see(x) - see(IMAGES).rot90(k, (2, 3))).flatten(1).norm(dim=1) for k, x in enumerate(TURNED)]
    assert first(net, "absolute_error", "dict", output="aux")["estimate"] == pytest.approx(
        float(torch.stack(found[1:]).mean()), rel=1e-5
    )
    assert "taken" not in ran.err


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            "one",
            "net: 'out' is taken for its output, the only one that can be; outputs: {out: logits} in the model's",
        ),
        (
            "tuple",
            "net: it returned (n, 2) and (n, 8, 15, 15): the first is taken for its output; outputs: {logits: ",
        ),
    ],
)
def test_an_only_output_and_the_first_of_a_tuple_are_taken_and_that_is_said(
    case: CaseOf, shape: str, said: str
) -> None:
    net = case("several_outputs")
    edit(net, '"model.py:build"', f'"model.py:build", args: {{shape: {shape}}}')
    ran = net.run()
    assert ran.code == 0, ran.err
    assert said in ran.err
    assert net.estimate("accuracy", model="net") == 0.5


def test_an_output_that_is_not_there_is_an_error_with_the_ones_that_are(case: CaseOf) -> None:
    net = case("several_outputs")
    edit(net, '"model.py:build"', '"model.py:build", outputs: {logit: logits}')
    ran = net.run()
    assert ran.code == 3
    assert "returned 'out' (n, 2) and 'aux' (n, 8, 15, 15), and no 'logit', expected every output" in ran.err
    assert "Name it as the model does: outputs: {out: logits} in its entry." in ran.err


def test_maps_have_to_be_some(case: CaseOf) -> None:
    net = case("several_outputs")
    edit(net, '"model.py:build"', '"model.py:build", outputs: {out: image}')
    said = "output 'out' is declared as maps and has shape (n, 2), expected (n, c, h, w). Say outputs: {out: scalar}"
    ran = net.run()
    assert ran.code == 3
    assert said in ran.err
    assert said in net.symbench("validate", net.path / "suite.yaml").out


def test_a_declaration_by_another_name_is_compared_with_the_run_before_it(case: CaseOf) -> None:
    """The name of an only output does not matter: the line that a remark asks for breaks no baseline."""
    net = case("several_outputs")
    edit(net, '"model.py:build"', '"model.py:build", args: {shape: one}')
    assert net.run().code == 0
    before = next((net.results / "runs").glob("*.json"))
    edit(net, "shape: one}", "shape: one}, outputs: {out: logits}")
    assert net.run().code == 0
    after = next(path for path in (net.results / "runs").glob("*.json") if path != before)
    ran = net.symbench("compare", before, after, "--results", net.results)
    assert "not comparable" not in ran.out
    assert "only in" not in ran.out
    assert " same" in ran.out or "inconclusive" in ran.out


def test_an_unknown_word_is_refused_with_its_line(case: CaseOf) -> None:
    net = case("several_outputs")
    edit(net, '"model.py:build"', '"model.py:build", outputs: {out: logit}')
    ran = net.run()
    assert ran.code == 2
    assert "suite.yaml:6: models.net.outputs.out: got 'logit', expected" in ran.err
    assert "'logits'" in ran.err


# One number for two classes.


def test_one_number_tells_two_classes_apart(case: CaseOf, symbench: Any) -> None:
    net = case("one_logit")
    ran = net.run("--only", "dataset=bars")
    assert ran.code == 0, ran.err
    chances = [(tilt(x) + x[:, 0, 0, 0]).double().sigmoid().numpy() for x in TURNED]
    still, moved = chances[0], np.stack(chances[1:])
    before = still > 0.5
    sure = np.where(before, still, 1 - still)
    off = [np.subtract.outer(p, still) ** 2 for p in moved]
    expected = {
        "accuracy": accuracy_score(LABELS, before),
        "orbit_accuracy": np.mean([accuracy_score(LABELS, p > 0.5) for p in chances]),
        "loss": log_loss(LABELS, still),
        "consistency": np.mean((moved > 0.5) == before),
        "confidence_change": np.mean(np.abs(np.where(before, moved, 1 - moved) - sure)),
        "averaged_accuracy": accuracy_score(LABELS, np.mean(chances, axis=0) > 0.5),
        "averaged_loss": log_loss(LABELS, np.mean(chances, axis=0)),
        "symmetrisation_gain": np.mean([log_loss(LABELS, p) for p in chances])
        - log_loss(LABELS, np.mean(chances, axis=0)),
        "equivariance_error": np.sqrt(
            np.mean([np.diag(d) for d in off]) / np.mean([d[~np.eye(40, dtype=bool)] for d in off])
        ),
    }
    for model in ("flat", "column", "sigmoid", "declared"):
        for metric, value in expected.items():
            assert net.estimate(metric, model=model) == pytest.approx(value, rel=1e-5, abs=1e-9), (model, metric)
    assert set(net.frame()["task"].dropna()) == {"binary"}
    assert "sigmoid: its output is taken for probabilities, for it holds numbers in [0, 1] alone" in ran.err
    assert {board.title for board in boards(net.frame())} == {"turns on bars"}  # one table for all
    assert "one number for two classes" in report(net, symbench)


def test_labels_of_0_and_1_as_floats_are_two_classes(case: CaseOf) -> None:
    net = case("one_logit")
    assert net.run("--only", "model=flat").code == 0
    frame = net.frame()
    loss = frame[(frame["metric"] == "loss")].set_index("dataset")["estimate"]
    assert loss["floats"] == loss["bars"] < 0.02


def test_one_number_trains_by_its_own_loss_once_it_is_known_what_it_is(case: CaseOf) -> None:
    net = case("one_logit")
    (net.path / "suite.yaml").write_text((net.path / "train.yaml").read_text())
    ran = net.run()
    assert ran.code == 3
    assert "silent: output 'logits' is in [0, 1] before training: probabilities, or logits that are" in ran.err
    assert "Say outputs: {logits: probabilities} or outputs: {logits: logits} in the model's entry." in ran.err
    for model in ("logit", "chance"):
        assert net.estimate("accuracy", model=model) == 1, model
        assert net.estimate("loss", model=model) < 0.1, model


def test_a_third_class_is_too_much_for_one_number(case: CaseOf) -> None:
    net = case("one_logit")
    edit(net, "[Tensor, float]:", "[Tensor, int]:", "data.py")
    edit(net, "return image, float(label)", "return image, label + (index == 7)", "data.py")
    for command in ("run", "validate"):
        options = ("--results", net.results) if command == "run" else ()
        ran = net.symbench(command, net.path / "suite.yaml", "--only", "model=flat,dataset=floats", *options)
        assert ran.code == 3
        said = "label is 2" if command == "run" else "sample 7 has label 2"
        assert "has 1 output" in ran.out + ran.err
        assert f"{said}, expected as many outputs as classes, or 0 and 1" in ran.out + ran.err


# Several labels.


def scores_of_bars() -> list[np.ndarray]:
    """Which labels are there, and the scores of the images as they are and turned, by the model's own lines."""
    pixels, there = module_of("several_labels/data.py").images(60)
    found = [there.numpy()]
    for k in range(4):
        x = pixels.rot90(k, (2, 3))
        columns = (x[:, 0, 7, 4:11].sum(1) - 2.5, x[:, 0, 4:11, 7].sum(1) - 2.5, 20 * (x[:, 0, 0, 0] - 0.1))
        found.append(torch.stack(columns, 1).double().numpy())
    return found


def test_several_labels_against_scikit_learn(case: CaseOf, symbench: Any) -> None:
    net = case("several_labels")
    ran = net.run()
    assert ran.code == 0, ran.err
    there, *each = scores_of_bars()
    said = [one > 0 for one in each]
    chances = [1 / (1 + np.exp(-one)) for one in each]
    expected = {
        "accuracy": np.mean(said[0] == there),
        "orbit_accuracy": np.mean([one == there for one in said]),
        "worst_element_accuracy": min(np.mean(one == there) for one in said),
        "worst_case_accuracy": np.mean(np.min([(one == there).mean(1) for one in said], axis=0)),
        "exact_match": accuracy_score(there, said[0]),
        "mean_average_precision": average_precision_score(there, each[0], average="macro"),
        "orbit_mean_average_precision": np.mean([average_precision_score(there, one) for one in each]),
        "micro_f1": f1_score(there, said[0], average="micro"),
        "orbit_micro_f1": f1_score(np.concatenate([there] * 4), np.concatenate(said), average="micro"),
        "macro_f1": f1_score(there, said[0], average="macro"),
        "orbit_macro_f1": np.mean([f1_score(there, one, average="macro") for one in said]),
        "consistency": np.mean([one == said[0] for one in said[1:]]),
        "confidence_change": np.mean([np.abs(one - chances[0]) for one in chances[1:]]),
        "loss": np.mean([log_loss(there[:, label], chances[0][:, label]) for label in range(3)]),
    }
    frame = net.frame()
    whole = frame[frame["element"].isna()].set_index(["model", "dataset", "metric"])["estimate"]
    for model in ("net", "sigmoid", "declared"):
        for dataset in ("floats", "lists"):
            for metric, value in expected.items():
                assert whole[model, dataset, metric] == pytest.approx(value, rel=1e-5), (model, dataset, metric)
    rows = frame[(frame["metric"] == "mean_average_precision") & frame["element"].notna() & (frame["model"] == "net")]
    by_turn = [average_precision_score(there, one) for one in each]
    assert rows[rows["dataset"] == "lists"]["estimate"].tolist() == pytest.approx(by_turn, rel=1e-5)
    reasons = frame.set_index("metric")["reason"]
    assert "several labels" in str(reasons["worst_of_m"].iloc[0])
    text = report(net, symbench)
    assert "orbit mAP %" in text
    assert "accuracy and consistency are over the labels" in text


def test_several_labels_are_trained_gated_and_shown(case: CaseOf, symbench: Any) -> None:
    net = case("several_labels")
    (net.path / "suite.yaml").write_text((net.path / "train.yaml").read_text() + GATES)
    assert net.run().code == 0
    assert net.estimate("mean_average_precision", model="trained") > 0.8
    shown = list((net.results / "cells").rglob("gallery.parquet"))
    targets = set(pd.read_parquet(shown[0])["target"])
    assert targets <= {", ".join(names) for names in NAMES} | {"none"}
    assert any("lying, standing" in target or "corner" in target for target in targets)
    symbench(
        "baseline", "set", "--results", net.results, "--reason", "first", "--force", "--output", net.path / "b.json"
    )
    ran = net.gate("--suite", net.path / "suite.yaml", "--baseline", net.path / "b.json")
    assert ran.code == 0, ran.out + ran.err


def test_several_labels_are_found_by_name(case: CaseOf) -> None:
    net = case("several_labels")
    scores = "scores[:, 0], scores[:, 1], scores[:, 2] = lying, standing, corner"
    edit(net, scores, "scores[:, 2], scores[:, 0], scores[:, 1] = lying, standing, corner", "model.py")
    edit(
        net, "        self.after = after\n", "        self.after = after\n        self.classes = NAMES\n", "model.py"
    )
    with (net.path / "model.py").open("a") as file:
        file.write('\n\nNAMES = ["standing", "corner", "lying"]\n')
    assert net.run("--only", "model=net,dataset=floats").code == 0
    there, each, *_ = scores_of_bars()
    assert net.estimate("mean_average_precision", model="net") == pytest.approx(average_precision_score(there, each))
    edit(net, '"lying"]', '"lying", "bent"]', "model.py")
    ran = net.run("--only", "model=net,dataset=floats")
    assert ran.code == 2
    assert "the labels of floats are 3 of the 4 outputs of net, expected all of them" in ran.err


GATES = """\
gates:
  - {metric: orbit_mean_average_precision, at_least: 0.5}
  - {metric: orbit_mean_average_precision, max_drop: 0.05}
  - {metric: orbit_micro_f1, max_drop: 0.05}
"""
NAMES = (
    ["lying"], ["standing"], ["corner"], ["lying", "standing"], ["lying", "corner"], ["standing", "corner"],
    ["lying", "standing", "corner"],
)  # fmt: skip


# Numbers.


def test_a_number_for_a_label_is_a_regression(case: CaseOf, symbench: Any) -> None:
    net = case("numbers")
    ran = net.run()
    assert ran.code == 0, ran.err
    wanted = IMAGES.mean((1, 2, 3))
    each = [(x[:, :, :7].mean((1, 2, 3)) - wanted).double().square().mean() for x in TURNED]
    assert net.estimate("loss", model="upper") == pytest.approx(float(each[0]), rel=1e-5)
    assert net.estimate("orbit_loss", model="upper") == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    assert first(net, "accuracy", "upper")["reason"] == "no class labels"
    assert "orbit loss" in report(net, symbench)


def test_training_fits_outputs_to_targets_by_name(case: CaseOf) -> None:
    """The model's first output is the data's second target: by place, neither would ever be met."""
    net = case("numbers")
    (net.path / "suite.yaml").write_text((net.path / "train.yaml").read_text())
    assert net.run().code == 0
    for output in ("width", "height"):
        assert first(net, "loss", "trained", output=output)["estimate"] < 0.05, output


# What is no declaration.


def test_dicts_and_methods_of_other_meanings_are_no_declarations(case: CaseOf) -> None:
    net = case("several_outputs")
    edit(
        net,
        "    def forward(",
        "    inputs = {'pixels': (1, 15, 15)}\n    outputs = {}\n\n    def forward(",
        "model.py",
    )
    edit(net, '"model.py:build"', '"model.py:build", args: {shape: tensor}')
    with (net.path / "bars.py").open("a") as file:
        file.write("\n\ndef valid(self):\n    return self.labels[1::2]\n\n\nBars.valid = valid\n")
    ran = net.run()
    assert ran.code == 0, ran.err
    assert net.estimate("excluded_pairs", model="net") == 0
    assert "its method valid takes other arguments than (label, element), and is not asked" in ran.err
