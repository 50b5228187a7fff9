"""Make docs/listen.md: what the bundled voice sounds like, beside its teacher, to hear and to see."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import torch
import typer

from bench.speech.codec import Codec
from bench.speech.ears import SAMPLE_RATE, Samples
from bench.speech.sentences import UNSEEN, read_sentences
from bench.speech.system import System
from bench.speech.teacher import TEACHERS, Teacher
from bench.stack import running_stack
from services.cli.api import Api, Upload
from services.cli.model import find_model
from services.cli.serve import ModelOption

PAGE = Path("docs/listen.md")
REFERENCE = "The quick little robot carried a basket of warm bread to the village."
SEED = 1

_INTRODUCTION = """# Listen

What the bundled voice says, next to its teacher espeak-ng; made by `python -m bench.speech.listen`. No sentence was in
the training. *Codec* is the teacher's speech through the codec alone.
"""


@dataclass(frozen=True)
class Sample:
    """voice: as a request names it; teacher: who says it beside."""

    title: str
    text: str
    voice: str
    teacher: str

    @property
    def name(self) -> str:
        return self.title.lower().replace(",", "").replace(" ", "-")


def samples(texts: Sequence[str]) -> list[Sample]:
    """Short and long sentences, levels of pitch and speed, and a cloned voice."""
    female, male = TEACHERS["female"], TEACHERS["male"]
    return [
        Sample("Woman", texts[0], "female", female),
        Sample("Man", texts[1], "male", male),
        Sample("Woman, short", texts[60], "female", female),
        Sample("Man, long", texts[106], "male", male),
        Sample("Woman, very high", texts[2], "female-very-high-moderate", f"{female[:-1]}4"),
        Sample("Man, very low", texts[3], "male-very-low-moderate", f"{male[:-1]}0"),
        Sample("Cloned", texts[4], "cloned", f"{male[:-1]}4"),
    ]


@dataclass(frozen=True)
class Page:
    folder: Path
    teacher: Teacher
    codec: Codec
    system: System

    def section(self, sample: Sample) -> Iterator[str]:
        """Writes what is linked."""
        taught = self.teacher.say(sample.text, sample.teacher).samples
        said = {
            "teacher": taught,
            "codec": self.codec.reconstruct(taught),
            "voice": self.system.say(sample.text, sample.voice, SEED),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        links = []
        for source, heard in said.items():
            file = self.folder / f"{sample.name}-{source}.mp3"
            soundfile.write(file, heard, SAMPLE_RATE, format="MP3")
            links.append(f"[{source}]({self.folder.name}/{file.name})")
        picture = self.folder / f"{sample.name}.jpg"
        draw(said, picture)
        yield f"## {sample.title}\n\n“{sample.text}”: {', '.join(links)}\n"
        yield f"![Spectrograms]({self.folder.name}/{picture.name})\n"


def draw(said: dict[str, Samples], file: Path) -> None:
    """Spectrograms side by side, 0 to 8 kHz."""
    figure, axes = plt.subplots(1, len(said), figsize=(12, 2.4), sharey=True, layout="constrained")
    for axis, (source, heard) in zip(axes, said.items(), strict=True):
        window = torch.hann_window(512)
        spectrum = torch.stft(torch.from_numpy(np.asarray(heard)), 512, 128, window=window, return_complex=True)
        decibels = 20 * torch.log10(spectrum.abs() + 1e-3).numpy()
        seconds = len(heard) / SAMPLE_RATE
        axis.imshow(decibels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, 8), vmin=-40, vmax=35)
        axis.set(title=source, xlabel="s")
    axes[0].set_ylabel("kHz")
    figure.savefig(file, dpi=70)
    plt.close(figure)


def clone(api: Api, audio: Samples) -> None:
    """Creates the voice `cloned`."""
    wav = io.BytesIO()
    soundfile.write(wav, audio, SAMPLE_RATE, format="WAV")
    upload = Upload("audio_sample", "reference.wav", wav.getvalue(), {"name": "cloned"})
    with api.call("POST", "/v1/audio/voices", upload) as reply:
        reply.read()


def main(model: ModelOption = None, page: Annotated[Path, typer.Option(help="The file to write.")] = PAGE) -> None:
    folder = find_model(model, "main")
    with TemporaryDirectory() as scratch, running_stack(Path(scratch), folder) as stack:
        api, teacher = Api(stack.url, ""), Teacher()
        chosen = samples(read_sentences(UNSEEN))
        clone(api, teacher.say(REFERENCE, chosen[-1].teacher).samples)
        made = Page(page.with_suffix(""), teacher, Codec(folder), System(api))
        sections = [line for sample in chosen for line in made.section(sample)]
    page.write_text("\n".join([_INTRODUCTION, *sections]), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
