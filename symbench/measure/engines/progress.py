"""The progress of several devices as that of one: a listener is told of one device at a time."""

from __future__ import annotations

from symbench.base.events import Advanced, Event, Finished, Listener, Note, Started


class Merged:
    """Passes on what is under way on the device that began first, tasks within tasks, and every note."""

    def __init__(self, listen: Listener) -> None:
        self.listen = listen
        self.running: dict[int, list[tuple[Started, int]]] = {}
        self.shown: int | None = None

    def hear(self, station: int, event: Event) -> None:
        """Hear of a device by its number."""
        if isinstance(event, Note):
            self.listen(event)
        elif isinstance(event, Started):
            self.running.setdefault(station, []).append((event, 0))
            self._told(station, event)
        elif station not in self.running:
            return
        elif isinstance(event, Advanced):
            task, done = self.running[station].pop()
            self.running[station].append((task, done + event.steps))
            self._told(station, event)
        elif len(self.running[station]) > 1:
            self.running[station].pop()
            self._told(station, event)
        else:
            self.ended(station)

    def ended(self, station: int) -> None:
        """All that the device had begun is over, or it is gone."""
        tasks = self.running.pop(station, [])
        if station == self.shown:
            self.shown = None
            for _ in tasks:
                self.listen(Finished())
        self._show()

    def _told(self, station: int, event: Event) -> None:
        if station == self.shown:
            self.listen(event)
        else:
            self._show()

    def _show(self) -> None:
        if self.shown is not None or not self.running:
            return
        self.shown, tasks = next(iter(self.running.items()))
        for task, done in tasks:
            self.listen(task)
            if done:
                self.listen(Advanced(done))
