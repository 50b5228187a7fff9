"""`voxline say`: a text to a file."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import httpx
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

from services.cli.api import DEFAULT_URL, Api, KeyOption, UrlOption
from services.cli.failure import Failure

# A suffix that is no format by itself.
_SUFFIXES = {"ogg": "opus", "oga": "opus"}


def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - is standard output.")],
    voice: Annotated[str, typer.Option(help="One of `voxline voices list`. Default: the model's own.")] = "",
    encoding: Annotated[
        str, typer.Option("--format", help="mp3, opus, aac, flac, wav or pcm. Default: what the file's name ends in.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same audio.")] = None,
    speed: Annotated[float, typer.Option(help="Tempo from 0.25 to 4; the pitch stays.")] = 1.0,
    model: Annotated[str, typer.Option(help="Model id. Default: whatever is served.")] = "",
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = "",
) -> None:
    """Speak a text into a file, with a server that runs already (`voxline serve`).

    voxline say "Hello there." -o hello.mp3

    voxline say - -o book.opus --voice male < book.txt
    """
    body: dict[str, object] = {
        "model": model or None,
        "input": sys.stdin.read() if text == "-" else text,
        "voice": voice or None,
        "response_format": encoding or _format_of(output),
        "seed": seed,
        "speed": speed,
    }
    with Api(url, api_key).call("POST", "/v1/audio/speech", body) as response:
        _save(response, output)


def _format_of(output: Path) -> str:
    suffix = output.suffix.removeprefix(".").lower()
    if not suffix:
        raise Failure(f"{output} says no format; name one with --format, e.g. --format mp3.")
    return _SUFFIXES.get(suffix, suffix)


def _save(response: httpx.Response, output: Path) -> None:
    """A reply that breaks off leaves no file that looks whole. A link goes on pointing to its file, and a device or a
    pipe is written to.
    """
    if str(output) == "-":
        _write(_watched(response), sys.stdout.buffer)
        return
    output = output.resolve()
    if output.exists() and not output.is_file():
        _write_into(response, output)
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            _write(_watched(response), file)
        part.replace(output)
    except OSError as exc:
        raise Failure(f"Cannot write {output}: {exc.strerror}") from exc
    finally:
        part.unlink(missing_ok=True)


def _write_into(response: httpx.Response, output: Path) -> None:
    try:
        with output.open("wb") as file:
            _write(_watched(response), file)
    except OSError as exc:
        raise Failure(f"Cannot write {output}: {exc.strerror}") from exc


def _write(chunks: Iterator[bytes], file: BinaryIO) -> None:
    for chunk in chunks:
        file.write(chunk)


def _watched(response: httpx.Response) -> Iterator[bytes]:
    """The chunks, with a line on the terminal that says how far they are."""
    started, received = time.monotonic(), 0
    with Progress(TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Speaking ...", total=None)
        for chunk in response.iter_bytes():
            received += len(chunk)
            took = time.monotonic() - started
            progress.update(task, description=f"Speaking ... {received / 1000:.0f} kB in {took:.1f} s")
            yield chunk
