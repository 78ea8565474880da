"""For tests: ``assert_equivariant`` for models, law checks for groups and actions, and known things to measure."""

from symbench.face.equivariant import Deviation, assert_equivariant
from symbench.face.testing.known import KnownError, Marked, known_error
from symbench.face.testing.laws import (
    check_action,
    check_closed,
    check_design,
    check_group,
    check_haar,
    same_elements,
)
from symbench.face.testing.small import Blobs, Brightness

__all__ = [
    "Blobs",
    "Brightness",
    "Deviation",
    "KnownError",
    "Marked",
    "assert_equivariant",
    "check_action",
    "check_closed",
    "check_design",
    "check_group",
    "check_haar",
    "known_error",
    "same_elements",
]
