"""BiCodec/: config.yaml and model.safetensors under the published names, in half precision."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.codec.families.spark.config import PrenetConfig
from services.codec.families.spark.layers.prenet import Prenet
from training.codec.sizes import CodecSizes

FOLDER, CONFIG, WEIGHTS = "BiCodec", "config.yaml", "model.safetensors"
_NORMED = ("decoder.", "quantizer.in_project.", "quantizer.out_project.")
_PARAMETRIZED = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}
# The reference builds these and never uses them to make or read tokens; here they are zeros.
_POSTNET = {
    "vocos_dim": 48,
    "vocos_intermediate_dim": 64,
    "vocos_num_layers": 1,
    "out_channels": 64,
    "sample_ratios": [1, 1],
}


def write_config(voice: Path, sizes: CodecSizes) -> None:
    folder = voice / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    postnet = {"input_channels": sizes.latent, **_POSTNET}
    config = {"audio_tokenizer": {**sizes.bicodec(), "postnet": postnet}}
    (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def write_weights(voice: Path, tensors: Mapping[str, Tensor]) -> None:
    """`tensors`: under published names, weight norm folded or not; they replace those of the same name in the file."""
    file = voice / FOLDER / WEIGHTS
    kept = load_file(file) if file.exists() else {}
    new = {name: tensor for old, value in tensors.items() for name, tensor in _published(old, value)}
    save_file({**kept, **{name: _half(tensor) for name, tensor in new.items()}}, file)


def unused(sizes: CodecSizes) -> dict[str, Tensor]:
    """What the reference's modules hold besides: the pooling of the speaker encoder, the postnet, a counter."""
    joined, latent = sizes.ecapa_joined, sizes.latent
    with torch.device("meta"):
        postnet = Prenet(PrenetConfig.model_validate({"input_channels": latent, **_POSTNET})).state_dict()
    shapes = {
        "pool.linear1.weight": (sizes.ecapa_bottleneck, 3 * joined, 1),
        "pool.linear1.bias": (sizes.ecapa_bottleneck,),
        "pool.linear2.weight": (joined, sizes.ecapa_bottleneck, 1),
        "pool.linear2.bias": (joined,),
        **{f"bn.{name}": (2 * joined,) for name in ("weight", "bias", "running_mean", "running_var")},
        "linear.weight": (latent, 2 * joined),
        "linear.bias": (latent,),
    }
    return {
        **{f"speaker_encoder.speaker_encoder.{name}": torch.zeros(shape) for name, shape in shapes.items()},
        "speaker_encoder.speaker_encoder.bn.num_batches_tracked": torch.zeros((), dtype=torch.int64),
        **{f"postnet.{name}": torch.zeros(value.shape) for name, value in postnet.items()},
        "quantizer.cluster_size": torch.zeros(sizes.codes),
    }


def _published(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    for old, new in _PARAMETRIZED.items():
        if name.endswith(old):
            yield name.removesuffix(old) + new, tensor
            return
    if name.endswith(".weight") and name.startswith(_NORMED) and tensor.dim() == 3:
        layer = name.removesuffix(".weight")
        yield f"{layer}.weight_v", tensor
        # Of what the file will hold: so that folding gives back just that.
        yield f"{layer}.weight_g", torch.linalg.vector_norm(_half(tensor).float(), dim=(1, 2), keepdim=True)
        return
    yield name, tensor


def _half(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
