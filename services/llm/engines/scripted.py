"""An engine that replays ids: for tests of what is built on engines, and for faults on demand."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Metric

from services.llm.engines.engine import Due, EngineModel, at_once, gathered
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import EngineDied, StageUnavailable


@dataclass(frozen=True)
class Script:
    """chunks: what every request draws, or what of it comes after the ids that it has drawn; delay: seconds before each
    chunk; dies: the engine dies after the chunks.
    """

    chunks: tuple[tuple[int, ...], ...]
    delay: float = 0.0
    dies: bool = False


class ScriptedEngine:
    def __init__(self, model: EngineModel, script: Script) -> None:
        drawn = {token for chunk in script.chunks for token in chunk}
        assert drawn <= set(model.allowed), "a script may draw what its model may draw"
        self._model = model
        self._script = script
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.running = 0
        self.waiting = 0
        self.prompts: list[tuple[int, ...]] = []

    def generate(
        self,
        prompt: Sequence[int],
        sampling: ResolvedSampling,
        stop_ids: frozenset[int],
        due: Due = at_once,
        drawn: Sequence[int] = (),
    ) -> AsyncGenerator[list[int], None]:
        return gathered(self._drawn(prompt, sampling, stop_ids, drawn), due)

    async def _drawn(
        self, prompt: Sequence[int], sampling: ResolvedSampling, stop_ids: frozenset[int], drawn: Sequence[int]
    ) -> AsyncGenerator[list[int], None]:
        self._model.check(prompt, sampling, drawn)
        if self.failed.done():
            raise StageUnavailable("The engine is dead; its process ends.")
        self.prompts.append(tuple(prompt))
        left = sampling.max_tokens - len(drawn)
        self.running += 1
        try:
            for chunk in _behind(self._script.chunks, len(drawn)):
                await asyncio.sleep(self._script.delay)
                ids = _until_stop(chunk[:left], stop_ids)
                yield ids
                left -= len(ids)
                if left == 0 or ids[-1] in stop_ids:
                    return
            if self._script.dies:
                self.die()
                raise EngineDied("The engine died.")
        finally:
            self.running -= 1

    def metrics(self) -> Iterable[Metric]:
        return ()

    def die(self) -> None:
        self.failed.set_exception(RuntimeError("the script ends in death"))

    async def close(self) -> None:
        if not self.failed.done():
            self.failed.cancel()


def _behind(chunks: Iterable[Sequence[int]], ids: int) -> Iterator[Sequence[int]]:
    """What is left of each chunk without the first ids."""
    for chunk in chunks:
        if rest := chunk[ids:]:
            yield rest
        ids = max(0, ids - len(chunk))


def _until_stop(ids: Sequence[int], stop_ids: frozenset[int]) -> list[int]:
    ends = [place for place, token in enumerate(ids) if token in stop_ids]
    return list(ids[: ends[0] + 1] if ends else ids)
