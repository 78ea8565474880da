"""Finding a module's weights among those of a file: under which key, behind which prefix, shared by which names.

Frameworks save the same network as ``conv.weight``, ``module.conv.weight``, ``model.conv.weight`` beside the loss's
own weights, and under keys of their own. Everything that the module wants has to be found, or nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.domains.common.models.weights import State

WRAPPINGS = {"", "state_dict", "model_state_dict", "model", "net", "network", "params", "module"}
"""Keys under which training scripts keep the weights that were trained, rather than an average or a teacher's."""
PARENTS = {"", "module", "model", "net", "network", "backbone", "_forward_module"}
"""Attributes under which frameworks and users keep that network, and so prefixes of its keys."""
INSIDE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What ``torch.compile`` and wrappers of single layers put into the middle of names."""
UNTRAINED = (
    "num_batches_tracked", "n_averaged", "total_ops", "total_params", "position_ids", "relative_position_index",
)  # fmt: skip
"""How buffers end that hold nothing learnt: counters of batches, averages and profilers, and numbers of places."""
SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """The names that a module's state dict has, plain, and which of them are one tensor.

    Attributes:
        own: the module's name of each.
        values: its tensor of each.
        shared: the names of each tensor that has to be there; of tied weights one is enough.
    """

    own: Mapping[str, str]
    values: Mapping[str, Tensor]
    shared: Sequence[Sequence[str]]

    @classmethod
    def of(cls, module: nn.Module) -> Wanted:
        """The names and tensors that a module's state dict has."""
        state = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
        own = {_plain(key): key for key in state}
        values = {_plain(key): value for key, value in state.items()}
        groups: dict[object, list[str]] = {}
        for name, value in values.items():
            if not name.endswith("num_batches_tracked"):
                groups.setdefault(_memory(name, value), []).append(name)
        return cls(own, values, list(groups.values()))

    def without(self, prefix: str) -> Wanted:
        """The same with a prefix of all names taken off."""
        cut = len(prefix)
        return Wanted(
            {name[cut:]: key for name, key in self.own.items()},
            {name[cut:]: value for name, value in self.values.items()},
            [[name[cut:] for name in names] for names in self.shared],
        )


@dataclass(frozen=True)
class Candidate:
    """A part of a file that may hold a module's weights: one state dict, and a prefix of its keys.

    Attributes:
        path: the keys under which their state dict stands.
        prefix: what stands before their names there.
        wanted: by the names that they were looked for.
        state: those that the module has, by these names.
        left: the names of the others in the state dict, as they stand there.
    """

    path: str
    prefix: str
    wanted: Wanted
    state: State
    left: Sequence[str]

    @classmethod
    def behind(cls, prefix: str, state: State, path: str, wanted: Wanted) -> Candidate:
        """The candidate that a state dict holds behind a prefix."""
        taken = {key: _plain(key).removeprefix(prefix) for key in state if _plain(key).startswith(prefix)}
        taken = {key: name for key, name in taken.items() if name in wanted.own}
        left = [key for key in state if key not in taken]
        return cls(path, prefix, wanted, {name: state[key] for key, name in taken.items()}, left)

    @property
    def key(self) -> str:
        """What a suite calls these weights, as ``key:``."""
        return ".".join(part for part in (self.path, self.prefix.rstrip(".")) if part)

    @property
    def usual(self) -> bool:
        """Whether they stand under keys that training scripts use for the trained weights, and not an average's."""
        return set(self.path.split(".")) <= WRAPPINGS and set(self.prefix.rstrip(".").split(".")) <= PARENTS

    @property
    def missing(self) -> list[str]:
        """Names of what the module wants and the file has not."""
        return sorted(names[0] for names in self.wanted.shared if not any(name in self.state for name in names))

    @property
    def reshaped(self) -> list[str]:
        """In words, the tensors whose shapes are not the module's."""
        values = self.wanted.values
        return [
            f"{name} is {tuple(value.shape)} and the model's {tuple(values[name].shape)}"
            for name, value in sorted(self.state.items())
            if not is_lazy(values[name]) and values[name].shape != value.shape
        ]

    @property
    def untied(self) -> list[str]:
        """Names that are one tensor in the module, and differ in the file."""
        groups = ([name for name in names if name in self.state] for names in self.wanted.shared)
        return [
            " and ".join(names)
            for names in groups
            if not all(_equal(self.state[names[0]], self.state[name]) for name in names[1:])
        ]

    @property
    def deeper(self) -> list[str]:
        """Names within the module's own parts that it has not: more layers, or others, make another network.

        A part by itself, such as a loss or a second head, may be left out.
        """
        names = [name.split(".") for name in self.wanted.own]
        branch = 0
        while all(len(parts) > branch + 1 and parts[: branch + 1] == names[0][: branch + 1] for parts in names):
            branch += 1
        tops = {(*parts[:branch], _part(parts[branch])) for parts in names}
        others = [_plain(key).removeprefix(self.prefix) for key in self.left if _plain(key).startswith(self.prefix)]
        learnt = [name for name in others if not name.endswith(UNTRAINED) and name.count(".") >= branch]
        split = {name: name.split(".") for name in learnt}
        return sorted(n for n, parts in split.items() if (*parts[:branch], _part(parts[branch])) in tops)

    @property
    def complete(self) -> bool:
        """Whether it can be loaded: nothing is missing, reshaped, untied or deeper."""
        return not (self.missing or self.reshaped or self.untied or self.deeper)

    def same(self, other: Candidate) -> bool:
        """Whether both would load the same numbers."""
        own = {self.wanted.own[name]: value for name, value in self.state.items()}
        others = {other.wanted.own[name]: value for name, value in other.state.items()}
        return own.keys() == others.keys() and all(_equal(own[key], others[key]) for key in own)


