"""How users' modules are run: gradients inside, parts in other precisions, memory that is written again, kept filters."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Case, CaseOf
from torch import Tensor, nn

from symbench import open_run
from symbench.base.errors import ModelError
from symbench.base.records import CellRecord
from symbench.domains.common.models.base import Model


def loaded(name: str, file: str = "model") -> Any:
    """A user's file of a case, imported by itself."""
    path = ROOT / "tests" / "cases" / name / f"{file}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_{file}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def bars() -> Tensor:
    images: Tensor = loaded("", "bars").Bars().images
    return images


def records(case: Case) -> dict[str, CellRecord]:
    """The records of the newest run's cells, by the model's name."""
    run = open_run(results=case.results)
    found = {cell.model: run.store.cell(cell.key) for cell in run.manifest.cells}
    return {model: record for model, record in found.items() if record is not None}


def error_by_hand(run: Callable[[Tensor], Tensor], *, softmax: bool = True) -> float:
    """E under quarter turns, over all pairs: ``|f(g.x) - f(x)|`` over the same with another sample."""
    images = bars()
    views = [run(torch.rot90(images, k, (2, 3)).clone()).detach().double() for k in range(4)]
    p = torch.stack([v.softmax(-1) if softmax else v - v.mean(-1, keepdim=True) for v in views])
    n = p.shape[1]
    above = (p[1:] - p[0]).square().sum(-1).mean()
    below = (p[1:, :, None] - p[0][None, None]).square().sum(-1)  # (k, n, n)
    below = below[:, ~torch.eye(n, dtype=torch.bool)].mean()
    return float((above / below).sqrt())


# Gradients.


@pytest.mark.parametrize("name", ["gradient_inside", "gradient_unasked"])
def test_a_model_may_differentiate_inside(case: CaseOf, name: str) -> None:
    """By itself, or by taking for granted that gradients are recorded."""
    net = case(name)
    ran = net.run()
    assert ran.code == 0, ran.err
    with torch.enable_grad():
        expected = error_by_hand(loaded(name).build().eval(), softmax=name == "gradient_inside")
    assert net.estimate("equivariance_error") == pytest.approx(expected, rel=1e-5)
    controls = records(net)["net"].controls
    assert (controls["repeat"], controls["precision"], controls["exactness"]) == (None, None, None)
    assert net.symbench("validate", net.path / "suite.yaml").code == 0


