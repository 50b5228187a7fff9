"""A random checkpoint of sizes that no bundled one has, in the published layout: the tokenizer's half of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from services.codec.families.spark.config import VocosConfig
from services.codec.families.spark.ecapa import Ecapa
from services.codec.families.spark.encoder import Encoder
from services.codec.families.spark.fsq import Fsq
from services.codec.families.spark.perceiver import Perceiver
from services.codec.families.spark.quantizer import CodebookSearch
from services.codec.families.spark.tokenizer import WAV2VEC2
from services.codec.families.spark.weights import Weights

HIDDEN, LATENT, LEVELS, TOKENS = 24, 20, [5, 3, 2], 6
SEVEN = {"conv_dim": [8] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
# Other sizes than any bundled checkpoint: seven convolutions as published, and the kind with group norm.
WAV2VEC2S: dict[str, dict[str, object]] = {
    "layer": {**SEVEN, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "num_hidden_layers": 18},
    "group": {
        "conv_dim": [12, 8],
        "conv_kernel": [20, 32],
        "conv_stride": [10, 32],
        "feat_extract_norm": "group",
        "do_stable_layer_norm": False,
        "num_hidden_layers": 16,
    },
}
AUDIO = {"sample_rate": 12_000, "latent_hop_length": 320, "ref_segment_duration": 1.3, "volume_normalize": True}
VOCOS = {"vocos_dim": 16, "vocos_intermediate_dim": 28, "vocos_num_layers": 2, "sample_ratios": [1]}
CODEC = {
    "mel_params": {
        "sample_rate": 12_000,
        "n_fft": 512,
        "win_length": 400,
        "hop_length": 150,
        "mel_fmin": 0,
        "mel_fmax": 5_000,
        "num_mels": 18,
    },
    "encoder": {**VOCOS, "input_channels": HIDDEN, "out_channels": LATENT},
    "decoder": {"input_channel": LATENT, "channels": 8, "rates": [16, 20], "kernel_sizes": [32, 40]},
    "quantizer": {"input_dim": LATENT, "codebook_size": 77, "codebook_dim": 5},
    "speaker_encoder": {
        "input_dim": 18,
        "out_dim": LATENT,
        "latent_dim": 14,
        "token_num": TOKENS,
        "fsq_levels": LEVELS,
        "fsq_num_quantizers": 1,
    },
    "prenet": {**VOCOS, "input_channels": LATENT, "out_channels": LATENT, "condition_dim": LATENT},
}
ECAPA = "speaker_encoder.speaker_encoder"
PERCEIVER = "speaker_encoder.perceiver_sampler"
# The widths that no config states: 24 channels in 4 groups, bottleneck 10, 30 out; 3 heads, 2 layers.
SHAPES = {
    f"{ECAPA}.layer1.conv.weight": (24, 18, 5),
    f"{ECAPA}.conv.weight": (30, 72, 1),
    **{f"{ECAPA}.layer{n}.se_res2block.1.convs.{i}.weight": (6, 6, 3) for n in (2, 3, 4) for i in range(3)},
    **{f"{ECAPA}.layer{n}.se_res2block.3.linear1.weight": (10, 24) for n in (2, 3, 4)},
    f"{PERCEIVER}.proj_context.weight": (14, 30),
    f"{PERCEIVER}.latents": (TOKENS, 14),
    **{f"{PERCEIVER}.layers.{n}.0.to_q.weight": (192, 14) for n in (0, 1)},
    **{f"{PERCEIVER}.layers.{n}.1.2.weight": (14, 37) for n in (0, 1)},
}


def bicodec(generator: torch.Generator) -> dict[str, Tensor]:
    shapes = Weights(Path("shapes"), {name: torch.empty(shape) for name, shape in SHAPES.items()})
    modules: dict[str, nn.Module] = {
        "encoder": Encoder(VocosConfig.model_validate(CODEC["encoder"])),
        "quantizer": CodebookSearch(LATENT, 77, 5),
        ECAPA: Ecapa(shapes, ECAPA),
        PERCEIVER: Perceiver(shapes, PERCEIVER),
        "speaker_encoder.quantizer": Fsq(14, LEVELS),
    }
    tensors = {
        f"{prefix}.{name}": filled(name, tensor, generator)
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    direction = tensors.pop("quantizer.in_project.weight")
    tensors["quantizer.in_project.weight_g"] = torch.ones(5, 1, 1)
    tensors["quantizer.in_project.weight_v"] = direction
    return tensors


def filled(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like)
    noise = torch.randn(like.shape, generator=generator)
    if name.endswith("running_var") or (like.dim() == 1 and not name.endswith(("bias", "running_mean"))):
        return 1 + 0.1 * noise.clamp(-3, 3)
    return noise * (0.1 if like.dim() < 2 else like[0].numel() ** -0.5)


def wav2vec2(**changes: object) -> Wav2Vec2Model:
    config = Wav2Vec2Config.from_dict(
        {
            "hidden_size": HIDDEN,
            "num_attention_heads": 3,
            "intermediate_size": 40,
            "num_conv_pos_embeddings": 9,
            "num_conv_pos_embedding_groups": 3,
            **changes,
        }
    )
    return Wav2Vec2Model(config).eval()


def legacy(model: Wav2Vec2Model) -> dict[str, Tensor]:
    """The names of 2021: a prefix, weight_g and weight_v, and a pre-training head."""
    new = "encoder.pos_conv_embed.conv.parametrizations.weight.original"
    old = {f"{new}0": "encoder.pos_conv_embed.conv.weight_g", f"{new}1": "encoder.pos_conv_embed.conv.weight_v"}
    tensors = {f"wav2vec2.{old.get(name, name)}": tensor for name, tensor in model.state_dict().items()}
    return {**tensors, "project_hid.weight": torch.zeros(4, HIDDEN)}


@pytest.fixture(scope="module")
def originals() -> dict[str, Wav2Vec2Model]:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return {kind: wav2vec2(**changes) for kind, changes in WAV2VEC2S.items()}


@pytest.fixture(scope="module")
def random_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, originals: dict[str, Wav2Vec2Model]
) -> Callable[[str], Path]:
    """Random checkpoints, by the kind of their wav2vec2; "layer" is in the old format, "group" in the new one."""
    tensors = bicodec(torch.Generator().manual_seed(4))

    def written(kind: str) -> Path:
        root = tmp_path_factory.mktemp(kind)
        for folder in ("BiCodec", WAV2VEC2):
            (root / folder).mkdir()
        (root / "config.yaml").write_text(yaml.safe_dump(AUDIO))
        (root / "BiCodec" / "config.yaml").write_text(yaml.safe_dump({"audio_tokenizer": CODEC}))
        save_file(tensors, root / "BiCodec" / "model.safetensors")
        model, folder = originals[kind], root / WAV2VEC2
        (folder / "config.json").write_text(model.config.to_json_string())
        (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True, "sampling_rate": 12_000}))
        if kind == "layer":
            torch.save(legacy(model), folder / "pytorch_model.bin")
        else:
            save_file(model.state_dict(), folder / "model.safetensors")
        return root

    return written
