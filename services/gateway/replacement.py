"""When a replica that was lost is replaced, for one segment at one stage."""

import asyncio
import time

from services.gateway.metrics import GatewayMetrics
from services.gateway.reply import Usage
from services.gateway.stages import Stages
from services.runtime.errors import (
    DeadlineExceeded,
    EngineDied,
    GenerationFailed,
    Overloaded,
    StageUnavailable,
    VoxlineError,
    WrongRevision,
)

# For so long another replica is looked for, in seconds: where nobody listens yet, and where somebody does.
_PATIENCE_AT_FIRST, _PATIENCE = 0.5, 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.4
# A request that kills so many replicas is at fault itself.
_DEATHS = 2


class Replacement:
    """`begun`: whether something of the reply exists, so that waiting is better than an error."""

    def __init__(self, stage: str, stages: Stages, metrics: GatewayMetrics, usage: Usage, begun: bool) -> None:
        self._stage = stage
        self._stages = stages
        self._metrics = metrics
        self._usage = usage
        self._begun = begun
        self._deaths = 0
        self._searching_since: float | None = None
        self._pause = _FIRST_PAUSE
        self._waited_for_capacity = False

    @property
    def exhausted(self) -> bool:
        """Whether no more replicas are to be risked."""
        return self._deaths >= _DEATHS

    def progress(self) -> None:
        """A replica has given something."""
        self._begun = True
        self._searching_since = None
        self._pause = _FIRST_PAUSE

    async def after(self, error: VoxlineError) -> None:
        """Returns when to try again, on another replica if there is one; raises what the request shall end with."""
        match error:
            case EngineDied():
                self._died(error)
            case StageUnavailable() | DeadlineExceeded() if error.broken:
                self._died(error)
            case StageUnavailable():
                await self._search(error)
            case WrongRevision():
                self._stages.refresh()
                await self._search(StageUnavailable(error.message))
            case Overloaded() if self._begun and not self._waited_for_capacity:
                self._waited_for_capacity = True
                await asyncio.sleep(error.retry_after or 0.0)
            case _:
                raise error
        self._usage.retries += 1
        self._metrics.replacements.labels(self._stage).inc()

    def _died(self, error: VoxlineError) -> None:
        self._begun = True
        self._deaths += 1
        if not self.exhausted:
            return
        if isinstance(error, DeadlineExceeded):
            raise DeadlineExceeded(f"Two replicas of the {self._stage} did not answer in time.") from error
        raise GenerationFailed(f"Two replicas of the {self._stage} were lost while they worked on this.") from error

    async def _search(self, error: VoxlineError) -> None:
        now = time.monotonic()
        self._searching_since = self._searching_since or now
        if now - self._searching_since > (_PATIENCE if self._begun else _PATIENCE_AT_FIRST):
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
