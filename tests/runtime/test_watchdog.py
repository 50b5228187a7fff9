"""What has stopped computing is noticed; what merely has no work, or is left by who waited, is not."""

import asyncio
import subprocess
import sys

import pytest

from services.runtime.watchdog import Stalled, Watchdog, first_failure

HUNG = """
import asyncio, sys, threading
from prometheus_client import CollectorRegistry
from services.runtime.server import StageServer, run_until_stopped
from services.runtime.settings import ServerSettings
from services.runtime.watchdog import Watchdog, first_failure, leave_if_stalled

async def main():
    watchdog, engine = Watchdog(0.1), asyncio.get_running_loop().create_future()

    async def work():
        with watchdog.work():
            await asyncio.to_thread(threading.Event().wait)

    working = asyncio.create_task(work())
    server = StageServer([], ServerSettings(), CollectorRegistry())
    leave_if_stalled(watchdog, await run_until_stopped(server, first_failure(engine, watchdog.failed)))

asyncio.run(main())
"""


async def hang(watchdog: Watchdog) -> None:
    with watchdog.work():
        await asyncio.Event().wait()


async def test_work_of_which_nothing_ends_is_a_failure() -> None:
    watchdog = Watchdog(0.05)
    working = asyncio.create_task(hang(watchdog))
    with pytest.raises(Stalled):
        await first_failure(asyncio.get_running_loop().create_future(), watchdog.failed)
    working.cancel()


async def test_those_who_leave_do_not_hide_that_nothing_ends() -> None:
    watchdog = Watchdog(0.5)
    while not watchdog.failed.done():
        working = asyncio.create_task(hang(watchdog))
        await asyncio.sleep(0.1)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert isinstance(watchdog.failed.exception(), Stalled)


async def test_work_whose_caller_has_left_for_good_is_watched_until_it_ends() -> None:
    watchdog, ended = Watchdog(0.3), asyncio.Event()
    watchdog.busy = lambda: not ended.is_set()

    async def leave() -> None:
        working = asyncio.create_task(hang(watchdog))
        await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    await leave()
    ended.set()
    await asyncio.sleep(0.6)
    assert not watchdog.failed.done()
    ended.clear()
    await leave()
    with pytest.raises(Stalled):
        await watchdog.failed


async def test_stage_that_works_lives_however_long_one_waits() -> None:
    watchdog = Watchdog(0.5)
    working = asyncio.create_task(hang(watchdog))
    for _ in range(100):
        with watchdog.work():
            await asyncio.sleep(0.01)
    assert not watchdog.failed.done()
    working.cancel()


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_stage_without_work_or_without_a_bound_lives(seconds: float) -> None:
    watchdog = Watchdog(seconds)
    working = asyncio.create_task(hang(watchdog)) if not seconds else None
    await asyncio.sleep(0.1)
    assert not watchdog.failed.done()
    if working is not None:
        working.cancel()


def test_thread_that_hangs_does_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Nothing was computed for 0.1 s." in ended.stderr
