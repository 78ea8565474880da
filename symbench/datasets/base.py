"""What a dataset is, and the one that holds everything in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from symbench.events import Listener, ignore
from symbench.fields import Field, Image

Valid = Callable[[int, Mapping[str, float]], bool]
"""``(label, element's parameters) -> bool``, parameters as the group names them: ``{"angle_deg": 180.0}``."""


def never() -> bool:
    """For callers that never want to stop."""
    return False


@dataclass(frozen=True)
class Batch:
    """Some samples: every leaf ``(n, ...)``, every target ``(n, ...)``."""

    leaves: dict[str, Tensor]
    targets: dict[str, Tensor]


class Dataset(ABC):
    """Samples with declared fields. Images are float32 in [0, 1], ``(n, c, h, w)``, not normalised.

    Attributes:
        fields: the field of every leaf.
        targets: the field of every target; empty where there are no labels.
        classes: the names of the classes, where they are known.
        valid: whether a sample of a class still belongs to it when it is moved by an element with these parameters;
            None where every element keeps every label.
        unusable: samples that turned out to be unreadable, with the reason. They count in ``len`` and are left out of
            everything else; all of those among samples that :meth:`prepare` has seen are known.
    """

    fields: Mapping[str, Field]
    targets: Mapping[str, Field]
    classes: Sequence[str] | None = None
    valid: Valid | None = None
    unusable: Mapping[int, str] = MappingProxyType({})

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def batch(self, indices: Sequence[int], *, canvas: int | None = None) -> Batch:
        """The samples at ``indices``, in that order; images brought to ``canvas`` pixels a side if given.

        Raises:
            DataError: a sample cannot be used, with its index.
        """

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the contents."""

    def shapes(self, *, canvas: int | None = None) -> dict[str, tuple[int, ...]]:
        """The shape of every leaf, without the sample axis."""
        return {name: tuple(leaf.shape[1:]) for name, leaf in self.batch([0], canvas=canvas).leaves.items()}

    def pending(self, indices: Sequence[int], canvases: Sequence[int | None]) -> int:
        """How many images :meth:`prepare` would decode."""
        del indices, canvases
        return 0

    def prepare(
        self,
        indices: Sequence[int],
        canvases: Sequence[int | None],
        *,
        listen: Listener = ignore,
        stopped: Callable[[], bool] = never,
    ) -> None:
        """Do beforehand what would make the first batches slow: decoding, for all canvases at once.

        Raises:
            DataError: the samples cannot be had.
            Interrupted: ``stopped`` said so; what is done is kept.
        """
        del indices, canvases, listen, stopped

    def remarks(self) -> list[str]:
        """What people should be told about the data, a sentence each: what was left out and why."""
        return []


class Readable(Dataset):
    """The samples of a dataset that can be read, counted anew: for training, where no index has to last."""

    def __init__(self, whole: Dataset) -> None:
        self.whole = whole
        self.indices = [index for index in range(len(whole)) if index not in whole.unusable]
        self.fields, self.targets = whole.fields, whole.targets
        self.classes, self.valid = whole.classes, whole.valid

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: Sequence[int], *, canvas: int | None = None) -> Batch:
        """The whole dataset's batch."""
        return self.whole.batch([self.indices[index] for index in indices], canvas=canvas)

    def digest(self) -> str:
        """The whole dataset's: what can be read follows from it."""
        return self.whole.digest()


class Arrays(Dataset):
    """A dataset in memory: one tensor for each leaf and target."""

    def __init__(
        self,
        leaves: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        *,
        fields: Mapping[str, Field],
        target_fields: Mapping[str, Field],
        classes: Sequence[str] | None = None,
        valid: Valid | None = None,
    ) -> None:
        lengths = {name: len(values) for name, values in {**leaves, **targets}.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"leaves and targets must have one length, got {lengths}")
        if set(leaves) != set(fields) or set(targets) != set(target_fields):
            raise ValueError(f"every leaf and target needs a field, got {sorted(fields)} and {sorted(target_fields)}")
        self.leaves = dict(leaves)
        self.target_values = dict(targets)
        self.fields = dict(fields)
        self.targets = dict(target_fields)
        self.classes = classes
        self.valid = valid

    def __len__(self) -> int:
        return len(next(iter(self.leaves.values())))

    def batch(self, indices: Sequence[int], *, canvas: int | None = None) -> Batch:
        """Rows of the tensors."""
        index = torch.as_tensor(list(indices), dtype=torch.int64)
        leaves = {
            name: resize(values[index], canvas) if isinstance(self.fields[name], Image) else values[index]
            for name, values in self.leaves.items()
        }
        return Batch(leaves, {name: values[index] for name, values in self.target_values.items()})

    def digest(self) -> str:
        """Of every tensor's bytes, with names, dtypes and shapes."""
        digest = hashlib.sha256()
        for name, values in [*sorted(self.leaves.items()), *sorted(self.target_values.items())]:
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}\0".encode())
            digest.update(values.contiguous().numpy().tobytes())
        return digest.hexdigest()


def resize(images: Tensor, canvas: int | None) -> Tensor:
    """Bring ``(n, c, h, w)`` to ``canvas`` pixels a side; unchanged where it fits.

    The shorter side is resized, bilinear and antialiased, and the middle of the longer one is kept: what
    torchvision's ``Resize(canvas)`` and ``CenterCrop(canvas)`` do.
    """
    height, width = images.shape[-2:]
    if canvas is None or (height, width) == (canvas, canvas):
        return images
    short = min(height, width)
    size = (int(canvas * height / short), int(canvas * width / short))
    resized = interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
    top, left = round((size[0] - canvas) / 2), round((size[1] - canvas) / 2)
    return resized[..., top : top + canvas, left : left + canvas]
