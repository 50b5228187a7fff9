"""`voxline voices`: what the voice store holds."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.api import DEFAULT_URL, Api, KeyOption, Upload, UrlOption
from services.cli.failure import Commands, Failure
from services.cli.files import read

PATH = "/v1/audio/voices"

app = typer.Typer(cls=Commands, no_args_is_help=True, help="List, add and remove voices.")


@app.command("list")
def list_voices(url: UrlOption = DEFAULT_URL, api_key: KeyOption = "") -> None:
    """The ids of all voices, one a line."""
    with Api(url, api_key).call("GET", PATH) as response:
        response.read()
        for voice in response.json()["voices"]:
            typer.echo(voice["id"])


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the voice.")],
    audio: Annotated[Path, typer.Argument(help="A few seconds of one speaker: wav, flac, mp3, m4a, ogg or webm.")],
    transcript: Annotated[str, typer.Option(help="The exact words of the audio, if you have them.")] = "",
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = "",
) -> None:
    """Clone a voice from a recording and keep it.

    voxline voices add anna anna.wav --transcript "What Anna says in it."
    """
    upload = Upload("audio_sample", audio.name, read(audio), {"name": name, "transcript": transcript})
    with Api(url, api_key).call("POST", PATH, upload) as response:
        response.read()
        Console().print(f"Added {response.json()['id']}.", markup=False, highlight=False)


@app.command()
def remove(
    voice: Annotated[str, typer.Argument(help="Id of the voice.")],
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = "",
) -> None:
    """Forget a voice that was added."""
    if not re.fullmatch(r"(?:voices/)?[\w-][\w.-]*", voice):
        raise Failure(f"{voice!r} is no voice id.")
    with Api(url, api_key).call("DELETE", f"{PATH}/{voice}"):
        Console().print(f"Removed {voice}.", markup=False, highlight=False)
