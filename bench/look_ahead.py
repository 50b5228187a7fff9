"""What short look-ahead costs and gains: difference to the whole utterance, added latency, frames computed.

    python -m bench.look_ahead --model models/voxline-small

The utterances are the model's own: its LLM speaks sentences, alternating between two voices, with fixed seeds. Sound
comes later by the latency of the table than at look-ahead 0; the time to gather a chunk is not counted.
"""

import asyncio
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from services.cli.model import BUNDLED
from services.codec.families.spark.decoder import Samples, SparkDetokenizer
from services.codec.families.spark.layers.convolution import computed, reset_computed
from services.llm.engines import engine_loader
from services.llm.engines.engine import Engine, EngineOptions
from services.llm.events import CodesDrawn, SpeakerNamed
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.sampling import Sampling
from services.llm.voices import Design, DesignedVoice
from training.codec.spectra import MELS, Spectra

SENTENCES = Path(__file__).with_name("speech") / "sentences.txt"
LOOK_AHEADS = (0, 4, 6, 8, 12, 16, 24, 32, None)


@dataclass(frozen=True)
class Utterance:
    global_tokens: tuple[int, ...]
    codes: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """error, worst_chunk: of waveforms, relative to the RMS of the whole decode: also of a phase that no ear hears;
    spectrum: mean difference of log-mel spectra, dB. Frames computed per frame heard; CPU-seconds per second heard.
    """

    tokens: int
    error: float
    worst_chunk: float
    spectrum: float
    prenet: float
    generator: float
    cpu: float


def main(
    model: Annotated[Path, typer.Option(help="Model directory, published layout.")] = BUNDLED,
    utterances: Annotated[int, typer.Option(help="How many sentences to speak.")] = 8,
    chunk: Annotated[int, typer.Option(help="Tokens per step.")] = 10,
) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(1)
    spoken = asyncio.run(speak(model, utterances))
    detokenizer = SparkDetokenizer.load(model)
    Console(width=200).print(table(detokenizer, [measure(detokenizer, spoken, row, chunk) for row in LOOK_AHEADS]))
    frames = sum(len(each.codes) for each in spoken)
    typer.echo(f"\n{utterances} utterances of {frames / detokenizer.frame_rate:.1f} s in all, {chunk} tokens a step.")


async def speak(model: Path, count: int) -> list[Utterance]:
    family = load_family("spark", model)
    voices = [DesignedVoice(Design(design.gender)) for design in family.description.voices[:2]]
    sentences = islice(cycle(SENTENCES.read_text().splitlines()), count)
    with tempfile.TemporaryDirectory() as cache:
        options = EngineOptions("int8", threads=1, max_batch=1, cache_directory=Path(cache))
        engine = await engine_loader("cpu").load(family.engine_model, options)
        try:
            return [
                await utterance(family, engine, sentence, voice, seed)
                for seed, (sentence, voice) in enumerate(zip(sentences, cycle(voices)))
            ]
        finally:
            await engine.close()


async def utterance(family: Family, engine: Engine, text: str, voice: DesignedVoice, seed: int) -> Utterance:
    prompt = family.prompt(text, voice)
    reader = family.reader(prompt)
    sampling = Sampling(max_tokens=prompt.limits.usual_most, min_tokens=prompt.limits.shortest, seed=seed)
    speaker: tuple[int, ...] = ()
    codes: list[int] = []
    async with aclosing(engine.generate(prompt.ids, sampling, family.stop_ids)) as chunks:
        async for ids in chunks:
            for event in reader.read(ids):
                match event:
                    case SpeakerNamed():
                        speaker = event.speaker.global_tokens
                    case CodesDrawn():
                        codes.extend(event.codes)
    return Utterance(speaker, tuple(codes))


def measure(detokenizer: SparkDetokenizer, spoken: list[Utterance], look_ahead: int | None, chunk: int) -> Row:
    wholes = [detokenizer.decode(each.global_tokens, each.codes) for each in spoken]
    for part in (detokenizer.prenet, detokenizer.generator):
        reset_computed(part)
    start = time.process_time()
    heard = [np.concatenate(list(stream(detokenizer, each, look_ahead, chunk))) for each in spoken]
    cpu = time.process_time() - start
    frames = sum(len(each.codes) for each in spoken)
    errors = [relative(samples - whole, whole) for samples, whole in zip(heard, wholes, strict=True)]
    return Row(
        tokens=detokenizer.receptive_field if look_ahead is None else look_ahead,
        error=float(np.mean([np.sqrt(np.mean(error**2)) for error in errors])),
        worst_chunk=max(rms for error in errors for rms in chunk_rms(error, chunk * detokenizer.hop)),
        spectrum=float(np.mean([apart(*pair) for pair in zip(heard, wholes, strict=True)])),
        prenet=float(computed(detokenizer.prenet) / frames),
        generator=float(computed(detokenizer.generator) / frames),
        cpu=cpu * detokenizer.frame_rate / frames,
    )


def stream(detokenizer: SparkDetokenizer, spoken: Utterance, look_ahead: int | None, chunk: int) -> Iterator[Samples]:
    state = detokenizer.open(spoken.global_tokens, look_ahead)
    for start in range(0, len(spoken.codes), chunk):
        end = start + chunk
        yield from detokenizer.step([(state, spoken.codes[start:end], end >= len(spoken.codes))])


def relative(error: Samples, whole: Samples) -> NDArray[np.float64]:
    rms: np.float64 = np.sqrt(np.mean(whole.astype(np.float64) ** 2))
    return error / rms


def apart(first: Samples, second: Samples) -> float:
    """Mean difference of two log-mel spectra, dB."""
    mels = Spectra()(torch.from_numpy(np.stack([first, second])))[0][:, :, :MELS]
    return float((mels[0] - mels[1]).abs().mean()) * 20 / math.log(10)


def chunk_rms(error: NDArray[np.float64], samples: int) -> list[float]:
    return [float(np.sqrt(np.mean(error[at : at + samples] ** 2))) for at in range(0, len(error), samples)]


def table(detokenizer: SparkDetokenizer, rows: list[Row]) -> Table:
    columns = ("look-ahead", "latency", "error", "worst chunk", "spectrum", "prenet", "generator", "CPU RTF")
    shown = Table(*columns, box=MARKDOWN)
    for row in rows:
        full = " (full)" if row.tokens == detokenizer.receptive_field else ""
        shown.add_row(
            f"{row.tokens}{full}",
            f"{1000 * row.tokens / detokenizer.frame_rate:.0f} ms",
            f"{decibels(row.error):.1f} dB",
            f"{decibels(row.worst_chunk):.1f} dB",
            f"{row.spectrum:.2f} dB",
            f"{row.prenet:.2f}",
            f"{row.generator:.2f}",
            f"{row.cpu:.3f}",
        )
    return shown


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(ratio)) if ratio else -np.inf


if __name__ == "__main__":
    typer.run(main)
