"""An encoded image to pixels: the one place where images are decoded, and where each decoding is counted.

Every image becomes 8 bits a channel, grey or RGB, the right way up. What is transparent is black, as is what a moved
image leaves behind; 16 bits of grey are rounded to 8, those of colours are cut; of an animation the first frame is
taken.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import PIL
from PIL import Image as Pil

from symbench.domains.common.canvas import Canvas, Frame

VERSION = 2
"""Raised when the same bytes come to other pixels: part of every digest and of the pixel cache's keys."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
"""What Pillow may take a file for, whatever its name; never EPS, which starts another program."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
MOST_PIXELS = 89_478_485
"""Pillow's own limit: a file of some kilobytes can stand for gigabytes."""
MODES = {1: "L", 3: "RGB"}
LONG = 10
"""Images more than this many times as long as wide are cropped before they are resized, lest they grow huge."""
TURNS = {
    2: Pil.Transpose.FLIP_LEFT_RIGHT,
    3: Pil.Transpose.ROTATE_180,
    4: Pil.Transpose.FLIP_TOP_BOTTOM,
    5: Pil.Transpose.TRANSPOSE,
    6: Pil.Transpose.ROTATE_270,
    7: Pil.Transpose.TRANSVERSE,
    8: Pil.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""
ORIENTATION = 0x0112
"""The EXIF tag."""
DEPTH = 24
"""Where a PNG says how many bits its channels have."""
ON_THEIR_SIDE = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


class Unreadable(Exception):
    """The bytes are no image that can be used; the message is the reason."""


class Tally:
    """A counter that several threads may use at once."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def count(self) -> None:
        """Count one more."""
        with self._lock:
            self.total += 1


DECODED = Tally()
"""How many images this process has decoded, for tests of what is decoded once."""


def version() -> str:
    """The version of decoding, ours and Pillow's: what the pixels of a file depend on beside its bytes."""
    return f"{VERSION}-{PIL.__version__}"


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow's warnings about odd files are not for our users; for the thread that starts the others."""
    log = logging.getLogger("PIL")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Filters and level belong to the process and not to a thread: set here once, before the others start.
            warnings.simplefilter("ignore")
            Pil.init()  # not in several threads at once
            yield
    finally:
        log.setLevel(before)


def measure(data: bytes) -> tuple[int, int]:
    """Width and height of an image as it is shown, from its header; nothing is decoded.

    Raises:
        Unreadable: it is no image, or one that is not taken.
    """
    with _opened(data) as image:
        width, height = image.size
        return (height, width) if _orientation(image) in ON_THEIR_SIDE else (width, height)


def decode(data: bytes, channels: int) -> Pil.Image:
    """The image of a file's bytes: ``L`` for one channel, ``RGB`` for three.

    Raises:
        Unreadable: it is no image, or is damaged.
        MemoryError: there is not enough, which says nothing of the bytes.
    """
    DECODED.count()
    with _opened(data) as image:
        turn = TURNS.get(_orientation(image))
        # Pillow cuts the pixels of such a PNG to 8 bits and leaves the transparent colour at 16: nothing would match.
        if image.format == "PNG" and image.mode == "RGB" and data[DEPTH] == 16 and "transparency" in image.info:
            image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])  # as its pixels
        image.load()
        flat = _flattened(image).convert(MODES[channels])
        return flat if turn is None else flat.transpose(turn)


def stored(data: bytes) -> np.ndarray:
    """The numbers of an image as they are stored, the right way up: ``(h, w)``, places in the palette where it has
    one; or ``(h, w, 3)``, uint8, of colours.

    Raises:
        Unreadable: it is no image, or is damaged.
    """
    DECODED.count()
    with _opened(data) as image:
        turn = TURNS.get(_orientation(image))
        image.load()
        whole = image.mode in {"1", "L", "P", "I"} or image.mode.startswith("I;16")
        flat = image if whole else image.convert("RGB")
        numbers = np.asarray(flat if turn is None else flat.transpose(turn))
        return numbers if numbers.ndim == 3 else numbers.astype(np.int64)


