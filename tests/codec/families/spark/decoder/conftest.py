"""Random checkpoints of the decoder's half, of sizes that no bundled one has, in the published layout."""

from collections.abc import Callable, Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from services.codec.families.spark.config import BiCodecConfig
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.layers.codebook import Codebook
from services.codec.families.spark.layers.generator import WaveGenerator
from services.codec.families.spark.layers.prenet import Prenet
from services.codec.families.spark.layers.speaker import SpeakerDecoder
from services.runtime.compiled import CACHE

# rates, kernel sizes, prenet layers, FSQ levels; kernels twice the rate, odd, as wide as the rate, thrice it and wider.
SIZES: dict[str, tuple[list[int], list[int], int, list[int]]] = {
    "even": ([4, 4, 2], [8, 8, 4], 2, [5, 3, 2]),
    "odd": ([5, 3], [11, 5], 1, [4, 7]),
    "narrow": ([3, 2], [3, 2], 3, [2, 2, 2, 2]),
    "wide": ([2], [8], 1, [8]),
}


def codec_config(name: str) -> dict[str, Any]:
    """`audio_tokenizer` of BiCodec/config.yaml."""
    rates, kernels, layers, levels = SIZES[name]
    vocos = {"vocos_dim": 10, "vocos_intermediate_dim": 18, "vocos_num_layers": layers, "sample_ratios": [1] * layers}
    return {
        "mel_params": {
            "sample_rate": 8000,
            "n_fft": 64,
            "win_length": 48,
            "hop_length": 16,
            "mel_fmin": 0,
            "mel_fmax": None,
            "num_mels": 9,
        },
        "encoder": {**vocos, "input_channels": 7, "out_channels": 11},
        "decoder": {"input_channel": 13, "channels": 8, "rates": rates, "kernel_sizes": kernels},
        "quantizer": {"input_dim": 11, "codebook_size": 53, "codebook_dim": 3},
        "speaker_encoder": {
            "input_dim": 9,
            "out_dim": 13,
            "latent_dim": 5,
            "token_num": 3,
            "fsq_levels": levels,
            "fsq_num_quantizers": 1,
        },
        "prenet": {
            **vocos,
            "input_channels": 11,
            "out_channels": 13,
            "condition_dim": None if name == "wide" else 13,
            "use_tanh_at_final": name == "narrow",
        },
    }


def decoder_tensors(config: BiCodecConfig, seed: int) -> dict[str, Tensor]:
    """Random tensors under the published names, `weight_g` and `weight_v` where the published file has them."""
    parts: dict[str, nn.Module] = {
        "quantizer": Codebook(config.quantizer),
        "speaker_encoder": SpeakerDecoder(config.speaker_encoder),
        "prenet": Prenet(config.prenet),
        "decoder": WaveGenerator(config.decoder),
    }
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for prefix, part in parts.items():
        for key, like in part.state_dict().items():
            name, value = f"{prefix}.{key}", _filled(key, like, generator)
            if (prefix == "decoder" and key.endswith("weight")) or key == "out_project.weight":
                tensors[f"{name}_g"] = value.flatten(1).norm(dim=1)[:, None, None]
                tensors[f"{name}_v"] = value * 3
            else:
                tensors[name] = value
    return tensors


def _filled(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Mild enough that rounding does not grow on its way to the samples, as in a trained model."""
    noise = torch.randn(like.shape, generator=generator)
    if name.endswith("alpha"):
        return 1 + 0.2 * noise.abs()
    if like.dim() == 1:
        return 0.1 * noise if name.endswith("bias") else 1 + 0.1 * noise
    gain = 0.55 if name.startswith("model.") else 1.0
    return noise * (gain / sqrt(like[0].numel()))


def write(root: Path, codec: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    hop = BiCodecConfig.model_validate(codec).decoder.hop
    audio = {"sample_rate": 50 * hop, "latent_hop_length": hop, "ref_segment_duration": 1.0, "volume_normalize": True}
    (root / "BiCodec").mkdir()
    (root / "config.yaml").write_text(yaml.safe_dump(audio))
    (root / "BiCodec" / "config.yaml").write_text(yaml.safe_dump({"audio_tokenizer": dict(codec)}))
    save_file(dict(tensors), root / "BiCodec" / "model.safetensors")
    return root


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each of `SIZES`, by name."""
    written = {}
    for seed, name in enumerate(SIZES):
        codec = codec_config(name)
        tensors = decoder_tensors(BiCodecConfig.model_validate(codec), seed)
        written[name] = write(tmp_path_factory.mktemp(name), codec, tensors)
    return written


@pytest.fixture(scope="session", params=["compiled", "torch"])
def detokenizers(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> dict[str, SparkDetokenizer]:
    """Of all `checkpoints`: with the operations compiled for this CPU, and with torch's."""
    cache = CACHE if request.param == "compiled" else None
    return {name: SparkDetokenizer.load(folder, cache=cache) for name, folder in checkpoints.items()}


@pytest.fixture
def odd_tensors() -> dict[str, Tensor]:
    return decoder_tensors(BiCodecConfig.model_validate(codec_config("odd")), 1)


@pytest.fixture
def write_odd(tmp_path: Path) -> Callable[[Mapping[str, Tensor]], Path]:
    """Write a checkpoint of the odd sizes with these tensors."""
    return lambda tensors: write(tmp_path, codec_config("odd"), tensors)
