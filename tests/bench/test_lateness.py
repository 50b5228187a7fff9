"""The sleepers that show for how long something held a process."""

import asyncio
import time
from pathlib import Path

from bench.hostile.lateness import Record, lateness, sleep_on_loop


async def test_what_holds_the_loop_is_seen(tmp_path: Path) -> None:
    sleeper = asyncio.create_task(sleep_on_loop(Record(tmp_path / "loop")))
    await asyncio.sleep(0)
    began = time.time()
    time.sleep(0.1)  # noqa: ASYNC251 - this is what shall be seen.
    while not (tmp_path / "loop").stat().st_size:
        await asyncio.sleep(0.05)
    sleeper.cancel()
    assert lateness(tmp_path / "loop", began, time.time()).worst > 90
