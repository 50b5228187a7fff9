"""How well the whole system is understood, beside its codec and its voice's teacher, on sentences that it never saw."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from bench.speech.codec import Codec
from bench.speech.ears import Samples
from bench.speech.figures import (
    CODEC,
    SYSTEM,
    TEACHER,
    Figures,
    PhoneErrors,
    Utterance,
    figures,
    markdown,
    sounding_seconds,
    table,
)
from bench.speech.listeners import Heard, Listeners
from bench.speech.sentences import UNSEEN, read_sentences
from bench.speech.system import System
from bench.speech.teacher import TEACHERS, Teacher
from bench.stack import running_stack
from services.cli.api import Api, KeyOption
from services.cli.failure import Failure
from services.cli.model import find_model
from services.cli.serve import ModelOption
from training.corpus.speakers import GENDERS
from training.phones.ear import PhoneEar, distance

EAR = Path(__file__).parent / "ear.safetensors"
"""By training.phones; ear.json beside it says how well it hears."""


@dataclass(frozen=True)
class Said:
    """[T] at ears.SAMPLE_RATE."""

    source: str
    samples: Samples
    phones: PhoneErrors


@dataclass(frozen=True)
class Speakers:
    """Everything that speaks."""

    teacher: Teacher
    codec: Codec
    system: System
    ear: PhoneEar

    def say(self, text: str, voice: str, teacher_voice: str, seed: int) -> Iterator[Said]:
        """One text from each source."""
        taught = self.teacher.say(text, teacher_voice)
        sources = {
            TEACHER: taught.samples,
            CODEC: self.codec.reconstruct(taught.samples),
            SYSTEM: self.system.say(text, voice, seed),
        }
        for source, samples in sources.items():
            wrong = distance(self.ear.hear(samples), taught.phones)
            yield Said(source, samples, PhoneErrors(wrong, len(taught.phones)))


@dataclass(frozen=True)
class Listening:
    """An utterance that is still being heard."""

    voice: str
    source: str
    text: str
    seconds: float
    phones: PhoneErrors
    heard: "Future[Heard]"

    def done(self) -> Utterance:
        return Utterance(self.voice, self.source, self.text, self.seconds, self.phones, self.heard.result())


def listen(
    speakers: Speakers, voices: Mapping[str, str], sentences: Sequence[str], listeners: Listeners, seed: int
) -> list[Utterance]:
    """In the order of voice, source, sentence. Sentence i is spoken with the seed `seed` + i."""
    said = [(voice, index, text) for voice in voices for index, text in enumerate(sentences)]
    listening = [
        Listening(voice, each.source, text, sounding_seconds(each.samples), each.phones, listeners.listen(each.samples))
        for voice, index, text in track(said, "speaking", console=Console(stderr=True))
        for each in speakers.say(text, voice, voices[voice], seed + index)
    ]
    return [each.done() for each in track(listening, "listening", console=Console(stderr=True))]


def with_teachers(voices: Sequence[str]) -> dict[str, str]:
    """VOICE or VOICE=TEACHER, each -> voice: its teacher's. Raises Failure for a voice without one."""
    pairs = {name: teacher or TEACHERS.get(name, "") for name, _, teacher in (each.partition("=") for each in voices)}
    for name, teacher in pairs.items():
        if not teacher:
            raise Failure(
                f"Who taught {name}? Name a teacher with --voices {name}={TEACHERS[GENDERS[0]]}, for instance."
            )
    return pairs


@contextmanager
def served(url: str, model: Path) -> Iterator[str]:
    """`url`, or that of a stack that lives as long as the context."""
    if url:
        yield url
        return
    with TemporaryDirectory() as directory, running_stack(Path(directory), model) as stack:
        yield stack.url


def request_fields(text: str) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except ValueError as exc:
        raise Failure(f"--request is no JSON: {exc}") from exc
    if not isinstance(fields, dict):
        raise Failure("--request is no JSON object.")
    return fields


def report(
    rows: Sequence[Figures], utterances: Sequence[Utterance], about: Mapping[str, object], json_file: Path | None
) -> None:
    title = ", ".join(f"{name} {value}" for name, value in about.items())
    Console().print(table(rows, title))
    print(markdown(rows))
    if json_file is not None:
        whole = {**about, "figures": [asdict(row) for row in rows], "utterances": [asdict(each) for each in utterances]}
        json_file.write_text(json.dumps(whole, indent=2) + "\n")


def bench(
    voices: Annotated[list[str], typer.Option(help="VOICE, or VOICE=TEACHER; may be given again.")] = list(TEACHERS),  # noqa: B006
    sentences: Annotated[Path, typer.Option(help="One a line, of words that pocketsphinx knows.")] = UNSEEN,
    limit: Annotated[int | None, typer.Option(min=1, help="Speak only so many; any can be picked.")] = None,
    seed: Annotated[int, typer.Option(help="Of the first sentence; the next one has the next.")] = 0,
    url: Annotated[str, typer.Option(envvar="VOXLINE_URL", help="Of a running server. Default: start one.")] = "",
    api_key: KeyOption = "",
    model: ModelOption = None,
    request: Annotated[str, typer.Option(help='More fields of each request, e.g. {"temperature": 0.5}.')] = "{}",
    processes: Annotated[int, typer.Option(min=1, help="That listen.")] = 2,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures, and all that was heard.")
    ] = None,
) -> None:
    """Speaks sentences that the voice never saw, and says what two recognisers, of words and of phones, hear of them.

    Prints a table, and the same as markdown for the card of the model.
    """
    teachers, fields, texts = with_teachers(voices), request_fields(request), read_sentences(sentences)
    folder = find_model(model, "main")
    with Listeners(texts, processes) as listeners, served(url, folder) as where:
        teacher = Teacher()
        speakers = Speakers(teacher, Codec(folder), System(Api(where, api_key), fields), PhoneEar.load(EAR))
        utterances = listen(speakers, teachers, texts[:limit], listeners, seed)
    utterances.sort(key=lambda each: (list(teachers).index(each.voice), (TEACHER, CODEC, SYSTEM).index(each.source)))
    about = {"model": folder.name, "sentences": len(texts[:limit]), "seed": seed, TEACHER: teacher.version, **fields}
    report(figures(utterances), utterances, about, json_file)


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
app.command()(bench)

if __name__ == "__main__":
    try:
        app()
    except Failure as exc:
        sys.exit(f"bench: {exc}")
