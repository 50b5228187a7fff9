"""wav2vec2-large-xlsr-53/."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from training.corpus.utterance import SAMPLE_RATE
from training.hearing.modules import Wav2Vec2

FOLDER, _WEIGHTS = "wav2vec2-large-xlsr-53", "model.safetensors"


def write(voice: Path, wav2vec2: Wav2Vec2) -> None:
    folder = voice / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    # Stored by halves, used in whole.
    config = {**wav2vec2.model.config.to_dict(), "dtype": "float32", "architectures": ["Wav2Vec2Model"]}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR, indent=1) + "\n", encoding="utf-8")
    tensors = {name: tensor.cpu().half().contiguous() for name, tensor in wav2vec2.model.state_dict().items()}
    save_file(tensors, folder / _WEIGHTS, {"format": "pt"})


def read(voice: Path) -> Mapping[str, Tensor]:
    """What `write` wrote, in float32."""
    return {name: tensor.float() for name, tensor in load_file(voice / FOLDER / _WEIGHTS).items()}


_PREPROCESSOR = {
    "do_normalize": True,
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
    "sampling_rate": SAMPLE_RATE,
}
