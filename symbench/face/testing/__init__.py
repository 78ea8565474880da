"""For tests: ``assert_equivariant`` for models, law checks for groups and actions, and models made equivariant."""

from symbench.face.equivariant import Deviation, assert_equivariant
from symbench.face.equivariant.wrapping import averaged, canonicalised
from symbench.face.testing.laws import (
    check_action,
    check_closed,
    check_design,
    check_group,
    check_haar,
    same_elements,
)

__all__ = [
    "Deviation",
    "assert_equivariant",
    "averaged",
    "canonicalised",
    "check_action",
    "check_closed",
    "check_design",
    "check_group",
    "check_haar",
    "same_elements",
]