def load_into(
    module: nn.Module, states: Mapping[str, State], *, where: str, file: str = "the file", key: str | None = None
) -> list[str]:
    """Load the weights that fit from those of a file: every tensor that the module has, or none.

    Args:
        module: what they are loaded into.
        states: the state dicts of the file, from :func:`~symbench.domains.common.models.weights.read`.
        where: the suite's key, for messages.
        file: the file's name, likewise.
        key: the key or prefix of those that are meant, where several fit.

    Returns:
        What people should be told: what was left over, and which of several were taken.

    Raises:
        ConfigError: none fit, with the first few keys that do not, or several do and none of them is the usual one.
    """
    wanted = Wanted.of(module)
    if not wanted.shared:
        raise ConfigError(Problem(where, f"{type(module).__name__} has no weights", "a model to load them into"))
    every = list(_candidates(states, wanted))
    meant = [candidate for candidate in every if key is None or _is_meant(candidate, key)]
    if not meant:
        known = list(
            dict.fromkeys(
                [
                    *(candidate.key for candidate in every if candidate.complete and candidate.key),
                    *filter(None, states),
                ]
            )
        )
        raise ConfigError(
            Problem(where, f"got key {quoted(key)}", f"one of {one_of(known)}", near_miss(str(key), known))
        )
    fitting = sorted(
        (candidate for candidate in meant if candidate.complete), key=lambda candidate: not candidate.usual
    )
    if not fitting:
        raise _of_another(
            module, min(meant, key=lambda candidate: (len(candidate.missing), len(candidate.left))), where
        )
    best, others = fitting[0], [candidate for candidate in fitting[1:] if not candidate.same(fitting[0])]
    if others and not best.usual:
        names = [candidate.key for candidate in (best, *others)]
        got = f"{file} holds several that fit {type(module).__name__}: {one_of(names[:SHOWN])}"
        remedy = f"Say which: weights: {{file: {quoted(file)}, key: {names[0]}}}."
        raise ConfigError(Problem(where, got, "one", remedy))
    module.load_state_dict({best.wanted.own[name]: value for name, value in best.state.items()}, strict=False)
    return [*_of_others(best, others, file), *_left_over(best, fitting[1:], file)]


