"""Steerable networks of two libraries, escnn and e2cnn.

Weiler & Cesa, "General E(2)-Equivariant Steerable CNNs", 2019. Both have the same layers for images. These are put
together here as their users do, so that the libraries' own filters, normalisation and blurring are measured beside
the networks that are defined in this package.
"""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from symbench.base.code import require
from symbench.domains.common.models.source import Description, Source
from symbench.domains.images.models.steerable_cnn import Maximum, Norms, SteerableCnn

FREQUENCIES = (1, 2)
"""Of the two-dimensional irreducible representations that features of SO(2) and O(2) have beside a scalar."""
BLUR_PX = 0.66
"""Of the Gaussian in front of a stride of 2, as in the examples of both libraries."""
LOG_BIAS = -2.0
"""Of fresh norm nonlinearities, ``relu(|z| - exp(b)) z / |z|``: the libraries' own, 0, rectifies every feature of a
fresh network to 0, and its logits would not depend on the image."""


@dataclass(frozen=True)
class Steerable(Source):
    """Four convolutions with blurred strides between the first ones, of regular fields or irreducible ones.

    The logits do not change under those elements of the group that keep the grid, quarter turns and mirrors, up to
    rounding, on square images whose side stays odd under the two strides (33, 17, 9). Other turns are approximate.

    Attributes:
        group: C and a number, or D with mirrors: regular fields and ReLU. SO2, or O2 with mirrors: a scalar and
            :data:`FREQUENCIES` in each feature, and norm nonlinearities.
        kernel: pixels a side of the filters.
        width: features of the first layer; later ones have twice as many. It may be left out where the network is
            described and not built: a budget chooses it in between.
    """

    group: str
    kernel: int
    width: int = 1

    package: ClassVar[str]
    spaces: ClassVar[tuple[str, str]]
    """What makes the planes with turns, and with turns and mirrors, in the package's ``gspaces``."""

    def describe(self) -> Description:
        """Nothing that it brings along: it takes any images. The library has to be there."""
        require(self.package, self.package, self.where)
        return Description()

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network with fresh weights."""
        layers = require(f"{self.package}.nn", self.package, self.where)
        space = self._space()
        fields = self._fields(space)
        incoming = layers.FieldType(space, [space.trivial_repr] * shape[0])
        made: list[nn.Module] = []
        for depth, width in enumerate([self.width, *[2 * self.width] * 3]):
            outgoing = layers.FieldType(space, fields * width)
            made.append(layers.R2Conv(incoming, outgoing, self.kernel, padding=self.kernel // 2, bias=False))
            made += self._nonlinear(layers, outgoing)
            if depth < 2:
                made.append(layers.PointwiseAvgPoolAntialiased(outgoing, sigma=BLUR_PX, stride=2))
            incoming = outgoing
        sizes = [each.size for each in fields]
        invariants = Norms(sizes) if self._continuous else Maximum(*sizes)
        features = layers.SequentialModule(*made)
        return SteerableCnn(features, invariants, len(incoming), outputs, layers.GeometricTensor)

    @property
    def _continuous(self) -> bool:
        return self.group in {"SO2", "O2"}

    def _space(self) -> Any:
        gspaces = require(f"{self.package}.gspaces", self.package, self.where)
        turns, mirrored = (getattr(gspaces, name) for name in self.spaces)
        make = mirrored if self.group[0] in "DO" else turns
        return make(-1, maximum_frequency=max(FREQUENCIES)) if self._continuous else make(int(self.group[1:]))

    def _fields(self, space: Any) -> list[Any]:
        if not self._continuous:
            return [space.regular_repr]
        kinds = [(1, each) if self.group == "O2" else (each,) for each in FREQUENCIES]
        return [space.trivial_repr, *(space.irrep(*each) for each in kinds)]

    def _nonlinear(self, layers: Any, fields: Any) -> list[nn.Module]:
        if not self._continuous:
            return [layers.InnerBatchNorm(fields), layers.ReLU(fields)]
        gate = layers.NormNonLinearity(fields)
        nn.init.constant_(gate.log_bias, LOG_BIAS)
        return [layers.GNormBatchNorm(fields), gate]


class Escnn(Steerable):
    """``escnn``, whose filters are sampled in float32: they keep quarter turns to its rounding, in float64 too."""

    package = "escnn"
    spaces = ("rot2dOnR2", "flipRot2dOnR2")

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network with fresh weights."""
        require(self.package, self.package, self.where)
        # It hands NumPy matrices to scikit-learn where that is installed, as it is here, and scikit-learn takes none
        # since 1.2: O(2) could not be built. Without it the same is decomposed by SciPy.
        with contextlib.suppress(ModuleNotFoundError):
            numerical: Any = importlib.import_module("escnn.group._numerical")
            numerical.randomized_svd = None
        return Steerable.build(self, shape=shape, outputs=outputs)


class E2cnn(Steerable):
    """``e2cnn``, escnn's predecessor."""

    package = "e2cnn"
    spaces = ("Rot2dOnR2", "FlipRot2dOnR2")
