"""`python -m services.gateway --tokenizer HOST:PORT --llm HOST:PORT --detokenizer HOST:PORT`: the public server."""

import resource
import sys
from collections.abc import Sequence

import uvloop

from services.gateway.process import GatewayProcess
from services.gateway.settings import GatewaySettings
from services.runtime.logs import configure_logs
from services.runtime.server import run_until_stopped
from services.runtime.settings import load_settings

_FILES = 8192


async def serve(settings: GatewaySettings) -> int:
    return await run_until_stopped(GatewayProcess(settings))


def main(arguments: Sequence[str]) -> int:
    settings = load_settings(GatewaySettings, arguments, "python -m services.gateway")
    configure_logs("gateway", settings.log_level)
    _allow_files()
    return uvloop.run(serve(settings))


def _allow_files() -> None:
    """Enough for all connections, where the system lets: many begin with 1024."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most) if most > 0 else _FILES, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
