"""Clients of other makers, unmodified, against the running stack. Their packages are fetched once and kept; a client
whose tool is missing is left out. Java's and curl's own are in tests/gateway/rest/test_http_versions.py.
"""

import asyncio
import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.stack import RunningStack

CLIENTS = Path(__file__).with_name("clients")
PROTOS = Path(__file__).parents[2] / "protos"
RECORDING = Path(__file__).parents[1] / "parity" / "spark-tiny" / "input.wav"
SPEECH = "voxline.v1.TextToSpeechService"


async def run(*command: object, cwd: Path | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return output.decode()


async def kept(directory: Path, wanted: str, *commands: tuple[object, ...]) -> None:
    """Runs the commands that fill the directory, unless they did so for what is wanted."""
    done = directory / "installed-for"
    if not done.exists() or done.read_text() != wanted:
        done.unlink(missing_ok=True)
        for command in commands:
            await run(*command, cwd=directory)
        done.write_text(wanted)


@pytest.fixture
async def node(request: pytest.FixtureRequest) -> Path:
    """A directory with the scripts and their packages."""
    if not shutil.which("npm"):
        pytest.skip("needs node and npm")
    directory = request.config.cache.mkdir("clients_of_node")
    for file in (*CLIENTS.glob("*.mjs"), *CLIENTS.glob("package*.json")):
        shutil.copy(file, directory)
    lock = (CLIENTS / "package-lock.json").read_text()
    await kept(directory, lock, ("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"))
    return directory


@pytest.fixture
async def litellm(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment that holds LiteLLM and no test tools, which need other packages."""
    directory = request.config.cache.mkdir("client_litellm")
    python = directory / "bin" / "python"
    pip = ("-m", "pip", "install", "-qq", "--no-deps", "--no-compile", "--disable-pip-version-check")
    await kept(
        directory,
        (CLIENTS / "litellm.txt").read_text(),
        (sys.executable, "-m", "venv", "--clear", directory),
        (python, *pip, "-r", CLIENTS / "litellm.txt"),
    )
    return python


@pytest.mark.clients
async def test_openai_node_speaks_streams_clones_and_sees_errors(node: Path, stack_url: str) -> None:
    seen = json.loads(await run("node", "openai.mjs", stack_url, RECORDING, cwd=node))
    assert set(seen["formats"]) == {"mp3", "opus", "aac", "flac", "wav", "pcm"}
    assert seen["usage"]["output_tokens"] > 0


@pytest.mark.clients
async def test_ai_sdk_speaks_and_sees_errors(node: Path, stack_url: str) -> None:
    types = json.loads(await run("node", "ai_sdk.mjs", stack_url, cwd=node))
    assert set(types) == {"mp3", "wav", "flac", "aac", "opus"}
    assert types["mp3"] == "audio/mpeg"


@pytest.mark.clients
async def test_grpc_js_speaks_streams_and_sees_errors(node: Path, stack: RunningStack) -> None:
    seen = json.loads(await run("node", "grpc.mjs", stack.grpc, PROTOS, cwd=node))
    assert seen["bytes"] > 0


@pytest.mark.clients
async def test_litellm_speaks_and_sees_errors(litellm: Path, stack_url: str) -> None:
    output = await run(litellm, CLIENTS / "speak_with_litellm.py", stack_url)
    sizes = json.loads(output.splitlines()[-1])  # It gives advice before.
    assert set(sizes) == {"mp3", "opus", "aac", "flac", "wav", "pcm"}


def messages(output: str) -> Iterator[dict[str, object]]:
    """JSON objects, one behind the other."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(output.rstrip()):
        message, place = decoder.raw_decode(output, place)
        yield message
        place += len(output[place:]) - len(output[place:].lstrip())


@pytest.mark.parametrize("schema", [("--schema", str(PROTOS)), ("--reflect", "--reflect-protocol", "grpc-v1alpha")])
async def test_buf_curl_speaks(stack: RunningStack, schema: tuple[str, ...]) -> None:
    buf = Path(sys.executable).with_name("buf")
    url = f"http://{stack.grpc}/{SPEECH}/Synthesize"
    call = ("curl", *schema, "--protocol", "grpc", "--http2-prior-knowledge", "-d", '{"text": "Hello there."}', url)
    first, *pieces, last = messages(await run(buf, *call))
    assert first["audioConfig"]["encoding"] == "AUDIO_ENCODING_PCM"
    assert len(b"".join(base64.b64decode(piece["audio"]) for piece in pieces)) > 1000
    assert last["usage"]["finishReason"] == "FINISH_REASON_STOP"
