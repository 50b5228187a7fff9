"""`python -m bench.hostile.gateway FOLDER FLAGS...`: the real gateway, with sleepers in its process that say how late
they wake, in FOLDER/loop and FOLDER/thread.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from bench.hostile.lateness import Record, sleep_in_thread, sleep_on_loop
from services.gateway.__main__ import serve
from services.gateway.settings import GatewaySettings
from services.runtime.logs import configure_logs
from services.runtime.settings import load_settings


async def watched(settings: GatewaySettings, folder: Path) -> int:
    sleep_in_thread(Record(folder / "thread"))
    sleeper = asyncio.create_task(sleep_on_loop(Record(folder / "loop")))
    try:
        return await serve(settings)
    finally:
        sleeper.cancel()


if __name__ == "__main__":
    options = load_settings(GatewaySettings, sys.argv[2:], "python -m bench.hostile.gateway")
    configure_logs("gateway", options.log_level)
    sys.exit(uvloop.run(watched(options, Path(sys.argv[1]))))
