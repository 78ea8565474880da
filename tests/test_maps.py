"""Maps of classes: columns against loops over pixels, and who is exact where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from cases.maps.model import SAMPLES, SIDE, Around, Pixelwise, Sides, data, halves, labels, oblong, pixels
from conftest import CaseOf
from torch import Tensor, nn

from symbench import Run, run
from symbench.algebra import actions, groups
from symbench.algebra.controls import DECLARED
from symbench.algebra.fields import Category, Classes, Field, Grid, Keypoints, Logits, Over, Scalar, Undeclared
from symbench.fields import Image
from symbench.measure.evaluate.rim import Rim
from symbench.measure.store import Store
from symbench.measure.tasks import Open, Unfit, Views

MAP = Grid("image")
MASKS = Category(3).over(MAP)


def rows(results: Path, model: str, symmetry: str, dataset: str | None = None) -> pd.DataFrame:
    """The observations of a cell, sorted by element and sample."""
    store = Store(results)
    (cell,) = [
        c
        for c in store.manifest().cells
        if (c.model, c.symmetry) == (model, symmetry) and dataset in {None, c.dataset}
    ]
    files = sorted(store.cell_folder(cell.key).glob("observations-*.parquet"))
    frame = pd.concat([pd.read_parquet(file) for file in files])
    return frame.sort_values(["element", "sample"]).reset_index(drop=True)


def shifted(x: Tensor, down: int, right: int, fill: float) -> Tensor:
    """By whole places of the last two axes, pixel by pixel."""
    found = torch.full_like(x, fill)
    for row in range(SIDE):
        for column in range(SIDE):
            if 0 <= row - down < SIDE and 0 <= column - right < SIDE:
                found[..., row, column] = x[..., row - down, column - right]
    return found


def offsets(results: Path, symmetry: str) -> list[tuple[int, int]]:
    store = Store(results)
    cell = next(c for c in store.manifest().cells if c.symmetry == symmetry)
    record = store.cell(cell.key)
    assert record is not None
    return [(round(e.parameters["dy_px"]), round(e.parameters["dx_px"])) for e in record.elements]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    results = tmp_path_factory.mktemp("maps")
    return run(Path(__file__).parent / "cases" / "maps" / "suite.yaml", results=results)


def estimate(ran: Run, metric: str, model: str, symmetry: str) -> float:
    """Over all elements."""
    frame = ran.estimates()
    chosen = frame[(frame["metric"] == metric) & (frame["model"] == model) & (frame["symmetry"] == symmetry)]
    (value,) = chosen[chosen["element"].isna()]["estimate"].unique()
    return float(value)


def test_what_is_counted_under_shifts_is_what_a_loop_over_pixels_counts(ran: Run) -> None:
    """Places from beyond the frame count nowhere: not in E, not as right, not among the classes."""
    x, y, net = pixels(), labels(), Around().eval()
    with torch.no_grad():
        before = net(x).double().softmax(1)
    found: Any = rows(ran.store.root, "around", "shifts").set_index(["element", "sample"])
    deviations, nulls = [], []
    for element, (down, right) in enumerate(offsets(ran.store.root, "shifts")):
        with torch.no_grad():
            after = net(shifted(x, down, right, 0.0)).double().softmax(1)
        inside = shifted(torch.ones(SIDE, SIDE), down, right, 0.0) > 0
        expected, truth = shifted(before, down, right, 0.0), shifted(y, down, right, -1)
        unmoved = shifted(before.argmax(1), down, right, -1)
        for sample in range(len(x)):
            row, said = found.loc[(element, sample)], after[sample].argmax(0)
            real = truth[sample] >= 0
            assert row["place_right"] == pytest.approx(float((said == truth[sample])[real].double().mean()))
            assert row["place_kept"] == pytest.approx(float((said == unmoved[sample])[inside].double().mean()))
            log = after[sample].log().gather(0, truth[sample].clamp(min=0)[None])[0]
            assert row["loss"] == pytest.approx(-float(log[real].mean()), rel=1e-5)
            for kind in range(3):
                both = (said == kind) & (truth[sample] == kind)
                assert row["class_hits"][kind] == int(both.sum())
                assert row["class_said"][kind] == int(((said == kind) & real).sum())
                assert row["class_there"][kind] == int((truth[sample] == kind).sum())
            off = (after[sample] - expected[sample]).square().sum(0) * inside
            assert row["deviation_sq"] == pytest.approx(float(off.sum()), rel=1e-4, abs=1e-12)
            for distance, mean in enumerate(row["rim_sq"][:4]):
                where = torch.zeros(SIDE, SIDE, dtype=torch.bool)
                where[distance : SIDE - distance, distance : SIDE - distance] = True
                where[distance + 1 : SIDE - distance - 1, distance + 1 : SIDE - distance - 1] = False
                assert mean == pytest.approx(float(off[where & inside].mean()), rel=1e-4, abs=1e-12)
            if element:
                others = [j for j in range(len(x)) if j != sample]
                pairs = [(after[sample] - expected[j]) * inside for j in others]
                pairs += [(after[j] - expected[sample]) * inside for j in others]
                nulls.append(float(torch.stack(pairs).square().sum((1, 2, 3)).mean()))
                deviations.append(float(off.sum()))
    error = estimate(ran, "equivariance_error", "around", "shifts")
    assert error == pytest.approx((sum(deviations) / sum(nulls)) ** 0.5, rel=1e-4)


def test_networks_are_exact_where_their_construction_says_so(ran: Run) -> None:
    """1 x 1 always, by whole pixels; circular filters under rolls; none of the others anywhere."""
    for model, symmetry, exact in (
        ("pixelwise", "quarters", True),
        ("pixelwise", "rolls", True),
        ("pixelwise", "shifts", True),
        ("around", "rolls", False),
        ("around", "shifts", False),
        ("circular", "rolls", True),
        ("circular", "shifts", False),
        ("circular", "quarters", False),
    ):
        error = estimate(ran, "equivariance_error", model, symmetry)
        assert (error < 1e-6) == exact, (model, symmetry, error)
        assert exact or error > 0.05
    inner = rows(ran.store.root, "circular", "shifts")
    bins = np.array(inner[inner["element"] > 0]["rim_sq"].tolist())
    assert (bins[:, 2:4] < 1e-12).all()  # two from the edge nothing knows of it
    assert np.nanmean(bins[:, 0]) > 1e-3


def test_other_actions_are_tried_on_places_that_are_known(ran: Run) -> None:
    """What the declared one leaves is E of the cell, of all its samples and elements; of an exact network nothing."""
    store = Store(ran.store.root)
    for model in ("pixelwise", "around"):
        cell = store.cell(next(c.key for c in store.manifest().cells if (c.model, c.symmetry) == (model, "shifts")))
        assert cell is not None
        found = [each for each in cell.findings if each.control == DECLARED]
        assert len(found) == (model == "around")
        for each in found:
            assert (each.samples, each.elements) == (SAMPLES, 8)
            error = estimate(ran, "equivariance_error", model, "shifts")
            assert each.numbers["declared"] == pytest.approx(error, rel=1e-4)


def test_maps_of_classes_that_end_at_an_edge_have_no_lie_derivative(ran: Run) -> None:
    """It would be that of the step at the edge: an exact 1 x 1 network had the largest slope of all."""
    frame = ran.estimates()
    slopes = frame[(frame["metric"] == "lie_slope") & (frame["symmetry"] == "turns")]
    assert len(slopes) >= 3
    assert slopes["estimate"].isna().all()
    assert slopes["reason"].str.contains("maps of classes end at the edge of their frame").all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_nothing_beyond_the_frame_takes_part_in_what_is_known(interpolation: str, border: str) -> None:
    """Moved maps are there the same, whatever stands beyond the frame; and that is most of them."""
    group, wide, size, room = groups.load("SO2", {}), torch.rand(1, 1, 48, 48, dtype=torch.float64), 16, 16
    options = {"interpolation": interpolation, "border": border}
    action = actions.load(group, "SO2", Image(), options, on=Image())
    g = torch.tensor([0.3, 0.8, 2.0], dtype=torch.float64)
    inside = action.inside(g, torch.empty(1, 1, size, size))
    assert inside is not None
    frame = (..., slice(room, room + size), slice(room, room + size))
    known, alone = action.act(g, wide)[frame][:, 0, 0], action.act(g, wide[frame])[:, 0, 0]
    off = (known - alone).abs()
    assert float(off[inside].max()) < 1e-9
    assert float(off[~inside].max()) > 1e-2
    assert float(inside.double().mean()) > 0.6


def test_a_consensus_of_views_needs_no_labels(ran: Run) -> None:
    """The share of views' predictions that are those of the mean of all views, moved back: against a loop."""
    x, net = pixels(), Around().eval()
    with torch.no_grad():
        back = torch.stack([net(x.rot90(k, (-2, -1))).double().softmax(1).rot90(-k, (-2, -1)) for k in range(4)])
    agreeing = (back.argmax(2) == back.mean(0).argmax(1)).double().mean((0, 2, 3))
    store = Store(ran.store.root)
    cell = next(c for c in store.manifest().cells if (c.model, c.symmetry) == ("around", "quarters"))
    table = store.samples(cell.key).to_pandas().sort_values("sample")
    np.testing.assert_allclose(table["consensus_agreement"], agreeing, rtol=1e-9)
    lossy = next(c for c in store.manifest().cells if (c.model, c.symmetry) == ("around", "shifts"))
    assert store.samples(lossy.key).to_pandas()["consensus_agreement"].isna().all()


