"""config.yaml: what the published layout says of audio."""

from pathlib import Path

import yaml

from training.codec.sizes import CodecSizes
from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP


def write(voice: Path, sizes: CodecSizes) -> None:
    audio = {
        "highpass_cutoff_freq": 40,
        "sample_rate": SAMPLE_RATE,
        "segment_duration": 2.4,
        "max_val_duration": 12,
        "latent_hop_length": HOP,
        "ref_segment_duration": sizes.reference_seconds,
        "volume_normalize": True,
    }
    (voice / "config.yaml").write_text(yaml.safe_dump(audio, sort_keys=False), encoding="utf-8")
