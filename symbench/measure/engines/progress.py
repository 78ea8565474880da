"""The progress of several devices as that of one: a listener is told of one task at a time."""

from __future__ import annotations

from symbench.base.events import Advanced, Event, Finished, Listener, Note, Started


class Merged:
    """Passes on the task that began first of those under way, and every note."""

    def __init__(self, listen: Listener) -> None:
        self.listen = listen
        self.running: dict[int, tuple[Started, int]] = {}
        self.shown: int | None = None

    def hear(self, station: int, event: Event) -> None:
        """Hear of a device by its number."""
        if isinstance(event, Note):
            self.listen(event)
        elif isinstance(event, Started):
            self.running[station] = event, 0
            self._show()
        elif isinstance(event, Advanced) and station in self.running:
            task, done = self.running[station]
            self.running[station] = task, done + event.steps
            if station == self.shown:
                self.listen(event)
        elif isinstance(event, Finished):
            self.ended(station)

    def ended(self, station: int) -> None:
        """What the device had begun is over, or it is gone."""
        self.running.pop(station, None)
        if station == self.shown:
            self.shown = None
            self.listen(Finished())
        self._show()

    def _show(self) -> None:
        if self.shown is not None or not self.running:
            return
        self.shown, (task, done) = next(iter(self.running.items()))
        self.listen(task)
        if done:
            self.listen(Advanced(done))
