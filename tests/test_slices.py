"""Many things a few at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from symbench.base.slices import ahead, slices


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (3, 3), (7, 3), (7, 1), (2, 100)])
def test_slices_cover_everything_once_in_order(count: int, size: int) -> None:
    things = list(range(count))
    taken = [things[part] for part in slices(count, size)]
    assert [thing for part in taken for thing in part] == things
    assert all(len(part) == size for part in taken[:-1]), "only the last is shorter"
    assert all(part for part in taken), "and none is empty"


def test_a_slice_ends_where_the_things_do() -> None:
    """Its length is asked for, as of the draws that are to be made."""
    assert [part.stop - part.start for part in slices(7, 3)] == [3, 3, 1]


def test_the_next_part_is_worked_on_while_the_caller_is_busy_with_this_one() -> None:
    begun: dict[int, Event] = {thing: Event() for thing in range(7)}

    def work(thing: int) -> int:
        begun[thing].set()
        return thing * thing

    parts = [[0, 1, 2], [3, 4, 5], [6]]
    with ThreadPoolExecutor(2) as pool:
        found = []
        for part, results in ahead(pool, work, parts):
            found.append((list(part), results))
            following = [thing for thing in range(part[-1] + 1, part[-1] + 4) if thing in begun]
            assert all(begun[thing].wait(10) for thing in following), "nobody has asked for it yet"
        assert found == [(part, [thing * thing for thing in part]) for part in parts]
        assert list(ahead(pool, work, [])) == []


def test_what_the_work_raises_is_raised_where_its_part_is_asked_for() -> None:
    with ThreadPoolExecutor(2) as pool:
        pieces = ahead(pool, lambda thing: 1 // thing, [[1, 2], [3, 0]])
        assert next(pieces) == ([1, 2], [1, 0])
        with pytest.raises(ZeroDivisionError):
            next(pieces)
