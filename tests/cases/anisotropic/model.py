"""Models of clusters whose deviation under rotations is known: energies that know of z, and forces broken at an atom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from symbench.fields import Axis, Field, Mask, Point, Scalar, Vector

ATOMS = Axis("atoms")
WEIGHT = 0.02
"""In eV."""
PUSH = (0.3, -0.1, 0.2)
"""In eV/Å."""


class Along(nn.Module):
    """``energy = WEIGHT sum_i P2(cos theta_i)`` of real atoms, and forces that are the positions but at some atoms.

    Args:
        pushed: the atoms that are pushed the same way however the cluster is turned.
        still: the atoms without a force.
        masked: whether samples differ in size.
    """

    outputs: Mapping[str, Field] = {"energy": Scalar(), "forces": Vector().over(ATOMS)}

    def __init__(self, pushed: Sequence[int], still: Sequence[int], masked: bool) -> None:
        super().__init__()
        self.pushed, self.still = list(pushed), list(still)
        mask: dict[str, Field] = {"atoms_mask": Mask().over(ATOMS)} if masked else {}
        self.inputs: Mapping[str, Field] = {"positions": Point().over(ATOMS), **mask}

    def forward(self, positions: Tensor, atoms_mask: Tensor | None = None) -> dict[str, Tensor]:
        cosine = positions[..., 2] / positions.norm(dim=-1).clamp(min=1e-9)
        each = (3 * cosine.square() - 1) / 2
        forces = positions.clone()
        forces[:, self.pushed] = positions.new_tensor(PUSH)
        forces[:, self.still] = 0
        if atoms_mask is not None:
            each, forces = each * atoms_mask, forces * atoms_mask[..., None]
        return {"energy": WEIGHT * each.sum(1, keepdim=True), "forces": forces}


def build(pushed: Sequence[int] = (), still: Sequence[int] = (), masked: bool = False) -> nn.Module:
    return Along(pushed, still, masked)