class Calls(nn.Module):
    """Counts its calls; fails as it is told to."""

    def __init__(self, body: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.scale, self.body = nn.Parameter(torch.ones(2)), body
        self.calls: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(torch.is_grad_enabled())
        return self.scale * self.body(x)


def _slope(x: Tensor) -> Tensor:
    x.requires_grad_()
    return torch.autograd.grad(x.square().sum(), x)[0]


def _fails(x: Tensor) -> Tensor:
    raise RuntimeError("sizes do not match")


def _never(x: Tensor) -> Tensor:
    raise RuntimeError(f"element 0 of tensors does not require grad, whatever the mode ({torch.is_grad_enabled()})")


def test_gradients_are_on_for_those_alone_that_fail_without() -> None:
    x = torch.rand(3, 2)
    plain = Calls(lambda x: x)
    slope = Calls(_slope)
    for module, modes in ((plain, [False, False]), (slope, [False, True, True])):
        model = Model(module)
        for _ in range(2):
            assert not model({"x": x})["logits"].requires_grad
        assert module.calls == modes, "what it needs is remembered"
    assert torch.equal(Model(slope)({"x": x})["logits"], 2 * x)
    assert not x.requires_grad
    for body, calls, message in ((_fails, 1, "sizes do not match"), (_never, 2, "whatever the mode")):
        module = Calls(body)
        with pytest.raises(ModelError, match=message):
            Model(module)({"x": x})
        assert len(module.calls) == calls
    assert not Model(module).habits.differentiates


def test_outputs_hang_on_no_graph_and_no_mode_is_left_behind() -> None:
    def leaves_it_on(x: Tensor) -> Tensor:
        torch.set_grad_enabled(True)
        return x * x

    module = Calls(leaves_it_on)
    with torch.no_grad():
        value = Model(module)({"x": torch.rand(3, 2)})["logits"]
        assert not value.requires_grad
        assert not torch.is_grad_enabled()
    value.numpy()

    def in_inference_mode(x: Tensor) -> Tensor:
        with torch.inference_mode():
            return x * x

    assert not Model(Calls(in_inference_mode))({"x": torch.rand(3, 2)})["logits"].is_inference()
    with torch.inference_mode():
        model = Model(Calls(_slope))
        assert model({"x": torch.ones(3, 2)})["logits"].tolist() == [[2.0, 2.0]] * 3


# Precision.


def test_parts_keep_the_precision_that_they_came_in(case: CaseOf) -> None:
    net = case("own_precision")
    ran = net.run()
    assert ran.code == 0, ran.err
    record = records(net)["net"]
    assert record.identity["numerics"]["dtype"] == "bfloat16 + float32"
    found = open_run(results=net.results)
    rows = found.store.observations(record.key).to_pandas()
    rows = rows[rows["element"] == 1].sort_values("sample")
    with torch.no_grad():
        turned = torch.rot90(bars(), 1, (2, 3)).bfloat16()
        scores = loaded("own_precision").Served()(turned).double().softmax(-1)
    assert rows["prediction"].tolist() == scores.argmax(-1).tolist()
    assert rows["score"].to_numpy() == pytest.approx(scores.amax(-1).numpy(), rel=1e-12)
    verdict = net.frame().query("metric == 'equivariance_error_float64'")["reason"].iloc[0]
    assert verdict.startswith("undetermined: lower precision inside backbone (bfloat16), as it runs, without float64")
    assert "the model does not run in float64: net: raised RuntimeError: Input type" in verdict


def test_numerics_dtype_is_the_remedy_either_way(case: CaseOf) -> None:
    net = case("own_precision")
    suite = net.path / "suite.yaml"
    text = suite.read_text()
    suite.write_text(text.replace("device: cpu", "device: cpu, dtype: float32"))
    ran = net.run()
    assert ran.code == 3
    assert "numerics.dtype converts every part to float32; without it the model stays in" in ran.err
    suite.write_text(text.replace("Served", "Unjoined"))
    ran = net.run()
    assert ran.code == 3
    assert "Its parts are bfloat16, float32 as they came, its inputs bfloat16; numerics.dtype converts all" in ran.err
    suite.write_text(text.replace("Served", "Unjoined").replace("device: cpu", "device: cpu, dtype: float32"))
    assert net.run().code == 0


def test_a_model_in_float64_stays_in_it(case: CaseOf) -> None:
    net = case("own_precision")
    suite = net.path / "suite.yaml"
    suite.write_text(suite.read_text().replace("Served", "Doubles"))
    assert net.run().code == 0
    assert records(net)["net"].identity["numerics"]["dtype"] == "float64"
    expected = error_by_hand(lambda images: loaded("own_precision").Doubles()(images.double()))
    assert net.estimate("equivariance_error") == pytest.approx(expected, rel=1e-12)


def test_a_dtype_that_changes_nothing_makes_no_other_cell(case: CaseOf) -> None:
    net = case("gradient_inside")
    suite = net.path / "suite.yaml"
    assert net.run().code == 0
    suite.write_text(suite.read_text().replace("device: cpu", "device: cpu, dtype: float32"))
    assert "1 cell, 0 of them to be measured" in net.run().err
    suite.write_text(suite.read_text().replace("dtype: float32", "dtype: float64"))
    assert "1 cell, 1 of them to be measured" in net.run().err


# Memory.

TIMES = ("seconds_per_sample", "training_seconds")


@pytest.fixture
def in_place(case: CaseOf) -> tuple[Case, str]:
    net = case("inplace_input")
    ran = net.run()
    assert ran.code == 0, ran.err
    return net, ran.err


@pytest.mark.slow
def test_what_a_model_does_with_its_memory_changes_no_number(in_place: tuple[Case, str]) -> None:
    net, told = in_place
    frame = net.frame()
    frame = frame[~frame["metric"].isin(TIMES)]
    copies = frame[frame["model"] == "copies"].drop(columns="model").reset_index(drop=True)
    assert len(copies) > 40
    for name in ("in-place", "sometimes", "reuses"):
        own = frame[frame["model"] == name].drop(columns="model").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, copies)
    turning = copies[copies["element"] == "rotation"].set_index("metric")["estimate"]
    assert turning["lie_derivative"] == pytest.approx(0.0218, rel=2e-3)
    assert turning["lie_slope"] == pytest.approx(6.08, rel=2e-3)
    assert told.count("writes into its input: it is given a copy") == 2
    assert "in-place writes into its input" in told
    assert "sometimes writes into its input" in told
    said = {name: record.remarks.get("inputs") for name, record in records(net).items()}
    assert said == {
        "copies": None,
        "in-place": "the model writes into its input: it is given a copy",
        "sometimes": "the model writes into its input: it is given a copy",
        "reuses": None,
    }