def test_a_mirror_without_a_swap_has_nothing_right_and_with_one_all(case: CaseOf) -> None:
    """Of mirror-symmetric images with left and right labels."""
    made = case("maps")
    found = made.symbench("run", made.path / "halves.yaml", "--results", made.results)
    assert found.code == 0, found.err
    for dataset, dice, swapped in (("named", [1.0, 1.0], 0.0), ("unnamed", [0.0, 0.0], None)):
        moved = rows(made.results, "sides", "mirror", dataset).query("element == 1")
        hits, said, there = (np.array(moved[f"class_{name}"].tolist()).sum(0) for name in ("hits", "said", "there"))
        assert (2 * hits / (said + there)).tolist() == dice
        assert moved["place_swapped"].isna().all() if swapped is None else (moved["place_swapped"] == swapped).all()
    assert torch.equal(Sides()(halves().leaves["image"]).argmax(1), halves().target_values["side"])


class Unswapped(nn.Module):
    """Says of every image what its sides were before any mirror: it reads them in the pixels, of which 1 is left."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([9 * image[:, 0], 9 * (1 - image[:, 0])], 1)


def test_what_is_said_as_if_nothing_were_renamed_is_counted() -> None:
    task = Open("side", Logits().over(MAP), "side", halves().targets["side"]).of((2, SIDE, SIDE))
    assert isinstance(task.field.value, Classes)
    target = halves().target_values["side"]
    image = (1.0 - target[:, None]).flip(-1)
    renamed, unrenamed = target, target.flip(-1)
    output = Unswapped()(image)
    columns = task.columns(Views(output[None], output, renamed[None], unrenamed=unrenamed[None]))
    assert columns["place_swapped"].tolist() == [[1.0] * len(target)]
    assert columns["place_right"].tolist() == [[0.0] * len(target)]


@pytest.mark.parametrize("output", [Undeclared(), Logits().over(MAP), Scalar().over(MAP)])
def test_scores_at_places_are_known_by_their_labels(output: Field) -> None:
    task = Open("logits", output, "mask", MASKS).of((3, SIDE, SIDE))
    assert task.kind == "segmentation"
    assert task.field == Over(Logits(), (MAP,))
    with torch.no_grad():
        scores = Pixelwise()(pixels())
    wanted = torch.nn.functional.cross_entropy(scores, labels(), ignore_index=-1)
    torch.testing.assert_close(task.loss(scores, labels()), wanted)


def test_a_single_score_is_that_of_the_second_class() -> None:
    task = Open("logits", Logits().over(MAP), "mask", Category(2).over(MAP)).of((1, 2, 2))
    scores, wanted = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]]]), torch.tensor([[[1, 1], [0, -1]]])
    columns = task.columns(Views(scores[None], scores, wanted[None]))
    assert columns["place_right"].item() == pytest.approx(1 / 3)
    real = torch.nn.functional.binary_cross_entropy_with_logits(scores.flatten()[:3], wanted.flatten()[:3].float())
    assert columns["loss"].item() == pytest.approx(real.item(), rel=1e-6)
    assert task.loss(scores, wanted).item() == pytest.approx(real.item(), rel=1e-6)
    assert columns["class_there"].tolist() == [[[1.0, 2.0]]]


def test_samples_without_a_label_say_nothing() -> None:
    task = Open("logits", Logits().over(MAP), "mask", MASKS).of((3, 2, 2))
    scores, nothing = torch.randn(1, 3, 2, 2), torch.full((1, 2, 2), -1)
    columns = task.columns(Views(scores[None], scores, nothing[None]))
    assert columns["place_right"].isnan().all()
    assert columns["class_there"].sum() == 0
    assert task.loss(scores, nothing) == 0


def test_maps_of_another_size_than_their_labels_are_refused() -> None:
    task = Open("logits", Logits().over(MAP), "mask", MASKS).of((3, 4, 4))
    with pytest.raises(Unfit, match="has 4 x 4 places"):
        task.check_target((3, 4, 4), labels())
    with pytest.raises(Unfit, match="label is 2"):
        task.check_target((2, SIDE, SIDE), labels())
    with pytest.raises(Unfit, match=r"has shape \(n, 3\)"):
        Open("logits", Logits().over(MAP), "mask", MASKS).of((3,))


def test_points_are_right_within_a_tenth_of_their_extent() -> None:
    task = Open("joints", Undeclared(), "joints", Keypoints()).of((3, 2))
    assert task.kind == "keypoints"
    target = torch.tensor([[[0.0, 0.0, 1.0], [20.0, 10.0, 1.0], [90.0, 90.0, 0.0]]])
    said = torch.tensor([[[1.0, 1.0], [20.0, 12.5], [0.0, 0.0]]])
    columns = task.columns(Views(said[None], said, target[None]))
    assert columns["place_right"].item() == 0.5  # near enough is within 2 of 20
    assert columns["loss"].item() == pytest.approx((2 + 6.25) / 2)
    assert task.loss(said, target).item() == pytest.approx((2 + 6.25) / 2)


def test_the_distance_from_the_edge_is_that_to_the_nearest_side() -> None:
    bins = Rim((5, 9)).bins.view(5, 9)
    assert bins[2].tolist() == [0, 1, 2, 2, 2, 2, 2, 1, 0]
    assert bins[0].tolist() == [0] * 9
    assert Rim((80, 80)).bins.view(80, 80)[40].tolist()[:41] == [
        0,
        1,
        2,
        3,
        3,
        *[4] * 4,
        *[5] * 8,
        *[6] * 16,
        *[7] * 8,
    ]


def test_data_declares_what_is_not_labelled() -> None:
    assert int(data().target_values["mask"].min()) == -1


def test_elements_of_each_sample_that_lose_places_are_refused(case: CaseOf) -> None:
    made = case("maps")
    made.edit("reach: 1, border: zero}", "reach: 1, border: zero, draw: per-sample, elements: 2}")
    found = made.run("--only", "symmetry=shifts,model=pixelwise")
    assert found.code == 3
    assert "lose other places of it, expected elements that all samples share" in " ".join(found.err.split())
    made.edit("border: zero, draw", "border: circular, draw")
    assert made.run("--only", "symmetry=shifts,model=pixelwise").code == 0
    assert made.estimate("equivariance_error", symmetry="shifts") < 1e-6


def test_quarter_turns_of_rectangles_are_shown_to_models_that_take_both_shapes(case: CaseOf) -> None:
    """What is counted, against a loop over all of D4; and who is exact."""
    made = case("maps")
    made.suite.write_text((made.path / "oblong.yaml").read_text())
    assert made.run().code == 0
    assert made.estimate("equivariance_error", model="isotropic") < 1e-6
    assert made.estimate("equivariance_error", model="around") > 0.5
    x, y, net = oblong().leaves["image"], oblong().target_values["mask"], Around().eval()
    found: Any = rows(made.results, "around", "all").set_index(["element", "sample"])
    store = Store(made.results)
    record = store.cell(store.manifest().cells[0].key)
    assert record is not None
    with torch.no_grad():
        before = net(x).double().softmax(1)
    shapes = set()
    for element, known in enumerate(record.elements):
        turns, mirrored = round(known.parameters["angle_deg"] / 90), known.parameters["mirror"] == 1

        def moved(z: Tensor, turns: int = turns, mirrored: bool = mirrored) -> Tensor:
            return (z.flip(-1) if mirrored else z).rot90(turns, (-2, -1))

        with torch.no_grad():
            after = net(moved(x)).double().softmax(1)
        shapes.add(tuple(after.shape[-2:]))
        right = (after.argmax(1) == moved(y)).double().mean((1, 2))
        kept = (after.argmax(1) == moved(before.argmax(1))).double().mean((1, 2))
        off = (after - moved(before)).square().sum((1, 2, 3))
        edge = torch.ones(after.shape[-2:], dtype=torch.bool)
        edge[1:-1, 1:-1] = False
        rim = (after - moved(before)).square().sum(1)[:, edge].mean(1)
        for sample in range(len(x)):
            row = found.loc[(element, sample)]
            assert row["place_right"] == pytest.approx(float(right[sample]))
            assert row["place_kept"] == pytest.approx(float(kept[sample]))
            assert row["deviation_sq"] == pytest.approx(float(off[sample]), rel=1e-4, abs=1e-10)
            assert row["rim_sq"][0] == pytest.approx(float(rim[sample]), rel=1e-4, abs=1e-10)
    assert shapes == {(6, 10), (10, 6)}
    made.edit("group: D4, on: image", "group: D4, on: image, draw: per-sample, elements: 2")
    refused = made.run()
    assert refused.code in {2, 3}
    assert "exchanges the sides of 'image'" in refused.err + refused.out


def test_crops_of_maps_are_held_against_labels_that_come_in_and_outputs_that_are_known(case: CaseOf) -> None:
    """Real pixels and their labels come in from beyond a crop; what the unmoved output says there is not known."""
    made = case("maps")
    made.suite.write_text((made.path / "crops.yaml").read_text())
    found = made.run()
    assert found.code == 0, found.err
    assert made.estimate("equivariance_error", model="pixelwise") < 1e-6
    assert made.estimate("consistency", model="pixelwise") == 1
    around: Any = rows(made.results, "around", "crops").set_index(["element", "sample"])
    margin, side, net = 1, 6, Around().eval()
    canvas = torch.nn.functional.interpolate(pixels(), size=(8, 8), mode="nearest")
    assert torch.equal(canvas, pixels())  # the data are as large as the canvas
    for element, (down, right) in enumerate(offsets(made.results, "crops")):
        shown = shifted(pixels(), down, right, 0.0)[..., margin:-margin, margin:-margin]
        truth = shifted(labels(), down, right, -1)[..., margin:-margin, margin:-margin]
        with torch.no_grad():
            before = net(pixels()[..., margin:-margin, margin:-margin]).double().softmax(1)
            after = net(shown).double().softmax(1)
        for sample in range(len(shown)):
            right_there = (after[sample].argmax(0) == truth[sample])[truth[sample] >= 0].double().mean()
            off = 0.0
            for row in range(side):
                for column in range(side):
                    there = row - down, column - right
                    if min(there) >= 0 and max(there) < side:
                        apart = after[sample, :, row, column] - before[sample, :, there[0], there[1]]
                        off += float(apart.square().sum())
            assert around.loc[(element, sample)]["place_right"] == pytest.approx(float(right_there), nan_ok=True)
            assert around.loc[(element, sample)]["deviation_sq"] == pytest.approx(off, rel=1e-4, abs=1e-10)


def test_points_that_left_the_frame_count_nowhere(case: CaseOf) -> None:
    made = case("maps")
    made.suite.write_text((made.path / "spots.yaml").read_text())
    found = made.run()
    assert found.code == 0, found.err
    assert made.estimate("equivariance_error") < 1e-6
    frame = made.frame()
    right = frame[(frame["metric"] == "worst_element_accuracy") & frame["element"].isna()]
    assert (right["estimate"] == 1).all()
    assert made.estimate("absolute_error_max") < 1e-6


def test_how_near_a_point_has_to_be_depends_on_no_turn() -> None:
    task = Open("joints", Undeclared(), "joints", Keypoints()).of((2, 2))
    unmoved = torch.tensor([[[0.0, 0.0, 1.0], [40.0, 0.0, 1.0]]])
    turned = torch.tensor([[[0.0, 0.0, 1.0], [28.284, 28.284, 1.0]]])
    twice = 2 * turned
    twice[..., 2] = 1
    off = torch.tensor([3.9, 0.0])
    for target, allowed in ((turned, 1.0), (twice, 2.0)):
        for share, right in ((0.97, 1.0), (1.03, 0.0)):
            said = target[..., :2] + off / 3.9 * 4 * allowed * share
            columns = task.columns(Views(said[None], said, target[None], unmoved_target=unmoved))
            assert columns["place_right"].item() == right
    alone = torch.tensor([[[5.0, 5.0, 1.0], [9.0, 9.0, 0.0]]])
    assert task.columns(Views(said[None], said, alone[None], unmoved_target=alone))["place_right"].isnan().all()


def test_classes_that_a_mirror_exchanges_are_named_where_nobody_said_so(case: CaseOf) -> None:
    """An order that was forgotten, and one of other classes: with the line that would be right."""
    made = case("maps")
    made.suite.write_text((made.path / "slopes.yaml").read_text())
    found = made.run()
    assert found.code == 0, found.err
    assert made.estimate("equivariance_error", model="said") < 1e-6
    said = " ".join(found.out.split())
    right = "which is order: {flip: [0, 2, 1]}"
    assert f"forgotten, wrongly: broken: it moves with its classes exchanged: 1 to 2 to 1 at flip, {right}" in said
