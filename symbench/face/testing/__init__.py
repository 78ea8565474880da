"""For tests: ``assert_equivariant`` for models, and law checks for groups and actions."""

from symbench.face.equivariant import Deviation, assert_equivariant
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
    "check_action",
    "check_closed",
    "check_design",
    "check_group",
    "check_haar",
    "same_elements",
]