@pytest.mark.parametrize("name", ["InPlace", "Reuses"])
def test_the_callers_tensors_and_earlier_outputs_are_left_alone(name: str) -> None:
    cases = loaded("inplace_input")
    images, model = bars(), Model(getattr(cases, name)())
    first = model({"image": images})["logits"]
    kept = first.clone()
    assert torch.equal(images, bars())
    second = model({"image": images.flip(3)})["logits"]
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)
    assert model.habits.writes == (name == "InPlace")
    with torch.no_grad():
        assert torch.equal(first, cases.Copies()(bars()))


def test_a_view_that_shares_its_memory_may_be_written_into() -> None:
    """One row, shown as many: writing there would raise, were it the model's to keep."""
    cases = loaded("inplace_input")
    shown = bars()[:1].expand(4, 1, 15, 15)
    found = Model(cases.InPlace())({"image": shown})["logits"]
    assert torch.equal(found, Model(cases.Copies())({"image": shown.clone()})["logits"])


@pytest.mark.parametrize(
    ("name", "before", "spare", "own"),
    [
        ("Copies", True, {"image"}, False),
        ("Copies", True, set(), True),
        ("Copies", False, {"image"}, True),
        ("InPlace", True, {"image"}, True),
    ],
    ids=["nobody needs it", "somebody needs it", "it has not run yet", "it writes"],
)
def test_inputs_that_nobody_needs_are_handed_over(name: str, before: bool, spare: set[str], own: bool) -> None:
    module = getattr(loaded("inplace_input"), name)()
    model, given = Model(module), []
    expected = Model(module)({"image": bars()})["logits"]
    if before:
        model({"image": bars()})
    module.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].data_ptr()))
    images = bars()
    assert torch.equal(model({"image": images}, spare=spare)["logits"], expected)
    assert (given[0] != images.data_ptr()) == own
    assert not own or torch.equal(images, bars())


# Kept filters.


@pytest.mark.slow
def test_filters_kept_by_eval_cost_no_control(case: CaseOf) -> None:
    """Made under no_grad, made anew in float64, and built anew where they cannot be copied."""
    net = case("kept_filter")
    ran = net.run()
    assert ran.code == 0, ran.err
    frame = net.frame().query("metric == 'equivariance_error_float64'").set_index("model")
    for name, record in records(net).items():
        assert [record.controls[control] for control in ("precision", "exactness", "geometry")] == [None] * 3, name
        assert frame.loc[name, "reason"] == "broken by the image's size of 16 px: exact at 13, 15, 17, 19 px"
        assert record.sizes[16] > 0.1
        assert all(record.sizes[size] < 1e-12 for size in (13, 15, 17, 19)), name


def test_a_model_that_is_built_anew_keeps_its_weights(case: CaseOf) -> None:
    """The weights come from a file, and the twin in float64 agrees to rounding: it is of the same ones."""
    net = case("kept_filter")
    cases = loaded("kept_filter")
    other = cases.Locked()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(7.0)
    torch.save(other.state_dict(), net.path / "other.pt")
    suite = net.path / "suite.yaml"
    text = suite.read_text()
    lines = [line for line in text.splitlines() if "net:" not in line and "early:" not in line]
    suite.write_text("\n".join(lines).replace("size: 16", "size: 15, weights: other.pt") + "\ncontrols: full\n")
    assert net.run().code == 0
    run = open_run(results=net.results)
    controls = run.store.controls(records(net)["locked"].key).to_pandas()
    precision = controls[controls["control"] == "precision"]["deviation_sq"]
    assert len(precision) == 40
    assert np.sqrt(precision.max()) < 1e-5
    assert net.frame().query("metric == 'equivariance_error_float64'")["reason"].iloc[0].startswith("exact")


