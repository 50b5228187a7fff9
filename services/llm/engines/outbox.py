"""Holds drawn ids back from the event loop, because waking it takes longer than drawing a token of a small model."""

from services.llm.engines.engine import Due
from services.llm.engines.stepper import Drawn


class Outbox:
    """Holds the ids of each sequence until `due` asks for a message, or the sequence has ended."""

    def __init__(self) -> None:
        self._due: dict[int, Due] = {}
        self._held: dict[int, Drawn] = {}

    def open(self, ticket: int, due: Due) -> None:
        self._due[ticket] = due

    def offer(self, drawn: list[Drawn]) -> list[Drawn]:
        """The ids to deliver now, with those held before; empty when none are due."""
        for item in drawn:
            held = self._held.get(item.ticket)
            self._held[item.ticket] = Drawn(item.ticket, held.ids + item.ids, item.done) if held else item
        leaving = [item for item in self._held.values() if item.done or self._due[item.ticket](len(item.ids))]
        for item in leaving:
            del self._held[item.ticket]
            if item.done:
                del self._due[item.ticket]
        return leaving