def _candidates(states: Mapping[str, State], wanted: Wanted) -> Iterator[Candidate]:
    """Every candidate of the file: each state dict, behind each prefix under which it has one of the wanted names.

    Where that leads to nothing, the module may hold the network in an attribute: then its own prefix is taken off.
    """
    whole = [Candidate.behind("", state, path, wanted) for path, state in states.items()]
    candidates = [*whole, *_behind_prefixes(states, wanted)]
    names = [name.split(".") for name in wanted.own]
    own = ""
    for parts in zip(*names, strict=False):
        if any(each.complete for each in candidates) or set(parts) - PARENTS or len(set(parts)) > 1:
            break
        own += f"{parts[0]}."
        inner = wanted.without(own)
        candidates += [Candidate.behind("", state, path, inner) for path, state in states.items()]
        candidates += _behind_prefixes(states, inner)
    yield from candidates


def _behind_prefixes(states: Mapping[str, State], wanted: Wanted) -> Iterator[Candidate]:
    """The candidates behind the prefixes of one wanted tensor's names: whatever holds all of them holds that one."""
    names = max(wanted.shared, key=lambda names: min(map(len, names)))  # long names have few namesakes
    for path, state in states.items():
        plain = [_plain(key) for key in state]
        prefixes = [key.removesuffix(name) for key in plain for name in names if key.endswith("." + name)]
        yield from (Candidate.behind(prefix, state, path, wanted) for prefix in dict.fromkeys(prefixes))


def _is_meant(candidate: Candidate, key: str) -> bool:
    own = (candidate.key, candidate.path, candidate.prefix.rstrip("."))
    return key in own or candidate.key.startswith(f"{key}.")


def _of_another(module: nn.Module, nearest: Candidate, where: str) -> ConfigError:
    """The error for weights that do not fit: what is wrong with those that come nearest."""
    unexpected = sorted(key for key in nearest.left if not key.endswith(UNTRAINED))
    complaints = [
        f"{len(names)} {what}: {one_of(names[:SHOWN])}"
        for what, names in (
            ("missing keys", nearest.missing),
            ("unexpected keys", unexpected),
            ("other shapes", nearest.reshaped),
            ("tied here and not there", nearest.untied),
        )
        if names
    ]
    got = "the weights are of another architecture: " + "; ".join(complaints)
    return ConfigError(Problem(where, got, f"the {len(nearest.wanted.own)} keys of {type(module).__name__}"))


def _of_others(best: Candidate, others: Sequence[Candidate], file: str) -> Iterator[str]:
    """A note where other weights of the file fit too, such as an average beside what was averaged."""
    if others:
        fit = one_of([candidate.key or "no key" for candidate in (best, *others)][:SHOWN])
        option = f"weights: {{file: {file}, key: {others[0].key}}}"
        yield f"{file} holds weights that fit under {fit}: the first are taken; {option} takes others"


def _left_over(best: Candidate, others: Sequence[Candidate], file: str) -> Iterator[str]:
    """A note about keys that are left over, apart from those of other candidates."""
    known = tuple(candidate.prefix for candidate in others if candidate.path == best.path and candidate.prefix)
    left = [key for key in best.left if not (known and _plain(key).startswith(known))]
    if left:
        more = f" and {len(left) - SHOWN:,} more" if len(left) > SHOWN else ""
        harmless = " (nothing learnt)" if all(key.endswith(UNTRAINED) for key in left) else ""
        keys = f"1 key of {file} is" if len(left) == 1 else f"{len(left):,} keys of {file} are"
        yield f"{keys} none of the model's and left out{harmless}: {', '.join(left[:SHOWN])}{more}"


def _part(name: str) -> str:
    """The name of a part; numbered ones, as in a Sequential, are one."""
    return "0" if name.isdecimal() else name


def _plain(key: str) -> str:
    for part in INSIDE:
        key = key.replace(part, "")
    return key


def _memory(name: str, value: Tensor) -> object:
    """A key that is equal for tensors that share their memory; by name for those that have none yet."""
    if is_lazy(value) or value.is_meta or not value.numel():
        return name
    return value.untyped_storage().data_ptr(), value.storage_offset(), tuple(value.shape), value.stride()


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
