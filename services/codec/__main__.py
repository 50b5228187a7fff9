"""`python -m services.codec --role tokenizer|detokenizer --model DIR`: serves one half of the codec."""

import argparse
import sys
from collections.abc import Sequence

import uvloop

from services.codec.app import SETTINGS, STAGES
from services.codec.settings import CodecSettings
from services.runtime.logs import configure_logs
from services.runtime.server import run_until_stopped
from services.runtime.settings import load_settings
from services.runtime.watchdog import first_failure, leave_if_stalled


async def serve(role: str, settings: CodecSettings) -> int:
    try:
        stage = STAGES[role](settings)
    except ValueError as exc:
        sys.exit(f"{role}: {exc}")
    status = await run_until_stopped(stage.server, first_failure(stage.failed, stage.watchdog.failed))
    leave_if_stalled(stage.watchdog, status)
    return status


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.codec", add_help=False)
    parser.add_argument("--role", choices=sorted(STAGES), required=True, help="Which half to serve.")
    chosen, rest = parser.parse_known_args(arguments)
    settings = load_settings(SETTINGS[chosen.role], rest, f"python -m services.codec --role {chosen.role}")
    configure_logs(chosen.role, settings.log_level)
    return uvloop.run(serve(chosen.role, settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
