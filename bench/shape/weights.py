"""Random tensors: of the names and shapes that the modules which will load them ask for."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.shape.shape import Shape, Speaker
from services.codec.families.spark.speaker import ECAPA, PERCEIVER
from services.codec.families.spark.weights import Weights

_ZEROS = ("bias", "running_mean")
_ONES = ("alpha", "running_var", "original0")
_COUNTERS = ("num_batches_tracked",)


class Dice:
    """Seeded, so that a shape is the same checkpoint everywhere. Signals keep about their level through the layers."""

    def __init__(self, seed: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def throw(self, name: str, shape: Sequence[int]) -> Tensor:
        """bfloat16, but for counters."""
        if name.endswith(_COUNTERS):
            return torch.zeros(tuple(shape), dtype=torch.int64)
        if name.endswith(_ZEROS):
            return torch.zeros(tuple(shape), dtype=torch.bfloat16)
        if len(shape) == 1 or name.endswith(_ONES):
            return torch.ones(tuple(shape), dtype=torch.bfloat16)
        values = torch.randn(tuple(shape), generator=self._generator)
        return values.div_(math.prod(shape[1:]) ** 0.5).bfloat16()


class ThrownWeights(Weights):
    """A checkpoint that is made up as it is read; `thrown` is what was asked for."""

    def __init__(self, shape: Shape, dice: Dice) -> None:
        super().__init__(Path(shape.name), {})
        self.thrown: dict[str, Tensor] = {}
        self._widths = {**_ecapa(shape), **_perceiver(shape)}
        self._dice = dice

    def __contains__(self, name: str) -> bool:
        return name in self._widths

    def shape(self, name: str) -> tuple[int, ...]:
        return self._widths[name]

    def tensor(self, name: str, shape: Sequence[int]) -> Tensor:
        if name not in self.thrown:
            self.thrown[name] = self._dice.throw(name, shape)
        found = self.thrown[name]
        return found.float() if found.is_floating_point() else found


def _ecapa(shape: Shape) -> dict[str, tuple[int, ...]]:
    """What the shapes of some weights tell of the others."""
    widths: Speaker = shape.speaker
    mels, group = shape.codec["mel_params"]["num_mels"], widths.channels // widths.groups
    found: dict[str, tuple[int, ...]] = {
        f"{ECAPA}.layer1.conv.weight": (widths.channels, mels, 5),
        f"{ECAPA}.conv.weight": (3 * widths.channels, 3 * widths.channels, 1),
    }
    for layer in ("layer2", "layer3", "layer4"):
        block = f"{ECAPA}.{layer}.se_res2block"
        found |= {f"{block}.1.convs.{place}.weight": (group, group, 3) for place in range(widths.groups - 1)}
        found[f"{block}.3.linear1.weight"] = (widths.bottleneck, widths.channels)
    return found


def _perceiver(shape: Shape) -> dict[str, tuple[int, ...]]:
    widths, speaker = shape.speaker, shape.codec["speaker_encoder"]
    width = speaker["latent_dim"]
    found: dict[str, tuple[int, ...]] = {
        f"{PERCEIVER}.proj_context.weight": (width, 3 * widths.channels),
        f"{PERCEIVER}.latents": (speaker["token_num"], width),
    }
    for layer in range(widths.layers):
        found[f"{PERCEIVER}.layers.{layer}.0.to_q.weight"] = (widths.attention, width)
        # Four times the width, of which a gate leaves two thirds.
        found[f"{PERCEIVER}.layers.{layer}.1.2.weight"] = (width, width * 8 // 3)
    return found
