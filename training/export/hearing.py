"""wav2vec2-large-xlsr-53/ and config.yaml: how audio comes in."""

import json
from pathlib import Path

import yaml
from safetensors.torch import save_file

from training.codec.modules import Hearing
from training.codec.sizes import CodecSizes
from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP

FOLDER = "wav2vec2-large-xlsr-53"


def write(voice: Path, hearing: Hearing, sizes: CodecSizes) -> None:
    folder = voice / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    # Stored by halves, used in whole.
    config = {**hearing.model.config.to_dict(), "dtype": "float32", "architectures": ["Wav2Vec2Model"]}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR, indent=1) + "\n", encoding="utf-8")
    tensors = {name: tensor.cpu().half().contiguous() for name, tensor in hearing.model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _write_audio(voice, sizes)


def _write_audio(voice: Path, sizes: CodecSizes) -> None:
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


_PREPROCESSOR = {
    "do_normalize": True,
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
    "sampling_rate": SAMPLE_RATE,
}
