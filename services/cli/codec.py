"""`voxline codec`: recordings to tokens and back, in this process, without a server."""

import io
import wave
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.cli.failure import Commands, Failure
from services.cli.files import read, write
from services.cli.model import find_model
from services.cli.serve import ModelOption, RevisionOption
from services.codec.codec import Detokenizer, Tokenizer
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.runtime.errors import InvalidRequest

FAMILY = "spark"

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Turn recordings into tokens and back; needs no server.")

Threads = Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.")]
Token = Annotated[int, Field(ge=0, lt=2**32)]


class VoiceFile(BaseModel):
    """VOICE.json: a recording as tokens, and its words if they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    global_tokens: tuple[Token, ...]
    semantic_tokens: tuple[Token, ...]
    transcript: str = ""


@app.command()
def encode(
    audio: Annotated[Path, typer.Argument(help="A recording: wav, flac, mp3, m4a, ogg or webm.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, e.g. anna.json.")],
    transcript: Annotated[str, typer.Option(help="The exact words of the audio, if you have them.")] = "",
    model: ModelOption = None,
    revision: RevisionOption = "main",
    threads: Threads = 1,
) -> None:
    """A recording to its tokens: the speaker's global ones, and the semantic ones of what is said.

    voxline codec encode anna.wav -o anna.json
    """
    from services.codec.audio.reference import ReferenceLimits, load_reference

    tokenizer: Tokenizer = _load("tokenizer", find_model(model, revision), threads)
    clip = load_reference(read(audio), tokenizer.sample_rate, ReferenceLimits()).clip
    heard = tokenizer.tokenize([clip.samples])[0]
    voice = VoiceFile(
        global_tokens=heard.speaker.global_tokens, semantic_tokens=tuple(heard.frames.codes), transcript=transcript
    )
    write(output, (voice.model_dump_json() + "\n").encode())
    seconds = len(heard.frames) / tokenizer.frame_format.frame_rate
    typer.echo(f"{output}: {seconds:.1f} s in {len(voice.semantic_tokens)} semantic tokens")


@app.command()
def decode(
    voice: Annotated[Path, typer.Argument(help="What `encode` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="WAV file to write.")],
    model: ModelOption = None,
    revision: RevisionOption = "main",
    threads: Threads = 1,
) -> None:
    """Tokens to sound again.

    voxline codec decode anna.json -o anna-again.wav
    """
    if output.suffix.lower() not in ("", ".wav"):
        raise Failure(f"{output} is to be {output.suffix.removeprefix('.').upper()}, but only WAV is written here.")
    tokens = _voice_file(voice)
    detokenizer: Detokenizer[Any] = _load("detokenizer", find_model(model, revision), threads)
    try:
        samples = _decoded(detokenizer, tokens)
    except InvalidRequest as exc:
        raise Failure(f"{voice} holds no tokens of this model: {exc.message}") from exc
    _write_wav(output, samples, detokenizer.sample_rate)
    typer.echo(f"{output}: {len(samples) / detokenizer.sample_rate:.1f} s at {detokenizer.sample_rate} Hz")


def _decoded(detokenizer: Detokenizer[Any], voice: VoiceFile) -> NDArray[np.float32]:
    """[T]. Raises InvalidRequest."""
    if not voice.semantic_tokens:
        raise InvalidRequest("There are no semantic ones.")
    frames = Frames.of_codes(voice.semantic_tokens)
    detokenizer.frame_format.check(frames)
    stream = detokenizer.open(SparkSpeaker(voice.global_tokens).speaker(), None)
    return detokenizer.step([(stream, frames.values, True)])[0]


def _load(role: str, model: Path, threads: int) -> Any:
    """A Tokenizer or a Detokenizer of services.codec.codec."""
    # torch takes seconds to import, and only these commands need it.
    from services.codec.families.registry import load
    from services.codec.families.spark.weights import CheckpointError

    try:
        return load(FAMILY, role, model, threads)
    except CheckpointError as exc:
        raise Failure(str(exc)) from exc


def _voice_file(path: Path) -> VoiceFile:
    try:
        return VoiceFile.model_validate_json(read(path))
    except ValidationError as exc:
        problem = exc.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise Failure(f"{path} is no voice file of `voxline codec encode`: {where}: {problem['msg']}") from exc


def _write_wav(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """samples: [T] in [-1, 1]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((samples.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    write(path, buffer.getvalue())
