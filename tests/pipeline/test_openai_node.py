"""openai-node, unmodified, against the running stack. Needs node and npm; the package is fetched once and kept."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

SMOKE = Path(__file__).with_name("openai_node")
RECORDING = Path(__file__).parents[1] / "parity" / "spark-tiny" / "input.wav"


async def run(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return output.decode()


@pytest.fixture
async def installed(request: pytest.FixtureRequest) -> Path:
    """A directory with the smoke test and its packages, kept between runs; `npm ci` is made again for another lock."""
    directory = request.config.cache.mkdir("openai_node")
    lock = (SMOKE / "package-lock.json").read_text()
    done = directory / "node_modules" / "installed-for"
    if not done.exists() or done.read_text() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SMOKE / name, directory)
        await run("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", cwd=directory)
        done.write_text(lock)
    shutil.copy(SMOKE / "smoke.mjs", directory)
    return directory


async def test_openai_node_speaks_streams_clones_and_sees_errors(installed: Path, stack_url: str) -> None:
    output = await run("node", "smoke.mjs", stack_url, str(RECORDING), cwd=installed)
    seen = json.loads(output)
    assert set(seen["formats"]) == {"mp3", "opus", "aac", "flac", "wav", "pcm"}
    assert seen["usage"]["output_tokens"] > 0
