"""`python -m services.llm --model DIR`: serves one checkpoint's language model."""

import sys
from collections.abc import Sequence

import uvloop

from services.llm.app import load_stage
from services.llm.checkpoint import UnusableCheckpoint
from services.llm.settings import LlmSettings
from services.runtime.logs import configure_logs
from services.runtime.server import run_until_stopped
from services.runtime.settings import load_settings
from services.runtime.watchdog import first_failure, leave_if_stalled


async def serve(settings: LlmSettings) -> int:
    try:
        stage = await load_stage(settings)
    except (UnusableCheckpoint, ValueError) as exc:
        sys.exit(f"llm: {exc}")
    try:
        status = await run_until_stopped(stage.server, first_failure(stage.engine.failed, stage.watchdog.failed))
        leave_if_stalled(stage.watchdog, status)
        return status
    finally:
        await stage.engine.close()


def main(arguments: Sequence[str]) -> int:
    settings = load_settings(LlmSettings, arguments, "python -m services.llm")
    configure_logs("llm", settings.log_level)
    return uvloop.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
