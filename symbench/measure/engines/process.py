"""The process of one device, as the run sees it."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe

from symbench.base.errors import described
from symbench.measure.engines.messages import Errand, Leave, Lost, Reply, Setup, Stop

START = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "from multiprocessing.connection import Connection\n"
    "connection, sys.path[:] = Connection(int(sys.argv[1])), sys.argv[2:]\n"
    "first = connection.recv_bytes()\n"
    "from symbench.measure.engines.station import main\n"
    "main(connection, first)\n"
)
"""What it runs. A fresh interpreter, as CUDA needs it, that does not run the caller's script a second time: those of
``multiprocessing`` do, and a script without ``if __name__ == "__main__"`` would start itself again."""
PATIENCE_SECONDS = 5.0
"""How long a process may take to end that has been told to."""


class Process:
    """A process for one device."""

    def __init__(self, device: str, setup: Setup, *, again: bool = False) -> None:
        """Start it.

        Args:
            device: for messages.
            setup: what it is told first.
            again: whether an earlier one of the device has been lost.
        """
        self.device, self.again = device, again
        self.connection, there = Pipe()
        options = [f"-W{option}" for option in sys.warnoptions]
        command = [sys.executable, *options, "-c", START, str(there.fileno()), *sys.path]
        with there:
            # what models print goes where all but results go
            self.process = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, stdout=2)
        self.send(setup)

    def send(self, message: Setup | Errand | Leave | Stop) -> None:
        """Send something; that nobody is there any more shows in the reply."""
        with suppress(OSError):
            self.connection.send(message)

    @property
    def gone(self) -> bool:
        """Whether it has ended, and all that it said has been heard."""
        return self.process.poll() is not None and not self.connection.poll()

    def reply(self) -> Reply:
        """The next that it has said; :class:`Lost` where there is nothing, for it has ended."""
        try:
            reply: Reply = self.connection.recv()
        except (EOFError, OSError):
            return Lost(self._why())
        except Exception as error:  # unpickling raises whatever it likes
            return Lost(f"what its process says cannot be read: {described(error)}")
        return reply

    def _why(self) -> str:
        """How it ended, in words."""
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            return "its process does not answer"
        if code >= 0:
            return f"its process ended with exit status {code}"
        name = signal.Signals(-code).name
        return f"its process was killed ({name})" + ", as where memory runs out" * (name == "SIGKILL")

    def end(self, *, now: bool = False) -> None:
        """End it, at once or when it has heard that the run is over."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0 if now else PATIENCE_SECONDS)
            return
        self.process.kill()
        self.process.wait()
