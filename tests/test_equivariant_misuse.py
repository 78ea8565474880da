"""What assert_equivariant refuses, each in a sentence that says what to do: never a library's error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from symbench.base.errors import ConfigError, SymbenchError
from symbench.face.testing import assert_equivariant
from symbench.fields import Image, Nodes, Scalar

NODES = Nodes("nodes", Scalar())


def draw(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


IMAGES = draw(4, 1, 9, 9)
ROWS = draw(4, 16, 8)


def blind(x: Tensor) -> Tensor:
    return x.mean((2, 3))


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(x, x, x)[0]


SIXES = draw(3, 6)
MISUSE: dict[str, tuple[Callable[[], Any], str]] = {
    "a rectangle": (lambda: assert_equivariant(blind, "C8", draw(3, 1, 12, 8)), "input 'x': C8 cannot act on it: turning by other angles than quarters needs a square image, got 12 x 8"),
    "maps that are no square": (lambda: assert_equivariant(lambda x: x[..., :4], "C4", IMAGES, "image"), "output 'output': C4 cannot move it: its sides would be exchanged, and those of the input are not: a square is needed"),
    "logits as maps": (lambda: assert_equivariant(blind, "C4", IMAGES, "image"), "an image has shape"),
    "a missing option": (lambda: assert_equivariant(blind, "translations", IMAGES), "group translations: the option 'reach' is missing. Say reach: in a suite, or options={'reach': ...}"),
    "a missing option of the action": (lambda: assert_equivariant(blind, "translations", IMAGES, options={"reach": 2}), "action 'shift': the option 'border' is missing"),
    "an option out of range": (lambda: assert_equivariant(blind, "translations", IMAGES, options={"reach": 0, "border": "circular"}), "group translations: got reach 0, expected greater than or equal to 1"),
    "an option of another value": (lambda: assert_equivariant(blind, "translations", IMAGES, options={"reach": 2, "border": "circlar"}), "action 'shift': got border 'circlar', expected 'circular', 'zero'"),
    "options that do not go together": (lambda: assert_equivariant(blind, "SO2", IMAGES, options={"fill": 0.5}, tolerance=1.0), "needs border: fill or disc"),
    "an unknown option": (lambda: assert_equivariant(blind, "translations", IMAGES, options={"reech": 2}), "options: got 'reech', expected one of.*Did you mean 'reach'"),
    "an unknown group": (lambda: assert_equivariant(blind, "SO4", IMAGES), "got group 'SO4'.*Did you mean 'SO3'"),
    "a group that is no name": (lambda: assert_equivariant(blind, 4, IMAGES), "group: got 4, expected its name"),  # type: ignore[arg-type]
    "a product that does not act": (lambda: assert_equivariant(blind, "C4 x translations", IMAGES), "no direct product"),
    "a field by another name": (lambda: assert_equivariant(blind, "C4", IMAGES, {"y": "vector"}), r"outputs\['y'\]: got 'vector', expected Image\(\), Volume\(\), Scalar\(\)"),
    "a near miss of a field": (lambda: assert_equivariant(blind, "C4", IMAGES, {"y": "scalr"}), "Did you mean 'Scalar'"),
    "a number for a field": (lambda: assert_equivariant(blind, "C4", IMAGES, fields={"x": 3}), r"fields\['x'\]: got 3"),  # type: ignore[dict-item]
    "a field of no input": (lambda: assert_equivariant(blind, "C4", IMAGES, fields={"image": Image()}), "fields: got a field for 'image', expected one of the inputs: x"),
    "an unknown submodule": (lambda: assert_equivariant(Attends(), "S16", ROWS, {"y": NODES}, modules={"head": NODES}), "modules: got 'head', expected one of heads, heads.out_proj. Did you mean 'heads'"),
    "a submodule that is not called": (lambda: assert_equivariant(Attends(), "S16", ROWS, {"y": NODES}, modules={"heads.out_proj": NODES}), "the model does not call 'heads.out_proj'"),
    "submodules of a function": (lambda: assert_equivariant(blind, "C4", IMAGES, modules={"a": Image()}), "the model is a function, expected a module"),
    "a class": (lambda: assert_equivariant(nn.Flatten, "C4", IMAGES), "model: got <class"),
    "an array": (lambda: assert_equivariant(blind, "C4", IMAGES.numpy()), "input 'x': got a ndarray, expected a tensor"),  # type: ignore[arg-type]
    "samples that differ in number": (lambda: assert_equivariant(lambda a, b: a, "C4", {"a": IMAGES, "b": IMAGES[:3]}), "got 4 samples of 'a', 3 samples of 'b'"),
    "points under turns": (lambda: assert_equivariant(blind, "C4", draw(3, 16, 2)), r"input 'x': the shape \(3, 16, 2\) does not say what it is, expected what C4 acts on: images \(n, c, h, w\)"),
    "a volume": (lambda: assert_equivariant(blind, "C4", draw(3, 1, 4, 4, 4)), r"input 'x': C4 cannot act on it: an image has shape \(c, h, w\), got \(1, 4, 4, 4\): volumes are moved by O, Oh and mirrors"),
    "an image in space": (lambda: assert_equivariant(blind, "Oh", IMAGES), r"input 'x': Oh cannot act on it: Oh moves space, and the 2-D grid 'image' is none: images are moved by D4 and C4"),
    "a volume under all turns": (lambda: assert_equivariant(blind, "SO3", draw(3, 1, 4, 4, 4)), "SO3 has elements that map no grid to itself: use O, Oh or mirrors"),
    "one axis too few": (lambda: assert_equivariant(lambda x: x, "S6", SIXES), r"\(3, 6\) does not say what it is, expected Nodes\('nodes', Scalar\(\)\) if its second axis"),
    "nothing that moves": (lambda: assert_equivariant(lambda x: x, "S6", SIXES, fields="scalar"), "no input is moved by S6: 'x' is Scalar"),
    "no elements": (lambda: assert_equivariant(blind, "SO2", IMAGES, elements=0, tolerance=1.0), "elements: got 0, expected 1 or more"),
    "more elements than there are": (lambda: assert_equivariant(blind, "C4", IMAGES, elements=9), "elements: got 9, expected at most 3"),
    "nothing tested": (lambda: assert_equivariant(blind, "C4", IMAGES, {"y": None}), "outputs: nothing is tested"),
    "one number for all samples": (lambda: assert_equivariant(lambda x: x.mean(), "C4", IMAGES), r"has shape \(\), expected \(4, ...\)"),
    "no tensor": (lambda: assert_equivariant(lambda x: (blind(x), 3.0), "C4", IMAGES, {"y": Scalar(), "loss": Scalar()}), "'loss' is a float, expected a tensor. With 'loss': None"),
    "complex numbers": (lambda: assert_equivariant(lambda x: torch.fft.fft(blind(x)), "C4", IMAGES), "complex128, expected real numbers. Return torch.view_as_real"),
    "labels that would be resampled": (lambda: assert_equivariant(lambda x: blind(x.float()), "C8", IMAGES.long(), tolerance=1.0), "input 'x': is torch.int64, and C8 resamples"),
    "labels that would be faded out": (lambda: assert_equivariant(lambda x: blind(x.float()), "C4", IMAGES.long() + 1, options={"border": "disc"}), "input 'x': is torch.int64, and border: disc or oversample change numbers"),
    "predictions that would be resampled": (lambda: assert_equivariant(lambda x: (x > 0.5).long(), "C8", IMAGES, "image", tolerance=1.0), "output 'output': is torch.int64, and C8 resamples"),
    "an unknown dtype": (lambda: assert_equivariant(blind, "C4", IMAGES, dtype=torch.int32), "dtype: got torch.int32, expected one of torch.float64"),
    "maps in other pixels": (lambda: assert_equivariant(nn.AvgPool2d(3), "translations", IMAGES, "image", options={"reach": 1, "border": "circular"}), "shifts are in the input's pixels, of 9 a side, and it has 3"),
    "something random": (lambda: assert_equivariant(lambda x: blind(x) + torch.rand(1), "C4", IMAGES), "on the same input it differs from itself by .*Is something random"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(MISUSE))
def test_misuse_is_answered_in_a_sentence(what: str) -> None:
    call, message = MISUSE[what]
    with pytest.raises(ConfigError, match=message) as caught:
        call()
    assert "pydantic" not in str(caught.value)


def test_other_submodules_for_other_inputs_are_an_error() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            x = self.part(x)
            return blind(self.part(x) if x[0, 0, 0, 0] > x[0, 0, -1, 0] else x)

    with pytest.raises(ConfigError, match=r"other submodules for f\(g.x\)"):
        assert_equivariant(Sometimes(), "C4", IMAGES, modules={"part": Image()})


def test_a_shape_that_depends_on_the_input_is_an_error() -> None:
    with pytest.raises(SymbenchError, match=r"f\(g.x\) has shape"):
        assert_equivariant(
            lambda x: blind(x) if x[0, 0, 0, 0] > x[0, 0, 0, -1] else blind(x).repeat(1, 2), "C4", IMAGES
        )
