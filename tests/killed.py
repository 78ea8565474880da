"""Trainings in forks of one process that has imported everything and planned, which may be killed at any moment.

Takes the suite, then reads a JSON object a line, ``{"model": ..., "cache": ..., "after": ...}``. A fork trains the model;
unless ``after`` is null it saves its state after every batch, and is killed after so many seconds. Answers with how it
ended: its exit status, negative for a signal, and what it said, a list of texts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from symbench import Choices
from symbench.base.events import Event, Note, ignore
from symbench.face.api import prepare
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training import checkpoints, partial


def child(space: Workspace, model: str, cache: str, said: Path) -> NoReturn:
    os.environ["SYMBENCH_CACHE_DIR"] = cache

    def hear(event: Event) -> None:
        if isinstance(event, Note):
            with said.open("a") as file:
                file.write(event.text + "\n")

    try:
        made = checkpoints.obtain(space, model, device="cpu", listen=hear, stopped=lambda: False)
        with said.open("a") as file:
            file.write(f"digest {made.digest}\n")
        os._exit(0)
    except BaseException as error:
        said.write_text(f"{error!r}\n")
        os._exit(1)


def main() -> None:
    suite = Path(sys.argv[1])
    space, _ = prepare(suite, Choices(device="cpu"))
    # what torch imports when it trains for the first time takes longer than the forks live
    checkpoints.obtain(space, "other", device="cpu", listen=ignore, stopped=lambda: False)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        said = suite.parent / "said"
        said.write_text("")
        number = os.fork()
        if number == 0:
            if asked["after"] is not None:
                partial.SAVED_EVERY, partial.WORTH = 0.0, 0
            child(space, asked["model"], asked["cache"], said)
        if asked["after"] is not None:
            time.sleep(asked["after"])
            os.kill(number, signal.SIGKILL)
        _, code = os.waitpid(number, 0)
        print(json.dumps([os.waitstatus_to_exitcode(code), said.read_text().splitlines()]), flush=True)


if __name__ == "__main__":
    main()
