"""Image classifiers and detectors of transformers, from the hub or from a folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from symbench.base.code import require, shortened
from symbench.base.errors import ConfigError, ModelError, Problem, near_miss, one_of, quoted
from symbench.base.paths import beside, is_folder
from symbench.domains.common.models.source import Description, Source, in_proportion, synonyms
from symbench.domains.common.models.weights import reads_pickles_safely
from symbench.domains.images.models.detection import Queries
from symbench.domains.images.models.segmentation import segmenter

PLAIN = tuple(
    f"{name}ImageProcessor"
    for name in (
        "Beit",
        "Bit",
        "CLIP",
        "DeiT",
        "EfficientNet",
        "MobileNetV1",
        "MobileNetV2",
        "Pvt",
        "Segformer",
        "Siglip",
        "ViT",
    )
)
"""Image processors that resize, keep the middle and normalise, in this order, and do nothing else."""
CONVNEXT_WHOLE = 384
"""From this size on the processor of ConvNeXt keeps the whole image, out of proportion; below, a part of it."""
RESAMPLING = {2: "bilinear", 3: "bicubic"}
"""What Pillow's numbers stand for."""
CLASSIFIER = "ImageClassification"
NOUNS = {
    CLASSIFIER: "an image classifier",
    "ObjectDetection": "a detector",
    "SemanticSegmentation": "a semantic segmentation",
}
"""What is read of transformers' models: by the end of their classes' names."""
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class Huggingface(Source):
    """A classifier, detector or semantic segmentation of transformers: from a folder, or by its name on the hub.

    Code that a repository brings along is never run, and pickles are read only by a torch that does it safely.
    """

    path: str
    pretrained: bool
    classes: int | None
    upsample: bool = True

    def describe(self) -> Description:
        """Size, mean and std of its image processor; of fresh weights the size of its configuration alone."""
        settings = self._settings()
        configuration = settings.to_dict()
        identity = {"configuration": _digest(configuration)}
        size = configuration.get("image_size")
        channels = configuration.get("num_channels")
        found = Description(_side(size), channels=channels if isinstance(channels, int) else None, identity=identity)
        if not self.pretrained:
            return found
        found = replace(found, classes=_names(configuration.get("id2label") or {}))
        images = self._processor()
        return found if images is None else self._as_processed(images, found)

    def build(self, *, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The network, with the weights that are saved or with fresh ones for the data's classes."""
        del shape
        transformers = require("transformers", "huggingface", self.where)
        kind = self._kind()
        factory, noun = getattr(transformers, f"AutoModelFor{kind}"), NOUNS[kind]
        classes = self.classes or outputs
        with _quiet(transformers):
            if not self.pretrained:
                settings = self._settings(**({"num_labels": classes} if classes else {}))
                try:
                    fresh = factory.from_config(settings, trust_remote_code=False)
                except ValueError as error:
                    raise self._refused(f"is not {noun}", error) from error
                return self._as_read(fresh, kind)
            try:
                module, report = factory.from_pretrained(
                    self._place(),
                    output_loading_info=True,
                    trust_remote_code=False,
                    use_safetensors=None if reads_pickles_safely(torch.__version__) else True,
                )
            except ValueError as error:
                raise self._refused(f"is not {noun}", error) from error
            except Exception as error:  # files may be broken in many ways
                raise self._unavailable(error) from error
        missing = sorted(report["missing_keys"])
        if missing:
            got = f"has no weights for {one_of(missing)}"
            remedy = "Was it saved without its head? Set pretrained: false for fresh weights."
            raise ConfigError(Problem(self.where, got, f"{noun} with all its weights", remedy))
        return self._as_read(module, kind)

    def _kind(self) -> str:
        """What is saved, by the name of its class: the end of one of ``NOUNS``, or else a classifier."""
        classes = [str(name) for name in self._settings().architectures or []]
        return next((kind for kind in NOUNS for name in classes if name.endswith(f"For{kind}")), CLASSIFIER)

    def _as_read(self, module: nn.Module, kind: str) -> nn.Module:
        """The network as it is read: its queries as boxes, its scores at every pixel."""
        if kind == "ObjectDetection":
            return Queries.of(module)
        return segmenter(module, "logits", upsample=self.upsample) if kind == "SemanticSegmentation" else module

    def _place(self) -> str:
        """The folder, or the name in the hub."""
        folder = self.folder / Path(self.path).expanduser()
        if is_folder(folder):
            return str(folder)
        if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", self.path):
            expected = f"organisation/name, or a folder at {folder}"
            miss = near_miss(folder.name, beside(folder))
            raise ConfigError(Problem(self.where, f"got {quoted(self.path)}", expected, miss))
        return self.path

    def _settings(self, **changed: int) -> Any:
        """The model's configuration."""
        transformers = require("transformers", "huggingface", self.where)
        with _quiet(transformers):
            try:
                return transformers.AutoConfig.from_pretrained(self._place(), trust_remote_code=False, **changed)
            except OSError as error:
                raise self._unavailable(error) from error
            except (ValueError, KeyError) as error:
                raise self._refused("cannot be used", error) from error

    def _processor(self) -> Mapping[str, Any] | None:
        """The settings of its image processor; None for a folder that holds none."""
        transformers = require("transformers", "huggingface", self.where)
        place = self._place()
        if is_folder(Path(place)) and not any((Path(place) / name).is_file() for name in PROCESSORS):
            return None
        with _quiet(transformers):
            try:
                found = transformers.AutoImageProcessor.from_pretrained(place, trust_remote_code=False)
            except OSError as error:
                raise self._unavailable(error) from error
            except (ValueError, KeyError, ImportError) as error:
                raise self._refused("has an image processor that cannot be used", error) from error
        return {**found.to_dict(), "image_processor_type": type(found).__name__}

    def _as_processed(self, images: Mapping[str, Any], found: Description) -> Description:
        """The description with what an image processor does, as ``(x - mean) / std`` of pixels in [0, 1]."""
        if images.get("do_flip_channel_order"):
            got = "wants its channels from blue to red, which is not offered"
            raise ConfigError(Problem(self.where, got, "a model that takes red, green, blue"))
        found = self._resized(images, found)
        scale = 255 * images.get("rescale_factor", 1 / 255) if images.get("do_rescale", True) else 255
        offset = 1 if images.get("rescale_offset") else 0
        plain = not images.get("do_normalize", "image_mean" in images)
        mean = [0.0] if plain else _listed(images.get("image_mean", 0.0))
        std = [1.0] if plain else _listed(images.get("image_std", 1.0))
        std = [s * s for s in std] if images.get("include_top") else std  # EfficientNet's divides twice
        if plain and not offset and abs(scale - 1) < 1e-9:
            return found
        return replace(
            found,
            mean=tuple((m + offset) / scale for m in mean),
            std=tuple(s / scale for s in std),
            channels=found.channels or (len(mean) if len(mean) > 1 else None),
        )

    def _resized(self, images: Mapping[str, Any], found: Description) -> Description:
        """The description with the size that an image processor makes, and how it does."""
        kind, asked, notes = images["image_processor_type"], images.get("size") or {}, []
        cropped = _side(images.get("crop_size")) if images.get("do_center_crop") else None
        wanted = _side(asked) if images.get("do_resize") else None
        size = cropped or wanted or found.size
        square = "height" in asked
        if kind.startswith("ConvNext") and wanted is not None and cropped is None:
            square = wanted >= CONVNEXT_WHOLE
            wanted = wanted if square else int(wanted / images["crop_pct"])
        elif kind.removesuffix("Fast").removesuffix("Pil") not in PLAIN:
            notes.append(f"its {kind} may do more than resize, crop and normalise, which is all that is done here.")
        interpolation = RESAMPLING.get(int(images.get("resample") or 0))
        if interpolation is None:
            notes.append(
                f"its {kind} resizes by another interpolation than bilinear and bicubic, which is used here."
            )
        if size is None or wanted is None or wanted < size:
            notes.append(f"its {kind} does not resize images to a square, as is done here.")
            return replace(found, size=size, notes=tuple(notes))
        resize = in_proportion(wanted, size, self.size)
        return replace(
            found,
            size=size,
            resize=(resize, resize) if square else resize,
            interpolation=interpolation or "bicubic",
            crop="floor",
            notes=tuple(notes),
        )

    def _unavailable(self, error: Exception) -> ConfigError | ModelError:
        """What is said of files that are broken or missing in a folder, or cannot be fetched."""
        if is_folder(Path(self._place())):
            return self._refused("cannot be read", error)
        remedy = "Are you online, and is it the name of a public repository?"
        return ModelError(Problem(self.where, f"{self.path} cannot be fetched: {shortened(error)}", None, remedy))

    def _refused(self, got: str, error: Exception) -> ConfigError:
        return ConfigError(Problem(self.where, f"{self.path} {got}: {shortened(error)}"))


def _names(labels: Mapping[int, str]) -> tuple[tuple[str, ...], ...] | None:
    """The names of the classes; None where they are only numbered."""
    names = [str(labels.get(i, "")) for i in range(len(labels))]
    if all(re.fullmatch(r"LABEL_\d+|", name) for name in names):
        return None
    return tuple(synonyms(name) for name in names)


def _side(size: object) -> int | None:
    """Pixels a side, of what an image processor calls a size; None where it is no square."""
    if isinstance(size, Mapping):
        sides = {size.get("height"), size.get("width")} if "height" in size else {size.get("shortest_edge")}
    elif isinstance(size, (list, tuple)):
        sides = set(size)
    else:
        sides = {size}
    side = sides.pop() if len(sides) == 1 else None
    return side if isinstance(side, int) and side > 0 else None


def _listed(values: Any) -> list[float]:
    return [float(v) for v in values] if isinstance(values, (list, tuple)) else [float(values)]


def _digest(configuration: Mapping[str, Any]) -> str:
    """SHA-256 of what a configuration says, without where it was found and by which release."""
    said = {k: v for k, v in configuration.items() if k not in {"_name_or_path", "transformers_version"}}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


@contextlib.contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Without notes about loading, of which what matters is an error here, and bars on a terminal only."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled() and not sys.stderr.isatty()
    logging.set_verbosity(logging.CRITICAL)
    if bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
