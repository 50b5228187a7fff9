"""First weights of the served modules, which are built empty."""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

from services.codec.families.spark.layers.convolution import Conv1d, ConvTranspose1d
from services.codec.families.spark.layers.generator import ResidualUnit
from services.codec.families.spark.layers.snake import Snake
from services.codec.families.spark.layers.vocos import AdaLayerNorm, ConvNeXtBlock, LayerNorm, Linear, VocosBackbone
from services.codec.families.spark.perceiver import Perceiver, RmsNorm

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def initialise(module: M) -> M:
    """In place, ready to train. Modules of torch keep what torch gave them."""
    for layer in module.modules():
        _fill(layer)
    for layer in module.modules():
        _temper(layer)
    return module.requires_grad_(True)


def _fill(layer: nn.Module) -> None:
    match layer:
        case Conv1d():
            _uniform(layer.weight, layer.weight[0].numel())
            layer.bias.zero_()
        case ConvTranspose1d():
            _uniform(layer.weight, layer.weight.shape[0] * layer.weight.shape[2] // layer.stride)
            layer.bias.zero_()
        case Linear():
            _uniform(layer.weight, layer.weight.shape[1])
            layer.bias.zero_()
        case LayerNorm():
            layer.weight.fill_(1)
            layer.bias.zero_()
        case Snake():
            layer.alpha.fill_(1)
        case RmsNorm():
            layer.gamma.fill_(1)
        case Perceiver():
            # Latents that start alike stay alike: the global tokens would all be equal.
            layer.latents.normal_(std=1.0)


def _temper(layer: nn.Module) -> None:
    """Deep stacks begin near the identity, adaptive norms as plain ones that the condition hardly moves."""
    match layer:
        case VocosBackbone():
            for block in layer.convnext:
                assert isinstance(block, ConvNeXtBlock)
                block.gamma.fill_(1 / len(layer.convnext))
        case ResidualUnit():
            last = layer.block[-1]
            assert isinstance(last, Conv1d)
            last.weight.mul_(0.2)
        case AdaLayerNorm():
            for linear, bias in ((layer.scale, 1.0), (layer.shift, 0.0)):
                linear.weight.mul_(0.1)
                linear.bias.fill_(bias)


def _uniform(weight: Tensor, inputs: int) -> None:
    """Keeps the variance of what passes through."""
    bound = math.sqrt(3 / inputs)
    weight.uniform_(-bound, bound)
