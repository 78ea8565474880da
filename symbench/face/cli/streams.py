"""The process's streams: no reader, full disk or missing descriptor changes what a command comes to.

Results go to where stdout led when the process began. Descriptor 1 itself leads to stderr from then on, so that what
models, their libraries and child processes write there never stands among results.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READABLY = "symbench.readable"
"""The name of our error handler for encodings."""
AWAY = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EBADF})
"""What writing says where nobody reads any more, or nobody was ever to."""
READABLE = {"–": "-", "°": "deg", "×": "x", "²": "^2", "µ": "u", "±": "+/-", "…": "..."}
"""What stands for the characters of our own tables where a stream's encoding lacks them."""


class Sink(io.RawIOBase):
    """A descriptor that never refuses: from the first failure on all is dropped, and the reason kept.

    Attributes:
        lost: why the rest was dropped; None as long as everything was written.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor = descriptor
        self.name = name
        self.lost: OSError | None = None

    def fileno(self) -> int:
        """The descriptor."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self.descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what the descriptor takes, or else drop all of it; the number of bytes that are dealt with."""
        while self.lost is None:
            try:
                return os.write(self.descriptor, data)
            except BlockingIOError:  # a parent made the pipe so: its reader is slow, not gone
                select.select([], [self.descriptor], [])
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


class Text(io.TextIOWrapper):
    """A text stream that stays open: a model that closes its stdout closes nobody else's."""

    def close(self) -> None:
        """Flush it."""
        self.flush()


def take_streams() -> Sink:
    """Put streams that never fail in the place of the process's own, before anything is printed.

    Returns:
        Where results go.
    """
    codecs.register_error(READABLY, readable)
    for descriptor in range(3):
        _occupy(descriptor)
    results = Sink(os.dup(1), "<stdout>")
    out, err = _text(results, sys.stdout), _text(Sink(2, "<stderr>"), sys.stderr)
    os.dup2(2, 1)
    # a model that asks for the original stdout prints no result either
    vars(sys).update(stdout=out, stderr=err, __stdout__=err, __stderr__=err)
    return results


def _text(sink: Sink, before: TextIO | None) -> Text:
    """A sink as a text stream, in the encoding of the stream before it; a closed one is None."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    lines = sink.name == "<stderr>" or sink.isatty()
    return Text(io.BufferedWriter(sink), encoding, READABLY, line_buffering=lines)


def final_status(status: int, results: Sink, *, stands: bool) -> int:
    """What to exit with, once everything is written: 2 rather than 0 where results were lost.

    Args:
        status: what the command came to.
        results: from :func:`take_streams`.
        stands: the status is a verdict, which is what was asked for.
    """
    sys.stdout.flush()
    if results.lost is not None and results.lost.errno not in AWAY:
        sys.stderr.write(f"stdout: cannot be written: {results.lost.strerror}. Files that were written are whole.\n")
        status = status if stands else status or 2
    sys.stderr.flush()
    return status


def _occupy(descriptor: int) -> None:
    """Open a standard descriptor that was closed, or the next file opened would take its place and be written to."""
    try:
        os.fstat(descriptor)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: this one


def readable(error: UnicodeError) -> tuple[str, int]:
    """An error handler for encodings: what a stream cannot show, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(READABLE.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking), error.end