def with_models(net: Case, *models: str) -> Case:
    """The case with other models than its own, which are those of 16 pixels a side."""
    suite = net.path / "suite.yaml"
    lines = [line for line in suite.read_text().splitlines() if "size: 16" not in line]
    suite.write_text("\n".join(lines).replace("models:", "\n".join(["models:", *models])) + "\n")
    return net


def test_parts_that_models_share_are_not_converted_behind_their_backs(case: CaseOf) -> None:
    """The first model has no float64, and leaves the filters as they are for the second."""
    one = '  one: {use: "model.py:Sharing", size: 16}'
    net = with_models(case("kept_filter"), one, one.replace("one", "two"))
    ran = net.run()
    assert ran.code == 0, ran.err
    told = net.frame().query("metric == 'equivariance_error_float64'").set_index("model")["reason"].to_dict()
    for name, record in records(net).items():
        assert "Sharing cannot be copied, and shares parts with others" in str(record.controls["precision"])
        assert told[name].startswith("broken by the image's size of 16 px: exact at 13, 15, 17, 19 px, ")


def test_tensors_under_another_name_are_outputs_and_layers(case: CaseOf) -> None:
    net = with_models(case("kept_filter"), '  typed: {use: "model.py:Typing", layers: {typed: Image}}')
    ran = net.run()
    assert ran.code == 0, ran.err
    assert net.estimate("equivariance_error") < 1e-5
    assert net.estimate("layer_error", output="typed") < 1e-5


# Float64.


@pytest.mark.slow
def test_what_does_not_run_in_float64_has_verdicts_without(case: CaseOf) -> None:
    net = case("float32_inside")
    ran = net.run()
    assert ran.code == 0, ran.err
    frame = net.frame()
    told = frame[(frame["metric"] == "equivariance_error_float64") & (frame["symmetry"] == "turns")]
    reasons = told.set_index("model")["reason"].to_dict()
    why = ", as it runs, without float64: the model does not run in float64: "
    assert reasons["exact"].startswith(f"exact to rounding{why}")
    assert reasons["lopsided"].startswith(f"broken: far beyond rounding in float32{why}")
    assert reasons["strided"].startswith("broken by the image's size of 16 px: exact at 13, 15, 17, 19 px")
    assert "expected scalar type Double but found Float" in reasons["exact"]
    assert told.set_index("model")["estimate"].isna().to_dict() == {
        "exact": True, "lopsided": True, "strided": True, "converted": False,
    }  # fmt: skip
    assert "exact: exact to rounding, as it runs, without float64\n" in ran.out
    # the Lie derivative is that of the same network in float64
    turning = frame[frame["element"] == "rotation"].set_index(["model", "metric"])["estimate"]
    for metric in ("lie_derivative", "lie_derivative_central", "lie_slope"):
        assert turning["lopsided", metric] == pytest.approx(turning["converted", metric], rel=0.03)
        assert turning["converted", metric] > 0
    assert turning["lopsided", "lie_derivative"] == pytest.approx(turning["converted", "lie_derivative"], rel=1e-5)


def test_cases_are_what_they_are_called() -> None:
    """The networks that tests are about do what their names say, whatever symbench makes of them."""
    inside, kept = loaded("float32_inside"), loaded("kept_filter")
    with torch.no_grad():
        x = torch.rand(3, 1, 15, 15, dtype=torch.float64)
        for module, exact in (
            (inside.Converted(), True),
            (inside.Converted(lopsided=0.2), False),
            (kept.Net(1), True),
        ):
            module.double().eval()
            off = (module(torch.rot90(x, 1, (2, 3))) - module(x)).abs().max()
            assert (float(off) < 1e-7) == exact
    early = kept.Early()
    assert early.body.filter.requires_grad, "it hangs on its graph"
    with pytest.raises(RuntimeError, match="deepcopy protocol"):
        import copy

        copy.deepcopy(early)
