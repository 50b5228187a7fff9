"""Finish OUT/voice: what Voxline wants to know besides, the card, and a check that it is small and whole."""

import json

import yaml

from services.codec.families.spark.config import SparkConfig
from training.export import bicodec, hearing, llm
from training.export.card import card
from training.options import Options
from training.tokens.__main__ import VOICE

MOST_BYTES = 40_000_000
MOST_CHARACTERS = 100
"""Of a segment: about 7 s at the usual speed; training went to 9 s, and to 18 s where two utterances were joined."""
LOOK_AHEAD_FRAMES = 12
"""Spectra then differ from the exact ones by .01 to .03 nepers; see docs/performance.md."""
_WEIGHTS = "model.safetensors"


def main(options: Options) -> None:
    voice = options.out / VOICE
    SparkConfig.read(voice)
    for folder in (bicodec.FOLDER, hearing.FOLDER, llm.FOLDER):
        if not (voice / folder / _WEIGHTS).exists():
            raise FileNotFoundError(f"{voice / folder / _WEIGHTS}: a step is missing")
    (voice / "voxline.yaml").write_text(_extras(), encoding="utf-8")
    (voice / "README.md").write_text(card(voice, options.out, options.data, MOST_CHARACTERS), encoding="utf-8")
    files = [file for file in voice.rglob("*") if file.is_file()]
    for file in files:
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in files)
    print(json.dumps({str(file.relative_to(voice)): file.stat().st_size for file in sorted(files)}, indent=1), size)
    if size > MOST_BYTES:
        raise ValueError(f"{voice} has {size} bytes, more than {MOST_BYTES}")


def _extras() -> str:
    extras = {
        "max_segment_characters": MOST_CHARACTERS,
        "default_voice": "female",
        "look_ahead_frames": LOOK_AHEAD_FRAMES,
    }
    return "# What the published layout does not say of this checkpoint.\n" + yaml.safe_dump(extras, sort_keys=False)


if __name__ == "__main__":
    main(Options.parse(__doc__))
