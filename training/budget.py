"""How much of its time a step has used, over all its runs."""

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """`minutes` and `steps` bound the whole step, `session` (minutes) this run; `before`: seconds of earlier runs."""

    minutes: float
    session: float = float("inf")
    steps: int | None = None
    before: float = 0.0
    step: int = 0
    begun: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> float:
        """Seconds of this run."""
        return time.monotonic() - self.begun

    @property
    def elapsed(self) -> float:
        """Seconds of all runs."""
        return self.before + self.now

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the step is done: what schedules follow."""
        by_step = self.step / self.steps if self.steps else 0.0
        return min(1.0, max(by_step, self.elapsed / (60 * self.minutes)))

    @property
    def done(self) -> bool:
        return self.progress >= 1.0

    @property
    def spent(self) -> bool:
        """Whether this run must stop, done or not."""
        return self.done or self.now >= 60 * self.session
