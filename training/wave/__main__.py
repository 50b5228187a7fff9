"""Train the wave generator on tokens: OUT/wave; and put the decoder into OUT/voice."""

import sys

import numpy as np
import torch

from training.codec.modules import SpeakerEncoder
from training.codec.sizes import SIZES
from training.contents.__main__ import NAME as CONTENTS
from training.contents.__main__ import OWNERS
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import LEVELS, Cast, Voice
from training.device import Compute
from training.export import bicodec
from training.hearing.__main__ import exported_tokenizer
from training.loop import Kept, Loop
from training.options import NOT_DONE, Options
from training.prefetch import ahead
from training.tokens.__main__ import NAME as TOKENS
from training.tokens.__main__ import VOICE
from training.tokens.store import Tokens
from training.wave.crops import Crops
from training.wave.discriminator import Discriminator
from training.wave.listener import Listener, SpeakerListener
from training.wave.modules import Decoder
from training.wave.stage import SecondStage

NAME = "wave"
_FRAMES = 88
# Of the designed voices: women's phones are the harder.
_SHARES = {"female": 3, "male": 1}
_ROWS_ON_GPU, _ROWS_ON_CPU, _ROWS_TINY = 64, 6, 4
# Judges cost more than they bring where the time is short: none on a CPU.
_JUDGED_FROM_ON_GPU, _JUDGED_FROM_ON_CPU, _JUDGED_FROM_TINY = 0.45, 1.0, 0.75
_CHANNELS_ON_GPU, _CHANNELS_ON_CPU = 32, 12


def main(options: Options) -> bool:
    torch.manual_seed(options.seed)
    compute, voice = Compute.choose(options.device), options.out / VOICE
    corpus = Corpus(options.data / "train", compute.device)
    tokens = Tokens.read(options.out / CONTENTS / "train", options.out / TOKENS / "train", corpus)
    loop = Loop.resume(NAME, options)
    teachers = Cast.draw(PUPILS, HELD_OUT_SPEAKERS).teachers
    designed = [
        Voice(teacher, level).name
        for teacher in teachers
        for level in range(LEVELS)
        for _ in range(_SHARES[teacher.gender])
    ]
    decoder = Decoder(voice).to(compute.device)
    judges = Discriminator(_CHANNELS_ON_GPU if compute.on_gpu else _CHANNELS_ON_CPU).to(compute.device)
    sizes = SIZES[options.size]
    owners = torch.from_numpy(np.load(options.out / CONTENTS / OWNERS))
    listener = Listener(exported_tokenizer(voice, sizes), owners).to(compute.device)
    speakers = SpeakerListener(SpeakerEncoder.exported(voice, sizes)).to(compute.device)
    crops = iter(
        Crops(corpus, tokens, _FRAMES, _rows(options, compute), decoder.contents, designed, (options.seed, *loop.seed))
    )
    source = ahead(crops, 4) if compute.on_gpu else crops
    stage = SecondStage(decoder, listener, speakers, judges, source, compute, _judged_from(options, compute))
    kept: dict[str, Kept] = {
        "decoder": decoder,
        "judges": judges,
        "fundamental": stage.fundamental,
        "optimiser": stage.optimiser,
        "judges_optimiser": stage.judges_optimiser,
        "mean": stage.mean,
    }
    done = loop.run(stage, kept)
    bicodec.write_weights(voice, stage.mean.mean)
    return done


def _rows(options: Options, compute: Compute) -> int:
    if options.size == "tiny":
        return _ROWS_TINY
    return _ROWS_ON_GPU if compute.on_gpu else _ROWS_ON_CPU


def _judged_from(options: Options, compute: Compute) -> float:
    """Progress of the step."""
    if options.size == "tiny":
        return _JUDGED_FROM_TINY
    return _JUDGED_FROM_ON_GPU if compute.on_gpu else _JUDGED_FROM_ON_CPU


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
