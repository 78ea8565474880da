"""assert_equivariant as users meet it: every output, axis and name is said, and nothing of theirs is touched."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from conftest import CaseOf
from torch import Tensor, nn

from symbench.base.errors import ConfigError
from symbench.face.testing import assert_equivariant
from symbench.fields import Grid, Image, Nodes, Scalar, Vector, channels

NODES = Nodes("nodes", Scalar())
ITEMS = Nodes("items", Scalar())


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


IMAGES = draw(4, 1, 9, 9)
ROWS = draw(4, 16, 8)


def blind(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


# Users' files.


@pytest.mark.parametrize(("file", "printed", "warned"), [
    ("in_place", "gradient by x, output", "the model writes into its input 'x' in place"),
    ("kept_filter", "gradient by x, output", ""),
    ("two_outputs", "outputs={'output': Scalar(), 'output_1': None}", ""),
])  # fmt: skip
def test_files_of_users(case: CaseOf, file: str, printed: str, warned: str) -> None:
    folder = case("layer_tests").path
    done = subprocess.run(
        [sys.executable, f"{file}.py"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert (warned in done.stderr) if warned else not done.stderr


# Axes.


def test_a_right_transformer_layer_passes_however_its_axis_is_called() -> None:
    found = assert_equivariant(encoder(), "S16", ROWS, {"rows": NODES}, elements=4)
    assert max(each.relative for each in found) < 1e-12
    assert_equivariant(encoder(), "S16", {"src": ROWS}, {"rows": ITEMS}, fields={"src": ITEMS}, elements=4)
    mask = draw(4, 16, seed=1) < 0.3
    leaves, fields = {"src": ROWS, "src_key_padding_mask": mask}, {"src_key_padding_mask": NODES}
    found = assert_equivariant(encoder(), "S16", leaves, {"rows": NODES}, fields=fields, elements=4)
    assert {each.output for each in found} == {"rows", "gradient by src"}, "no gradient by a mask"


def test_an_axis_that_no_input_has_is_an_error_and_no_verdict() -> None:
    with pytest.raises(
        ConfigError,
        match=r"'rows': is along the axis 'items', which no input has, expected 'nodes'.*The input 'x' has the axis 'nodes'",
    ):
        assert_equivariant(encoder(), "S16", ROWS, {"rows": ITEMS}, elements=4)


def test_a_broken_transformer_layer_is_found() -> None:
    net = encoder().eval()
    with pytest.raises(AssertionError, match=r"rows: at element .*most of it at nodes \d+, value \d+"):
        assert_equivariant(
            lambda x: net(x + torch.arange(16.0)[:, None]),
            "S16",
            ROWS,
            {"rows": NODES},
            elements=4,
            dtype=torch.float32,
        )


def test_which_axis_moves_is_said_where_there_are_two() -> None:
    leaves, fields = {"a": draw(3, 6, 2), "b": draw(3, 6, 2, seed=1)}, {"b": Nodes("edges", Scalar())}

    def sums(a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([a.sum(1), b[:, 0]], 1)

    with pytest.raises(ConfigError, match="on: the inputs have the axes 'nodes', 'edges'"):
        assert_equivariant(sums, "S6", leaves, fields=fields, elements=4)
    assert_equivariant(sums, "S6", leaves, fields=fields, elements=4, on="a")
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(sums, "S6", leaves, fields=fields, elements=4, on="b")


@pytest.mark.parametrize("shape", [(3, 6, 6), (3, 6, 6, 2)])
def test_an_adjacency_is_not_taken_for_rows(shape: tuple[int, ...]) -> None:
    leaves = {"x": draw(3, 6, 2), "adjacency": draw(*shape)}
    with pytest.raises(
        ConfigError,
        match=r"'adjacency': the shape \(3, 6, 6.* does not say what it is.*if it is a matrix over pairs of them",
    ):
        assert_equivariant(lambda x, adjacency: x, "S6", leaves, {"y": NODES}, elements=4)
    fields = {"adjacency": Nodes("nodes", NODES)}

    def summed(x: Tensor, adjacency: Tensor) -> Tensor:
        return adjacency.flatten(3).sum(3).bmm(x) if adjacency.ndim == 4 else adjacency.bmm(x)

    assert_equivariant(summed, "S6", leaves, {"y": NODES}, fields=fields, elements=4)
    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(lambda x, adjacency: x.cumsum(1), "S6", leaves, {"y": NODES}, fields=fields, elements=4)


# Outputs.


@dataclass
class Parts:
    logits: Tensor
    more: Any


Named = namedtuple("Named", "logits more")


@dataclass
class Typed:
    """As escnn's ``GeometricTensor``."""

    tensor: Tensor
    kind: str = "trivial"


