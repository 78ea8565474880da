"""Which of a model's outputs a class of the data is: by name where both have names, or else by index."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from symbench.algebra.fields import Boxes, Category, Classes, MultiLabel
from symbench.base.code import foreign
from symbench.base.errors import ConfigError, ModelError, Problem, near_miss, one_of, quoted
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.labels import LABELS, Names, plain
from symbench.domains.common.models.source import synonyms
from symbench.measure.assemble.model import built_for_data
from symbench.measure.suite import Suite

SHOWN = 5


@dataclass(frozen=True)
class Labels:
    """How the labels of a dataset are read for a model.

    Attributes:
        by: ``name``; ``number``, where class ``i`` is output ``i``; or ``index``, where label ``i`` is.
        outputs: the output of each class; None where each is its own.
        note: what people should be told: why labels are taken by index where one side has names.
    """

    by: str
    outputs: tuple[int, ...] | None = None
    note: str | None = field(default=None, compare=False)


def declared_names(module: nn.Module, name: str) -> tuple[tuple[str, ...], ...] | None:
    """What a module of a user's own calls its outputs: a list of names in ``classes``.

    Raises:
        ModelError: its own code raised.
    """
    with foreign(ModelError, name, "reading what it declares"):
        own = getattr(module, "classes", None)
    if not isinstance(own, (list, tuple)) or not own or not all(isinstance(each, str) for each in own):
        return None
    return tuple(synonyms(each) for each in own)


def _refuse_another_order(suite: Suite, model: str, dataset: Dataset, names: Sequence[Sequence[str]] | None) -> None:
    """Refuse outputs called otherwise than classes that permute: their representation is that of their order.

    Raises:
        ConfigError: with both.
    """
    theirs = [each[0] for each in names or () if each]
    own = list(map(str, dataset.classes or ()))
    if theirs and own and theirs != own:
        got = f"its outputs are called {one_of(theirs)}, and the classes, which permute, {one_of(own)}"
        raise ConfigError(Problem(suite.where("models", model), got, "one order"))


def match_labels(
    suite: Suite, model: str, data: str, dataset: Dataset, names: Names | None, learnt: Dataset | None
) -> Labels | None:
    """How the labels of a dataset are read for a model of a suite; None where it has no class labels.

    Args:
        suite: the suite.
        model: the model's name.
        data: the dataset's.
        dataset: itself.
        names: what the model's outputs are called; None where that is not known.
        learnt: what the model is trained on here, whose classes its outputs are then.

    Raises:
        ConfigError: as :func:`match`.
    """
    if any(isinstance(field, Classes) for field in dataset.targets.values()):
        _refuse_another_order(suite, model, dataset, names)
    several = any(isinstance(field, MultiLabel) for field in dataset.targets.values())
    if not several and not any(isinstance(field, (Category, Boxes)) for field in dataset.targets.values()):
        return None
    wanted = suite.models[model].labels
    where = suite.where("models", model, *([] if wanted is None else ["labels"]))
    if learnt is not None:
        names = [[name] for name in learnt.classes] if learnt.classes else None
    classes = dataset.classes if all(isinstance(name, str) for name in dataset.classes or ()) else None
    every = {str(output) for output in range(len(classes or ()))}
    if wanted is None and not names and built_for_data(suite.models[model]) and set(classes or ()) != every:
        return Labels("index")  # it is made with one output for each class, whatever number that is called by
    found = match(classes, names, wanted, strict=learnt is None, model=model, data=data, where=where)
    if several and found.outputs is not None and sorted(found.outputs) != list(range(len(names or found.outputs))):
        got = f"the labels of {data} are {len(found.outputs)} of the {len(names or ())} outputs of {model}"
        remedy = "Whether the others are there is not known: leave the pair out with except:."
        raise ConfigError(Problem(where, got, "all of them, where samples have several labels", remedy))
    return found


def match(
    classes: Sequence[str] | None,
    names: Names | None,
    wanted: str | Mapping[str, int | str] | None,
    *,
    strict: bool,
    model: str,
    data: str,
    where: str,
) -> Labels:
    """Find the output of every class.

    Names are compared without case, underscores, apostrophes and other marks; ``a, b`` stands for either. Whole
    numbers are outputs, where none of them is a name, or the outputs have none. A name that several outputs have is
    that of the one which no other class is.

    Args:
        classes: the data's; None where they have no names.
        names: what the model's outputs are called; None where that is not known.
        wanted: the entry's ``labels``: ``index``, ``name``, a label space such as ``imagenet``, or outputs by class.
        strict: whether it is an error that no class is known to the model, rather than a comparison by index.
        model: the model's name, for messages.
        data: the dataset's.
        where: the suite's key of the model.

    Raises:
        ConfigError: some class is none of the outputs, or more than one, or two are the same.
    """
    if isinstance(wanted, str) and wanted in LABELS.rows:
        names, strict = LABELS.row(wanted).load()().names(), True
    given = wanted if isinstance(wanted, Mapping) else {}
    if wanted == "name" or given:
        strict = True
        for known, who in ((classes, f"the classes of {data}"), (names or given or None, f"the outputs of {model}")):
            if not known:
                remedy = "Say labels: index to take label i for output i."
                raise ConfigError(Problem(where, f"{who} have no names to compare", None, remedy))
    problem = _Problems(model, data, where)
    if wanted == "index" or not (classes or names):
        return Labels("index")
    if not classes:
        return problem.by_index(f"the outputs of {model} have names, and the classes of {data} have none")
    if not (names or given):
        return _numbered(classes, problem)
    if names:
        names = _with_numbers(classes, names, where)
    chosen = [_chosen(name, given[name], names, problem) if name in given else None for name in classes]
    found = _looked_up(classes, chosen, names or (), problem, strict=strict)
    if found is None:
        return problem.by_index(f"none of the classes of {data} is an output of {model} by name")
    outputs = _settled(classes, found, names or (), problem)
    return Labels("name", None if outputs == tuple(range(len(outputs))) else outputs)


@dataclass(frozen=True)
class _Problems:
    """What is said of classes whose output is not clear."""

    model: str
    data: str
    where: str

    def by_index(self, why: str) -> Labels:
        """Labels by index where that may be wrong: an accuracy of none of it must not come without a word."""
        remedy = "a list 'classes' on both sides compares them by name, and labels: index says that this is right"
        return Labels("index", None, f"{self.model} on {self.data}: labels by index, since {why}; {remedy}")

    def unknown(self, classes: Sequence[str], lost: Sequence[str], names: Names) -> ConfigError:
        known = {plain(name): name for each in names for name in each}
        shown = []
        for name in lost[:SHOWN]:
            close = difflib.get_close_matches(plain(name), known, n=1)
            shown.append(repr(name) + (f" (nearest: {known[close[0]]!r})" if close else ""))
        more = f" and {len(lost) - SHOWN:,} more" if len(lost) > SHOWN else ""
        got = f"{len(lost):,} of {len(classes):,} classes of {self.data} are no output of {self.model}: "
        remedy = f"Name them, labels: {{{quoted(lost[0])}: 0}}, or say labels: index to take label i for output i."
        return self._error(got + ", ".join(shown) + more, remedy)

    def ambiguous(self, name: str, outputs: Sequence[int], names: Names) -> ConfigError:
        shown = " or ".join(f"output {output} ({names[output][0]})" for output in outputs)
        got = f"class {name!r} of {self.data} may be {shown} of {self.model}"
        remedy = f"Say which: labels: {{{quoted(name)}: {outputs[0]}}}, or call the class by its WordNet number."
        return self._error(got, remedy)

    def twice(self, first: str, second: str, output: int) -> ConfigError:
        got = f"classes {first!r} and {second!r} of {self.data} are both output {output} of {self.model}"
        return self._error(got, "Put them together, or say labels: index.")

    def beyond(self, name: str, output: int, names: Names | None) -> ConfigError:
        got = f"class {name!r} of {self.data} is to be output {output} of {self.model}"
        return ConfigError(Problem(self.where, got, f"0 to {len(names) - 1:,}" if names else "0 or more"))

    def no_name(self, value: str, names: Names) -> ConfigError:
        known = [name for each in names for name in each]
        expected = f"one of {one_of(known)}" if known else f"a number, as the outputs of {self.model} have no names"
        return ConfigError(Problem(self.where, f"got {quoted(value)}", expected, near_miss(value, known)))

    def _error(self, got: str, remedy: str) -> ConfigError:
        return ConfigError(Problem(self.where, got, None, remedy))


def _chosen(name: str, value: int | str, names: Names | None, problem: _Problems) -> set[int]:
    """The output that the suite names for a class."""
    if isinstance(value, str):
        found = _meant(value, _index(names or ()))
        if not found:
            raise problem.no_name(value, names or ())
        return found
    if value < 0 or (names is not None and value >= len(names)):
        raise problem.beyond(name, value, names)
    return {value}


def _numbered(classes: Sequence[str], problem: _Problems) -> Labels:
    """Classes called ``0``, ``1``, ``10``, ``2`` by number, of a model whose outputs have no names."""
    if not all(name.isdecimal() for name in classes):
        return problem.by_index(
            f"the classes of {problem.data} have names, and the outputs of {problem.model} have none"
        )
    owner: dict[int, str] = {}
    for name in classes:
        if int(name) in owner:
            raise problem.twice(owner[int(name)], name, int(name))
        owner[int(name)] = name
    return Labels("number", None if list(owner) == list(range(len(owner))) else tuple(owner))


def _looked_up(
    classes: Sequence[str], given: Sequence[set[int] | None], names: Names, problem: _Problems, *, strict: bool
) -> list[set[int]] | None:
    """The outputs that each class may be; None where none is known, and that is no error."""
    index = _index(names)
    found = [_meant(name, index) if own is None else own for name, own in zip(classes, given, strict=True)]
    lost = [name for name, outputs in zip(classes, found, strict=True) if not outputs]
    if len(lost) == len(classes):
        if not strict:
            return None
        if all(name.isdecimal() for name in classes):
            for name in classes:
                if int(name) >= len(names):
                    raise problem.beyond(name, int(name), names)
            return [{int(name)} for name in classes]
    if lost:
        raise problem.unknown(classes, lost, names)
    return found


def _settled(classes: Sequence[str], found: Sequence[set[int]], names: Names, problem: _Problems) -> tuple[int, ...]:
    """One output for each class."""
    if len(found) == len(names) and all(i in outputs for i, outputs in enumerate(found)):
        return tuple(range(len(found)))  # all of them in the model's order, whatever names they share
    taken = {next(iter(outputs)) for outputs in found if len(outputs) == 1}
    owner: dict[int, str] = {}
    for name, outputs in zip(classes, found, strict=True):
        left = outputs if len(outputs) == 1 else outputs - taken
        if len(left) != 1:
            raise problem.ambiguous(name, sorted(outputs), names)
        output = next(iter(left))
        if output in owner:
            raise problem.twice(owner[output], name, output)
        owner[output] = name
    return tuple(owner)


def _index(names: Names) -> dict[str, set[int]]:
    """The outputs that have each name, as it stands (``Cardigan`` is a dog) and without marks.

    What is the first name of some is not taken for a synonym of others.
    """
    first = [(each[0], each[0].split(",")[0]) for each in names]
    return {**_by_name(names, plain), **_by_name(first, plain), **_by_name(first, _as_it_stands)}


def _by_name(names: Names, form: Callable[[str], str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for output, each in enumerate(names):
        for name in each:
            found.setdefault(form(name), set()).add(output)
    return found


def _meant(name: str, index: Mapping[str, set[int]]) -> set[int]:
    """The outputs that are called so, or else as one of the synonyms between commas."""
    for parts in ([name], name.split(",")):
        found: set[int] = set()
        for part in parts:
            found |= index.get(_as_it_stands(part)) or index.get(plain(part), set())
        if found:
            return found
    return set()


def _as_it_stands(name: str) -> str:
    return "= " + name.replace("_", " ")


def _with_numbers(classes: Sequence[str], names: Names, where: str) -> Names:
    """The names, and numbers beside them where classes are called by those of a label space, and no output is."""
    for _, row in LABELS:
        if any(map(row.is_number, classes)) and not any(row.is_number(name) for each in names for name in each):
            names = row.load()().numbered(names, where)
    return names
