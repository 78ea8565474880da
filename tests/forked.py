"""The command line in forks of one process that has imported everything: many starts for the price of one.

Reads a JSON object a line, ``{"arguments": [...], "stdout": ..., "stderr": ..., "folder": ..., "taken": true}``, and
answers each with the exit status that a process of its own would have had. A stream is the path of a file, ``gone``
for a pipe that nobody reads, ``closed``, or ``full`` for a disk that is.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sys
from typing import Any, NoReturn

from symbench.face import api, cli, forecast
from symbench.measure.engines import local
from symbench.read import judge, report
from symbench.read.gate import junit, markdown, sarif
from symbench.read.report import drawing, page, pairs

READY = (api, forecast, judge, report, local, junit, markdown, sarif, drawing, page, pairs)


def opened(how: str) -> int:
    if how == "gone":
        reader, writer = os.pipe()
        os.close(reader)
        return writer
    return os.open("/dev/full" if how == "full" else how, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def prepare(name: str, descriptor: int, how: str) -> None:
    """A standard stream as Python makes it when it starts."""
    if how == "closed":
        os.close(descriptor)
        setattr(sys, name, None)
        return
    source = opened(how)
    os.dup2(source, descriptor)
    os.close(source)
    setattr(sys, name, io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), "utf-8", write_through=True))


def child(arguments: list[str], streams: dict[str, str], folder: str, *, taken: bool) -> NoReturn:
    os.chdir(folder)
    prepare("stdout", 1, streams["stdout"])
    prepare("stderr", 2, streams["stderr"])
    status = 70
    try:
        if not taken:  # the command line as it is without the streams of its own
            sys.exit(cli._status(arguments))
        cli.main(arguments)
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        status = 1  # a traceback
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        status = 120  # what Python exits with where this fails
    os._exit(status)


def main() -> None:
    gc.collect()
    gc.freeze()  # what all forks share is not looked through by each of them, nor copied
    print("ready", flush=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        number = os.fork()
        if number == 0:
            streams = {name: asked[name] for name in ("stdout", "stderr")}
            child(asked["arguments"], streams, asked["folder"], taken=asked["taken"])
        _, code = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(code), flush=True)


if __name__ == "__main__":
    main()
