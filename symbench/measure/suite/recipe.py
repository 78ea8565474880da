"""How a model is trained: the keys under ``train:``, and which of them do not go together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticCustomError

from symbench.base.errors import Problem, near_miss, one_of, quoted
from symbench.base.registry import Options

FIRST = frozenset({"on", "batch", "learning_rate", "weight_decay", "augment"})
"""Keys that every recipe's document holds, whatever they are. Any later one stands there only where it is not as
usual: digests of recipes and suites that do not use it stay what they were, and so do the seeds made of them."""
Part = Annotated[float, Field(gt=0, lt=1)]


class Augment(Options):
    """Samples are moved by one element of the symmetry's group each, with probability ``share``; or by ``every`` one.

    Of a group that can be listed, ``every`` shows each sample under all of its elements, of which the sample itself
    is one. ``least-squares`` alone can do so.
    """

    symmetry: str
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    every: bool = False

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> Any:
        given: dict[str, Any] = handler(self)
        if self.every:
            return {"symmetry": self.symmetry, "every": True}
        return self.symmetry if self.share == 1 else {key: given[key] for key in ("symmetry", "share")}


def _spelt_out(value: object) -> object:
    """A symmetry's name stands for all samples."""
    if isinstance(value, str):
        return {"symmetry": value}
    if value is None or isinstance(value, (Mapping, Augment)):
        return value
    raise PydanticCustomError("one_of_several", "a symmetry's name, or {symmetry: NAME, share: NUMBER}")


class Soften(Options):
    """The loss has ``weight`` times the mean of ``|f(g x) - g f(x)|^2`` over samples and outputs added."""

    symmetry: str
    weight: Annotated[float, Field(ge=0, le=1e6)] = 1.0


class SelfSupervised(Options):
    """Training without labels: two views of a sample are to be nearer to each other than to those of other samples.

    Each view is the sample moved by an element of its own of the symmetry ``views``. The lower the ``temperature``,
    the more the nearest of the other samples count.
    """

    views: Annotated[Augment, BeforeValidator(_spelt_out)]
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 0.5


class Stop(Options):
    """Training ends when ``patience`` epochs in a row had no lower validation loss; the best weights are kept."""

    patience: Annotated[int, Field(ge=1, le=10_000)]