SHAPES: dict[str, tuple[Callable[[Tensor], Any], Any]] = {
    "a tensor": (lambda x: x, Image()),
    "a tuple": (lambda x: (blind(x), x), {"logits": Scalar(), "maps": Image()}),
    "a list of one": (lambda x: [x], {"maps": "image"}),
    "a tuple that ends in None": (lambda x: (x, None), {"maps": "image"}),
    "a mapping": (lambda x: {"maps": x, "logits": blind(x)}, {"logits": "scalar", "maps": "Image"}),
    "a dataclass": (lambda x: Parts(blind(x), {"maps": [x, blind(x)]}), {"logits": Scalar(), "more.maps.0": Image(), "more.maps.1": Scalar()}),
    "a named tuple": (lambda x: Named(blind(x), x), {"logits": Scalar(), "more": Image}),
    "a typed tensor": (lambda x: Typed(x), "image"),
    "typed tensors": (lambda x: {"maps": Typed(x), "logits": Typed(blind(x))}, {"maps": Image(), "logits": Scalar()}),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(SHAPES))
def test_outputs_of_every_make(kind: str) -> None:
    model, outputs = SHAPES[kind]
    found = assert_equivariant(model, "C4", IMAGES, outputs)
    names = set(outputs) if isinstance(outputs, dict) else {"output"}
    assert {each.output for each in found} == names | {"gradient by x"}

    def broken(x: Tensor) -> Any:
        return model(x * torch.arange(9.0))  # the columns are told apart

    with pytest.raises(AssertionError, match="not equivariant"):
        assert_equivariant(broken, "C4", IMAGES, outputs)


def test_an_output_that_is_not_declared_does_not_pass_in_silence() -> None:
    def pair(x: Tensor) -> dict[str, Tensor]:
        return {"a": blind(x), "b": x[:, 0, 0, :2]}  # b is broken

    with pytest.raises(
        ConfigError,
        match=r"also returns 'b' \(4, 2\).*Such as \{'a': ..., 'b': Scalar\(\)\}; with 'b': None it is left untested",
    ):
        assert_equivariant(pair, "C4", IMAGES, {"a": Scalar()})
    with pytest.raises(AssertionError, match="b: at element"):
        assert_equivariant(pair, "C4", IMAGES, {"a": Scalar(), "b": Scalar()})
    assert {
        each.output for each in assert_equivariant(pair, "C4", IMAGES, {"a": Scalar(), "b": None}, gradients=False)
    } == {"a"}
    with pytest.raises(
        ConfigError, match=r"the model returns 'a' \(4, 1\), 'b' \(4, 2\), expected one output, or a field for each"
    ):
        assert_equivariant(pair, "C4", IMAGES)
    with pytest.raises(ConfigError, match=r"'c' is declared and not returned, expected what the model returns: 'a'"):
        assert_equivariant(pair, "C4", IMAGES, {"a": Scalar(), "b": None, "c": Scalar()})
    with pytest.raises(ConfigError, match="'bb' is declared and not returned.*Did you mean 'b'"):
        assert_equivariant(pair, "C4", IMAGES, {"a": Scalar(), "bb": None})


