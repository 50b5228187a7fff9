"""Ask, before anything is trained, what a code would keep of Kokoro's speech and how well text foretells it.

Renders speech of many voices, ties its frames into codes of several kinds, rebuilds unseen sentences from them without
a network, and has independent ears judge these. Run again, it goes on where it stopped; --hours more make more speech.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.corpus.kokoro import Kokoro
from training.corpus.pronunciation import Pronunciation
from training.oracle import speech
from training.oracle.cast import Cast
from training.oracle.ears import Ears, WhisperAndDnsmos
from training.oracle.figures import Row, table
from training.oracle.hearing import Hearings
from training.oracle.listing import PLANS, Oracle, Plan
from training.oracle.speech import Booth
from training.oracle.vocoder import Vocoder, World

TABLE = "figures.md"
_MOST_TEXTS_AN_HOUR = 3000


@dataclass(frozen=True)
class Settings:
    out: Path
    voices: Path
    hours: float
    sentences: int
    seed: int

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> "Settings":
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument(
            "--out", type=Path, default=Path("var/voice/out/oracle"), help="folder of all that it makes"
        )
        parser.add_argument("--voices", type=Path, default=Path("kokoro-js-1.2.1.tgz"), help="npm pack kokoro-js@1.2.1")
        parser.add_argument("--hours", type=float, default=2.0, help="of speech that codes are made of")
        parser.add_argument("--sentences", type=int, default=60, help="that are heard, none of which codes are made of")
        parser.add_argument("--seed", type=int, default=0)
        return cls(**vars(parser.parse_args(arguments)))


def main(settings: Settings) -> None:
    teacher, pronunciation = Kokoro(settings.voices), Pronunciation.read()
    texts = int(settings.hours * _MOST_TEXTS_AN_HOUR) + 1
    casts = {
        "test": Cast.of_tests(teacher.voices, settings.sentences),
        "train": Cast.of_training(teacher.voices, pronunciation, texts, settings.seed),
    }
    booth = Booth(teacher, World(), pronunciation)
    for name, cast in casts.items():
        for seconds in speech.render(booth, cast, settings.out / name, settings.hours * 3600):
            print(f"{name}: {seconds / 60:.1f} min", flush=True)
    ask(settings, booth.vocoder, lambda: WhisperAndDnsmos(settings.out), PLANS)


def ask(settings: Settings, vocoder: Vocoder, ears: Callable[[], Ears], plans: Sequence[Plan]) -> list[Row]:
    """Of the speech that is there. Writes the table anew with each row."""
    train, tests = (speech.read(settings.out / name) for name in ("train", "test"))
    hearings = Hearings(settings.out / "heard.jsonl", ears)
    oracle = Oracle(train, tests[: settings.sentences], vocoder, hearings, settings.out, settings.seed)
    print(f"codes of {sum(each.seconds for each in train) / 60:.1f} min, {len({each.voice for each in train})} voices")
    rows: list[Row] = []
    for found in (oracle.bounds(), *(oracle.rows(plan) for plan in plans)):
        for row in found:
            rows.append(row)
            (settings.out / TABLE).write_text(table(rows) + "\n", encoding="utf-8")
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    return rows


if __name__ == "__main__":
    main(Settings.parse())