class Recipe(Options):
    """How a model is trained: for so many ``epochs`` or optimiser ``steps``, one of the two.

    ``epochs: 0`` leaves its weights as they were drawn.
    ``optimiser: least-squares`` takes neither: it finds the weights with the lowest squared loss at once, for models
    that are linear in them.

    ``on`` names a dataset of the suite, whose training split is used: the first ``samples`` of its one seeded order,
    of which ``validation`` is a part that is not learnt from. ``seed`` makes it a replica: other initial weights,
    batches and draws. ``subset: own`` gives it samples of its own too, in an order that is its seed's, where those of
    all replicas are else the same. ``shared_draws`` gives every sample the same elements in each replica, which is
    not how replicas should be compared: it shows what comes of that. ``self_supervised`` learns an embedding without
    labels; neither the order of ``samples`` nor ``validation`` reads them then.

    The loss is the sum of those of the dataset's targets, each multiplied by its ``loss_weights``, which are 1 where
    nothing is said: ``loss_weights: {energy: 1, forces: 10}``. ``loss_per: {energy: atoms}`` divides a target, and
    what the model says of it, by how many places of that axis each sample has, so that large ones do not count most.

    Where classes stand at the places of a map, ``dice`` times the soft Dice loss is added to their cross-entropy,
    which alone would learn the ground first: 1 where nothing is said, and ``dice: 0`` is cross-entropy alone.

    ``together: 5`` trains five replicas in one pass, the one of seed 7 with those of the seeds 5, 6, 8 and 9: see
    :attr:`block`. Each has the weights, batches and draws that it would have alone, and other rounding.
    """

    on: str
    epochs: Annotated[int, Field(ge=0, le=10_000)] | None = None
    steps: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    batch: Annotated[int, Field(ge=1, le=65_536)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 5e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-2
    optimiser: Literal["adamw", "adam", "sgd", "least-squares"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    shared_draws: bool = False
    samples: Annotated[int, Field(ge=1)] | None = None
    subset: Literal["shared", "own"] = "shared"
    augment: Annotated[Augment | None, BeforeValidator(_spelt_out)] = None
    soften: Soften | None = None
    validation: Part | None = None
    stop: Stop | None = None
    target: Annotated[float, Field(gt=0, le=1)] | None = None
    loss_weights: dict[str, Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]] | None = None
    loss_per: dict[str, str] | None = None
    dice: Annotated[float, Field(ge=0, le=1000)] = 1.0
    together: Annotated[int, Field(ge=2, le=1000)] | None = None
    self_supervised: SelfSupervised | None = None

    @model_serializer(mode="wrap")
    def _unusual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        usual = {name: field.default for name, field in type(self).model_fields.items() if name not in FIRST}
        given: dict[str, Any] = handler(self)
        return {key: value for key, value in given.items() if key not in usual or value != usual[key]}

    @property
    def symmetries(self) -> dict[str, str]:
        """The symmetries of the suite that it uses, by its key."""
        views = None if self.self_supervised is None else self.self_supervised.views
        known = {"augment": self.augment, "soften": self.soften, "self_supervised": views}
        return {key: entry.symmetry for key, entry in known.items() if entry is not None}

    @property
    def block(self) -> range:
        """The seeds of the replicas that are trained together with this one; empty where it is trained alone.

        Of ``together: n`` they are those from a multiple of ``n`` on. It follows from the recipe alone: rounding
        differs with the number of replicas, and training amplifies it, so that weights would else depend on which
        other replicas a suite has or a cache lacks.
        """
        if self.together is None or self.seed is None:
            return range(0)
        first = self.seed - self.seed % self.together
        return range(first, first + self.together)


NESTED: dict[str, type[Options]] = {
    "train": Recipe,
    "augment": Augment,
    "soften": Soften,
    "stop": Stop,
    "self_supervised": SelfSupervised,
    "views": Augment,
}
"""The keys of a model's entry that hold a mapping of their own, and what may stand in it."""
OF_STEPS = frozenset(
    {
        "epochs",
        "steps",
        "batch",
        "learning_rate",
        "weight_decay",
        "schedule",
        "shared_draws",
        "soften",
        "validation",
        "stop",
        "target",
        "loss_weights",
        "loss_per",
        "dice",
        "together",
        "self_supervised",
    }
)
"""Keys of a recipe that mean nothing where no steps are taken."""


def problems_of_recipe(
    recipe: Recipe, datasets: Collection[str], symmetries: Collection[str], where: Callable[..., str]
) -> Iterator[Problem]:
    """Every problem of a recipe whose values are each in range.

    Args:
        recipe: the recipe.
        datasets: the suite's.
        symmetries: likewise.
        where: says where a key below ``train`` stands.
    """
    yield from _unknown(recipe, datasets, symmetries, where)
    yield from _of_samples(recipe, where)
    yield from _without_labels(recipe, where)
    if recipe.optimiser == "least-squares":
        yield from _at_once(recipe, where)
        return
    if recipe.epochs is not None and recipe.steps is not None:
        yield Problem(where("steps"), "got both epochs and steps", "one of them", "Take out the other.")
    if recipe.epochs is None and recipe.steps is None:
        remedy = "Add 'epochs:', or 'steps:' for steps of the optimiser."
        yield Problem(where(), "got neither epochs nor steps", "one of them", remedy)
    if recipe.momentum is not None and recipe.optimiser != "sgd":
        remedy = f"Take momentum out, or add optimiser: sgd: {recipe.optimiser} keeps means of its own."
        yield Problem(where("momentum"), f"got momentum for {recipe.optimiser}", "it for sgd alone", remedy)
    if recipe.augment is not None and recipe.augment.every:
        remedy = "Take every out: each epoch then shows each sample under an element that is drawn anew."
        yield Problem(where("augment", "every"), f"got every for {recipe.optimiser}", "it for least-squares", remedy)
    if recipe.shared_draws and recipe.augment is None:
        got = "got shared_draws without augment, so that nothing is drawn"
        yield Problem(where("shared_draws"), got, "both", "Add augment:, or take it out.")
    yield from _of_replicas(recipe, where)
    for key in ("stop", "target"):
        if getattr(recipe, key) is not None and recipe.validation is None:
            remedy = "Add validation: 0.2, which is a part of the training split and never of the test split."
            yield Problem(where(key), f"got {key} without validation", "both", remedy)


def _of_samples(recipe: Recipe, where: Callable[..., str]) -> Iterator[Problem]:
    """Keys that speak of samples, and leave nothing to choose."""
    augment = recipe.augment
    if augment is not None and augment.every and augment.share != 1:
        yield Problem(where("augment", "share"), "got both share and every", "one of them", "Take out the other.")
    if recipe.subset == "own" and recipe.samples is None and recipe.validation is None:
        got = "got subset: own without samples, so that all replicas learn from all of them"
        yield Problem(where("subset"), got, "both", "Add samples:, or take it out.")


def _of_replicas(recipe: Recipe, where: Callable[..., str]) -> Iterator[Problem]:
    """What does not go with replicas that are trained together."""
    if recipe.together is None:
        return
    if recipe.seed is None:
        got = "got together without a seed, so that there is one training"
        yield Problem(where("together"), got, "replicas", f"Add sweep: {{seeds: {recipe.together}}}, or take it out.")
    if recipe.soften is not None:
        got = "got together with soften, whose second pass is of one replica"
        yield Problem(where("together"), got, "one of them", "Take together out: replicas are then trained alone.")
    if recipe.self_supervised is not None:
        got = "got together with self_supervised, whose second view is of one replica"
        yield Problem(where("together"), got, "one of them", "Take together out: replicas are then trained alone.")
    if recipe.subset == "own" and recipe.validation is not None:
        got = "got together with subset: own and validation, so that replicas may learn from different numbers"
        yield Problem(where("together"), got, "batches of one size", "Take together, subset or validation out.")


def _without_labels(recipe: Recipe, where: Callable[..., str]) -> Iterator[Problem]:
    """What does not go with a training without labels."""
    if recipe.self_supervised is None:
        return
    if recipe.batch == 1:
        got = "got batches of one sample, whose views have no others to be told from"
        yield Problem(where("batch"), got, "2 or more")
    if recipe.self_supervised.views.every:
        got = "got every for views, of which two are drawn for each sample"
        yield Problem(where("self_supervised", "views", "every"), got, None, "Take every out.")
    if recipe.augment is not None:
        got = "got augment for a training without labels, whose views are drawn by self_supervised"
        yield Problem(where("augment"), got, "one of them", "Take augment out, or name its symmetry under views:.")
    for key in ("loss_weights", "loss_per", "dice"):
        if key in recipe.model_fields_set and getattr(recipe, key) is not None:
            got = f"got {key} for a training without labels, whose loss is of no target"
            yield Problem(where(key), got, None, f"Take {key} out.")
    if recipe.target is not None:
        got = "got a share of right answers for a training without labels"
        yield Problem(where("target"), got, None, "Take target out: the curve has the loss of each epoch.")


def _at_once(recipe: Recipe, where: Callable[..., str]) -> Iterator[Problem]:
    """What does not go with least squares."""
    for key in recipe.model_fields_set & (OF_STEPS | {"momentum"}):
        got = f"got {key} for least-squares, which takes no steps and finds all weights at once"
        yield Problem(where(key), got, None, f"Take {key} out, or name another optimiser.")
    if recipe.augment is not None and not recipe.augment.every:
        remedy = f"Say augment: {{symmetry: {recipe.augment.symmetry}, every: true}}."
        yield Problem(where("augment"), "got augment without every for least-squares", "both", remedy)


def _unknown(
    recipe: Recipe, datasets: Collection[str], symmetries: Collection[str], where: Callable[..., str]
) -> Iterator[Problem]:
    """Names that the suite does not have."""
    given = [("on", recipe.on, datasets), *((key, name, symmetries) for key, name in recipe.symmetries.items())]
    for key, name, known in given:
        if name not in known:
            yield Problem(where(key), f"got {quoted(name)}", f"one of {one_of(known)}", near_miss(name, known))
