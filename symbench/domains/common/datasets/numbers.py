"""Options that say how many places samples have."""

from __future__ import annotations

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def least_and_most(noun: str, most: int, usual: int) -> BeforeValidator:
    """What makes a pair of one number, or of the least and the most.

    Args:
        noun: what is counted, for messages.
        most: how many there may be; 2 are the least.
        usual: a number that a pair in messages ends with.
    """

    def checked(value: object) -> object:
        pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, (list, tuple)) else ()
        if len(pair) != 2 or not all(isinstance(end, int) and not isinstance(end, bool) for end in pair):
            raise PydanticCustomError(noun, f"a number of {noun}, or the least and the most such as [4, {usual}]")
        if not 2 <= pair[0] <= pair[1] <= most:
            raise PydanticCustomError(noun, f"2 to {most} {noun}, the smaller number first")
        return pair

    return BeforeValidator(checked)
