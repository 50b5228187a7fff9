"""How speech sounds whose LLM engine died in its midst, on an engine whose continuation is another draw.

`python -m bench.resumed draw FILE --engine vllm` draws each sentence twice with an engine, from start to end and cut at
random, where a second call goes on from what was drawn; it runs in the engine's own environment (.venv-vllm).
`python -m bench.resumed hear FILE` decodes both and counts the phones that an ear hears wrong.
"""

import argparse
import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from services.contract.generation import MadeUpVoice
from services.llm.engines import default_precision, engine_loader
from services.llm.engines.engine import Engine, EngineOptions
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling
from services.runtime.compiled import CACHE

# Named here: the command line is not installed where an engine has its own environment.
BUNDLED = Path(__file__).parents[1] / "models" / "voxline-small"
SENTENCES = Path(__file__).parent / "speech" / "sentences.txt"
# An end later than this share of a sentence's own length is cut there too.
_EARLIEST, _LATEST = 0.1, 0.9


@dataclass(frozen=True)
class Drawn:
    """Codes of a sentence by a speaker with `global_tokens`. `complete`: the model said that it was over."""

    text: str
    voice: str
    global_tokens: list[int]
    whole: list[int]
    resumed: list[int]
    whole_complete: bool
    resumed_complete: bool


async def ids(
    engine: Engine,
    prompt: Sequence[int],
    sampling: ResolvedSampling,
    stops: frozenset[int],
    drawn: tuple[int, ...] = (),
) -> list[int]:
    """All that is drawn, with `drawn` before it."""
    async with aclosing(engine.generate(prompt, sampling, stops, drawn=drawn)) as chunks:
        return [*drawn, *[token async for chunk in chunks for token in chunk]]


async def sentence(family: Family, engine: Engine, text: str, voice: str, seed: int) -> Drawn:
    design = next(each.design for each in family.description.built_in_voices if each.id == voice)
    assert design is not None
    prompt = family.prompt(text, MadeUpVoice(design))
    sampling = ResolvedSampling(max_tokens=prompt.limits.usual_most, min_tokens=prompt.limits.shortest, seed=seed)
    whole = await ids(engine, prompt.ids, sampling, family.stop_ids)
    begun = random.Random(seed).uniform(_EARLIEST, _LATEST)
    cut = max(prompt.prelude + 1, round(begun * len(whole)))
    resumed = await ids(engine, prompt.ids, sampling, family.stop_ids, tuple(whole[:cut]))
    heard = [family.reader(prompt).read(each, last=True) for each in (whole, resumed)]
    speaker, frames = heard[0].speaker, [each.frames for each in heard]
    assert speaker is not None
    codes = [[] if each is None else each.codes for each in frames]
    ends = [each[-1] in family.stop_ids for each in (whole, resumed)]
    return Drawn(text, voice, list(speaker.global_tokens), codes[0], codes[1], ends[0], ends[1])


async def draw(name: str, texts: Sequence[str]) -> list[Drawn]:
    family = load_family("spark", BUNDLED)
    options = EngineOptions(default_precision(name), threads=2, max_batch=8, cache_directory=CACHE.expanduser())
    if name == "vllm":
        options = EngineOptions("f32", 2, 8, CACHE.expanduser())
    engine = await engine_loader(name).load(family.engine_model, options)
    slots = asyncio.Semaphore(8)

    async def one(place: int, text: str) -> Drawn:
        async with slots:
            return await sentence(family, engine, text, ("female", "male")[place % 2], place)

    drawn = await asyncio.gather(*(one(place, text) for place, text in enumerate(texts)))
    await engine.close()
    return drawn


def hear(file: Path) -> None:
    from bench.speech.__main__ import EAR
    from bench.speech.teacher import TEACHERS, Teacher
    from services.codec.families.spark.decoder import SparkDetokenizer
    from training.phones.ear import PhoneEar, distance

    detokenizer, ear, teacher = SparkDetokenizer.load(BUNDLED), PhoneEar.load(EAR), Teacher()
    sentences = [Drawn(**each) for each in json.loads(file.read_text())]
    wrong = {"whole": 0, "resumed": 0}
    phones = 0
    for each in sentences:
        taught = teacher.say(each.text, TEACHERS[each.voice]).phones
        phones += len(taught)
        for kind, codes in (("whole", each.whole), ("resumed", each.resumed)):
            samples = detokenizer.decode(each.global_tokens, codes)
            wrong[kind] += distance(ear.hear(samples), taught)
    lengths = {kind: fmean(len(getattr(each, kind)) for each in sentences) for kind in wrong}
    complete = {kind: sum(getattr(each, f"{kind}_complete") for each in sentences) for kind in wrong}
    print(f"{len(sentences)} sentences, {phones} phones")
    for kind in wrong:
        errors = wrong[kind] / phones
        print(f"{kind:8} complete {complete[kind]}, phone errors {errors:.3f}, {lengths[kind]:.1f} frames")
    print(f"lengths: resumed / whole {lengths['resumed'] / lengths['whole']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.resumed", description=__doc__)
    parser.add_argument("what", choices=("draw", "hear"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--engine", default="vllm")
    chosen = parser.parse_args()
    if chosen.what == "draw":
        drawn = asyncio.run(draw(chosen.engine, SENTENCES.read_text("utf-8").splitlines()))
        chosen.file.write_text(json.dumps([asdict(each) for each in drawn]))
    else:
        hear(chosen.file)


if __name__ == "__main__":
    main()
