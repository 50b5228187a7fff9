"""Measure OUT/voice by the ear in OUT/phones, and write OUT/figures.json."""

import json
from pathlib import Path

import torch

from training.corpus.corpus import Corpus
from training.corpus.espeak import Espeak
from training.corpus.speakers import GENDERS
from training.device import Compute
from training.evaluate import cloning, labels, understood
from training.evaluate.voice import ExportedVoice
from training.options import Options
from training.phones.__main__ import FIGURES, FILE, NAME
from training.phones.ear import PhoneEar
from training.text.__main__ import HELD_OUT
from training.tokens.__main__ import VOICE

FEWEST_WORDS, MOST_WORDS = 5, 12


def main(options: Options) -> dict[str, object]:
    device = Compute.choose(options.device).device
    voice = ExportedVoice(options.out / VOICE, device)
    ear = PhoneEar.load(options.out / NAME / FILE)
    espeak = Espeak()
    unheard = sentences(options.data / HELD_OUT)
    texts, longer = unheard[: options.count], understood.long(unheard)[: max(options.count // 5, 1)]
    held_out = Corpus(options.data / "held_out", torch.device("cpu"))
    tried = cloning.trials(held_out, options.count, options.seed)
    figures: dict[str, object] = {"ear": json.loads((options.out / NAME / FIGURES).read_text("utf-8"))}
    for gender in GENDERS:
        taught = understood.lessons(texts, gender, espeak)
        figures[gender] = {
            **understood.measure(voice, ear, taught, gender),
            **labels.measure(voice, texts[: max(2 * options.count // 5, 2)], gender),
        }
        _show(gender, figures[gender])
        if longer:
            name = f"{gender}_long"
            figures[name] = understood.measure(voice, ear, understood.lessons(longer, gender, espeak), gender)
            _show(name, figures[name])
    figures["cloned"] = cloning.measure(voice, held_out, tried, transcript=False)
    figures["continued"] = cloning.measure(voice, held_out, tried, transcript=True)
    figures["recordings"] = cloning.recordings(voice, held_out, tried)
    figures["resynthesised"] = cloning.resynthesised(voice, held_out, tried)
    figures["global_tokens"] = cloning.global_tokens(voice, held_out, tried)
    for name in ("cloned", "continued", "recordings", "resynthesised", "global_tokens"):
        _show(name, figures[name])
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def sentences(file: Path) -> list[str]:
    """Of 5 to 12 words."""
    lines = file.read_text("utf-8").splitlines()
    return [line for line in lines if FEWEST_WORDS <= len(line.split()) <= MOST_WORDS and line.isascii()]


def _show(name: str, figures: object) -> None:
    print(name, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(Options.parse(__doc__, count=100))