def test_everything_under_a_name_can_be_left_out() -> None:
    found = assert_equivariant(
        lambda x: {"logits": blind(x), "cache": ((x, x), {"k": 3})}, "C4", IMAGES, {"logits": Scalar(), "cache": None}
    )
    assert {each.output for each in found} == {"logits", "gradient by x"}


def test_a_mapping_of_one_is_tested_under_its_own_name() -> None:
    with pytest.raises(AssertionError, match="logits: at element"):
        assert_equivariant(lambda x: {"logits": x[:, 0, 0]}, "C4", IMAGES)


def test_what_nobody_declared_is_suspected_to_move() -> None:
    with pytest.raises(
        AssertionError,
        match=r"Nothing was said of the output, of shape \(4, 16, 8\).*outputs=\{'output': Nodes\('nodes', Scalar\(\)\)\}",
    ):
        assert_equivariant(encoder(), "S16", ROWS, elements=4)


def attention() -> nn.Module:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.heads(x, x, x)[0] + self.heads(x, x, x, need_weights=False)[0]

    return Attends()


def test_submodules_return_more_than_one_and_are_called_more_than_once() -> None:
    inside = {"heads": {"rows": NODES, "weights": None}}
    found = assert_equivariant(attention(), "S16", ROWS, {"y": NODES}, modules=inside, elements=3)
    assert {each.output for each in found} == {"y", "heads.rows (call 1)", "heads.rows (call 2)", "gradient by x"}
    with pytest.raises(
        ConfigError, match=r"modules\['heads'\]: the model also returns '\[1\]' \(4, 16, 16\), after 'heads'"
    ):
        assert_equivariant(attention(), "S16", ROWS, {"y": NODES}, modules={"heads": NODES}, elements=3)


# Numbers.


def test_indices_and_masks_stay_whole_numbers() -> None:
    def picks(image: Tensor, which: Tensor, keep: Tensor) -> Tensor:
        assert which.dtype == torch.int64
        assert keep.dtype == torch.bool
        return nn.functional.one_hot(which, 4) * blind(image * keep)

    mask = torch.rand(4, 1, 9, 9, generator=torch.Generator().manual_seed(4)) < 0.5
    leaves = {"image": IMAGES, "which": torch.tensor([0, 3, 1, 1]), "keep": mask}
    found = assert_equivariant(picks, "C4", leaves)
    assert {each.output for each in found} == {"output", "gradient by image"}
    with pytest.raises(AssertionError, match="output: at element"):
        assert_equivariant(
            lambda image, which, keep: picks(image, which, keep)[:, :1] * keep[:, 0, 0, :4], "C4", leaves
        )


def test_classes_are_compared_as_they_are() -> None:
    assert_equivariant(lambda x: (blind(x)[:, 0] > 0.5).long(), "C4", IMAGES, "category")
    with pytest.raises(AssertionError, match="output: at element"):
        assert_equivariant(lambda x: x.flatten(1).argmax(1), "C4", IMAGES, "category")