def framed(image: Pil.Image, canvas: Canvas | None) -> np.ndarray:
    """Pixels ``(c, side, side)``, uint8: what torchvision's Resize and CenterCrop make of a PIL image.

    The shorter side is resized, bilinear and antialiased, and the middle of the longer one is kept; a frame says
    otherwise. Without a canvas the image stays as it is.
    """
    if canvas is not None and image.size != (canvas, canvas):
        image = _fitted(image, Frame.of(canvas))
    pixels = np.asarray(image)
    return np.array(
        pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), order="C"
    )  # Pillow's is read-only


def _fitted(image: Pil.Image, frame: Frame) -> Pil.Image:
    """An image resized and cropped as a frame says."""
    # A strip of 20,000 x 8 pixels would be resized to 560,000 x 224, of which 224 x 224 are kept.
    placement = frame.placed(image.height, image.width, LONG)
    top, left, height, width = placement.cut
    if (width, height) != image.size:
        image = image.crop((left, top, left + width, top + height))
    height, width = placement.size
    if (width, height) != image.size:
        image = image.resize((width, height), Pil.Resampling[frame.interpolation.upper()])
    top, left = placement.corner
    return image.crop((left, top, left + frame.side, top + frame.side))


@contextmanager
def _opened(data: bytes) -> Iterator[Pil.Image]:
    """The image with its header read; whatever Pillow raises on broken bytes becomes the reason."""
    if not data:
        raise Unreadable("the file is empty")
    try:
        with Pil.open(BytesIO(data), formats=FORMATS) as image:
            # Pillow's own limit only warns up to twice as many pixels, and its warnings are silenced here.
            pixels = image.width * image.height
            if pixels > MOST_PIXELS:
                raise Unreadable(f"it has {pixels:,} pixels, more than {MOST_PIXELS:,}")
            yield image
    except (Unreadable, MemoryError):  # a lack of memory says nothing of the file, and must not be remembered as if
        raise
    except PIL.UnidentifiedImageError as error:
        raise Unreadable("it is no JPEG, PNG, BMP, WebP, TIFF or GIF") from error
    except Pil.DecompressionBombError as error:
        raise Unreadable(f"it has more than {MOST_PIXELS:,} pixels") from error
    except Exception as error:  # struct.error, IndexError, SyntaxError, ...: there is no end to broken files
        text, kind = " ".join(str(error).split()), type(error).__name__
        if "out of memory" in text:
            raise MemoryError from error
        if "truncated" in text.lower():
            raise Unreadable("the file is truncated") from error
        raise Unreadable(text if isinstance(error, OSError) and text else f"{kind}: {text}") from error


def _orientation(image: Pil.Image) -> int:
    """The EXIF orientation that the header states; 1, upright, where it states none or nonsense."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the image to look for one behind the pixels
    if image.format == "TIFF":
        return 1  # Pillow turns it by itself
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # a broken tag does not make the pixels unreadable
        return 1


def _flattened(image: Pil.Image) -> Pil.Image:
    """The image without transparency (black shows through) and with 8 bits a channel."""
    if image.mode == "F":
        raise Unreadable("its pixels are floating-point numbers, not 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)  # uint16 has no room for the sum below
        if wide.min() < 0 or wide.max() > 65535:
            raise Unreadable("its pixels have more than 16 bits")
        wide[wide == image.info.get("transparency", -1)] = 0
        # By 257 and not 256: 65,535 is to be 255, and 255 * 257 is 65,535. Half of that makes it round.
        return Pil.fromarray(((wide + 128) // 257).astype(np.uint8))
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        opaque = image.convert("RGBA")
        black = Pil.new("RGBA", opaque.size, (0, 0, 0, 255))
        return Pil.alpha_composite(black, opaque).convert("RGB")
    return image
