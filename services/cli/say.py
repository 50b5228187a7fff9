"""`voxline say`: a text to a file."""

import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import httpx
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

from services.cli.api import DEFAULT_URL, READ_SECONDS, Api, KeyOption, UrlOption
from services.cli.audio_file import tell_length
from services.cli.failure import Failure
from services.cli.text import argument, decoded

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "ogg", "webm", "m4a")
# A suffix that is no format by itself.
_SUFFIXES = {"oga": "ogg", "mp4": "m4a"}
# Their files say at the beginning how long they are, so that nothing can be sent before all is made.
_WHOLE = ("flac", "m4a")
_WHOLE_SECONDS = 3600.0


def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - is standard output.")],
    voice: Annotated[str, typer.Option(help="One of `voxline voices list`. Default: the model's own.")] = "",
    encoding: Annotated[
        str, typer.Option("--format", help=f"{', '.join(FORMATS)}. Default: what the file's name ends in.")
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
    if not math.isfinite(speed):
        raise Failure(f"--speed is {speed}; it is a number from 0.25 to 4.")
    encoding = encoding or _format_of(output)
    whole = encoding in _WHOLE and not _is_stream(output)
    body: dict[str, object] = {
        "model": argument(model, "--model") or None,
        "input": decoded(sys.stdin.buffer.read(), "Standard input") if text == "-" else argument(text, "The text"),
        "voice": argument(voice, "--voice") or None,
        "response_format": argument(encoding, "--format"),
        "seed": seed,
        "speed": speed,
        "stream": False if whole else None,
    }
    with Api(url, api_key, _WHOLE_SECONDS if whole else READ_SECONDS).call("POST", "/v1/audio/speech", body) as reply:
        _save(reply, output)


def _format_of(output: Path) -> str:
    suffix = output.suffix.removeprefix(".").lower()
    if not suffix:
        raise Failure(f"{output} says no format; name one with --format, e.g. --format mp3.")
    encoding = _SUFFIXES.get(suffix, suffix)
    if encoding not in FORMATS:
        raise Failure(f"{output} ends in no format; there are {', '.join(FORMATS)}. Name one with --format.")
    return encoding


def _is_stream(output: Path) -> bool:
    """Standard output, a device or a pipe: it cannot be gone back in."""
    return str(output) == "-" or (output.exists() and not output.is_file())


def _save(response: httpx.Response, output: Path) -> None:
    """A reply that breaks off leaves no file that looks whole. A link goes on pointing to its file, and a device or a
    pipe is written to.
    """
    if str(output) == "-":
        try:
            _write(_watched(response), sys.stdout.buffer)
            sys.stdout.flush()
        except BrokenPipeError:  # Whoever reads has enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as exc:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Failure(f"Cannot write to standard output: {exc.strerror}.") from exc
        return
    output = output.resolve()
    if output.exists() and not output.is_file():
        _write_into(response, output)
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("w+b") as file:
            _write(_watched(response), file)
            tell_length(file)
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
    console, column = Console(stderr=True), TextColumn("{task.description}")
    with Progress(column, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Speaking ...", total=None)
        for chunk in response.iter_bytes():
            received += len(chunk)
            took = time.monotonic() - started
            progress.update(task, description=f"Speaking ... {received / 1000:.0f} kB in {took:.1f} s")
            yield chunk