class Single(nn.Module):
    """Computes in float32, whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return blind(x.float() * torch.tensor(0.3))


def test_float32_inside_is_hinted_at() -> None:
    with pytest.raises(AssertionError, match=r"size of rounding in float32: .* pass dtype=torch.float32"):
        assert_equivariant(Single(), "C4", IMAGES)
    assert_equivariant(Single(), "C4", IMAGES, dtype=torch.float32)
    with pytest.raises(AssertionError) as caught:
        assert_equivariant(lambda x: blind(x) + 1e-3 * x[:, 0, 0, :1], "C4", IMAGES)
    assert "float32" not in str(caught.value), "a small bug is not explained away"


def test_a_model_that_cannot_run_in_float64_says_what_to_pass() -> None:
    def multiplies(x: Tensor) -> Tensor:
        return blind(x) @ torch.ones(1, 3)

    with pytest.raises(
        ConfigError, match=r"in float64 the model raised RuntimeError.*It runs with dtype=torch.float32"
    ):
        assert_equivariant(multiplies, "C4", IMAGES)
    assert_equivariant(multiplies, "C4", IMAGES, dtype=torch.float32)
    with pytest.raises(ZeroDivisionError):  # what fails in any precision is the model's own
        assert_equivariant(lambda x: x / 0 if x.sum() == 0 else 1 / 0, "C4", IMAGES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_images_are_moved_in_float32_for_half_precision(dtype: torch.dtype) -> None:
    assert_equivariant(blind, "SO2", draw(3, 1, 9, 9), dtype=dtype, tolerance=10.0, elements=4)


def test_outputs_that_differ_by_rounding_alone_between_samples_are_measured_by_their_size() -> None:
    """The same for all samples but for the order of sums: in units of that rounding, rounding would be broken."""

    def shares(x: Tensor) -> Tensor:
        return x.flatten(1).softmax(1).sum(1, keepdim=True) * 7  # 7, to rounding

    found = assert_equivariant(shares, "C4", draw(6, 1, 33, 33), gradients=False)
    assert found[0].relative < 1e-14


def test_a_disc_and_a_crop_are_applied_as_in_a_suite() -> None:
    corner = torch.zeros(2, 1, 17, 17)
    corner[:, :, :2, :2] = draw(2, 1, 2, 2) + 1
    for options in ({"border": "disc"}, {"border": "crop", "margin": 4}):
        with pytest.raises(AssertionError):
            assert_equivariant(lambda x: x.mean((2, 3)), "SO2", corner, tolerance=0.1, elements=4)
        found = assert_equivariant(
            lambda x: x.mean((2, 3)), "SO2", corner, options=options, tolerance=0.1, elements=4
        )
        assert found[0].absolute == 0, "what the model is shown is empty"


# Messages.


def test_the_message_says_where_and_at_which_elements() -> None:
    def cheats(x: Tensor) -> Tensor:
        out = x.clone()
        out[2, 0, 3, 5] += x[2, 0, 0, 0]  # what stands there depends on the corner
        return out

    with pytest.raises(AssertionError) as caught:
        assert_equivariant(cheats, "C4", IMAGES, "image", gradients=False)
    message = str(caught.value)
    assert "sample 2" in message
    assert "It fails at every element" in message
    where = {"channel 0, row 3, column 5", *(f"channel 0, row {r}, column {c}" for r, c in ((3, 3), (5, 3), (5, 5)))}
    assert any(f"most of it at {each}." in message for each in where)
    with pytest.raises(AssertionError, match=r"It fails at 2 of 3 elements: 90°, 270°\."):
        assert_equivariant(
            lambda x: (x - x.flip((2, 3)))[:, 0].square().mean((1, 2))[:, None] + x.mean(2).square().mean(2),
            "C4",
            IMAGES,
        )
    with pytest.raises(AssertionError, match=r"most of it at value 1\."):
        assert_equivariant(lambda x: torch.cat([blind(x), x[:, 0, :1, 0]], 1), "C4", IMAGES)


def test_vectors_given_as_channels_are_hinted_at() -> None:
    def gradient(x: Tensor) -> Tensor:
        """Along x to the right and y up."""
        return torch.cat([x.roll(-1, 3) - x.roll(1, 3), x.roll(1, 2) - x.roll(-1, 2)], 1)

    with pytest.raises(
        AssertionError, match="pixels of 'flow' move and its 2 channels do not. Components of vectors do: Vector"
    ):
        assert_equivariant(gradient, "C4", IMAGES, {"flow": Image()})
    for hinted in (Vector(), channels({"turn": [[0, -1], [1, 0]]})):
        assert_equivariant(gradient, "C4", IMAGES, {"flow": hinted.over(Grid("image"))})
    with pytest.raises(AssertionError) as caught:
        assert_equivariant(lambda x: gradient(x)[:, :1], "C4", IMAGES, {"map": Image()})
    assert "Components" not in str(caught.value)


# Nothing of the caller's is touched.


def test_a_model_that_writes_into_its_input_is_named_and_its_gradients_tested() -> None:
    def centres(x: Tensor, y: Tensor) -> Tensor:
        x.sub_(0.5)
        return blind(x) * blind(y)

    leaves = {"x": draw(3, 1, 5, 5).double(), "y": draw(3, 1, 5, 5, seed=1).double()}
    before = {name: x.clone() for name, x in leaves.items()}
    with pytest.warns(UserWarning, match=r"the model writes into its input 'x' in place"):
        found = assert_equivariant(centres, "C4", leaves)
    assert {each.output for each in found} == {"output", "gradient by x", "gradient by y"}
    assert all(torch.equal(leaves[name], x) for name, x in before.items())
    assert_equivariant(lambda x: blind(x.clone().sub_(0.5)), "C4", leaves["x"])  # no word where a copy is written to


def test_tensors_that_a_module_keeps_are_copied_wherever_they_are() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 2)
            self.kept = {"last": [self.head.weight * 2, (self.head.bias * 2,)]}

        def forward(self, x: Tensor) -> Tensor:
            return self.head(blind(x))

    model = Keeps()
    last = model.kept["last"][0]
    assert_equivariant(model, "C4", IMAGES)
    assert model.kept["last"][0] is last
    assert model.head.weight.dtype == torch.float32


def test_a_module_that_cannot_be_copied_says_what_to_pass() -> None:
    class Locked(nn.Module):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("one of a kind")

        def forward(self, x: Tensor) -> Tensor:
            return blind(x)

    with pytest.raises(
        ConfigError, match=r"Locked: cannot be copied: RuntimeError: one of a kind.*Pass a function that calls it"
    ):
        assert_equivariant(Locked(), "C4", IMAGES)
    model = Locked()
    assert_equivariant(lambda x: model(x), "C4", IMAGES)


def test_under_inference_mode_and_no_grad() -> None:
    """As a test's fixture may have it; models that differentiate inside run as well."""

    def force(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(x.square().sum(), x)[0]

    for mode in (torch.inference_mode(), torch.no_grad()):
        with mode:
            found = assert_equivariant(force, "C4", draw(3, 1, 5, 5), "image")
        assert {each.output for each in found} == {"output", "gradient by x"}


def test_a_model_that_cannot_be_differentiated_says_so() -> None:
    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return blind(x)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            raise RuntimeError("not written")

    with pytest.raises(
        ConfigError, match=r"gradients: the model cannot be differentiated: not written.*gradients=False"
    ):
        assert_equivariant(Forward.apply, "C4", IMAGES)
    assert_equivariant(Forward.apply, "C4", IMAGES, gradients=False)


@pytest.mark.parametrize("name", ["Image", "Scalar"])
def test_fields_may_be_given_by_name(name: str) -> None:
    kind = {"Image": Image, "Scalar": Scalar}[name]
    ways: tuple[Any, ...] = (kind(), name, name.lower(), kind)
    for given in ways:
        assert_equivariant(lambda x: torch.zeros_like(x), "C4", IMAGES, given)


def test_a_suite_refuses_an_output_along_an_axis_that_no_leaf_has(case: CaseOf) -> None:
    """Left alone where its rows move with the set's, an exact layer got E = 1."""
    net = case("other_axis")
    ran = net.run()
    assert ran.code == 3
    assert "is along the axis 'items', which no leaf of the dataset has, expected 'points'" in " ".join(
        ran.err.split()
    )
    suite = net.path / "suite.yaml"
    suite.write_text(suite.read_text().replace('"model.py:build"', '"model.py:build", args: {right: true}'))
    assert net.run().code == 0
    assert net.estimate("equivariance_error", model="net") == 0
