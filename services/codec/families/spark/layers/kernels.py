"""One kernel for a layer, whatever the size of its input, so that a stream's samples do not depend on its
batch mates.

torch chooses between its own convolutions and oneDNN's by batch size and width (`use_mkldnn` in ATen's
native/Convolution.cpp), MKL between its own by the rows of a matrix and their order in memory: the sums differ in the
last bits. Here the choice is the layer's alone: measured with one thread and channels in multiples of 8, as models have
them. On other devices, and where torch has no oneDNN, torch's own choice stands.
"""

import os

import torch
from torch import Tensor
from torch.nn import functional as F

# torch types neither it nor its result.
_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


# What torch.compile calls with frozen weights; torch has no public name for it.
_MKLDNN = torch.ops.mkldnn

# oneDNN makes code for every shape, 1 ms each, and keeps so many pieces; steps of ragged batches have many shapes.
# Measured on the bundled voice: 16384 instead of oneDNN's 1024 took a third off the detokenizer's CPU time in batches
# of up to 6, for 200 MB.
_KEPT_SHAPES = 8192
# MKL computes fewer rows or columns than a vector register holds otherwise.
_FEW = 16


def keep_shapes() -> None:
    """Counts only before the first convolution of the process; a value that is set already stands."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KEPT_SHAPES))


def _chosen_here(x: Tensor, weight: Tensor) -> bool:
    """Not while training: oneDNN's transposed convolution passes no gradient on."""
    learning = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return _ONEDNN and x.device.type == "cpu" and not learning


def convolution(x: Tensor, weight: Tensor, bias: Tensor, dilation: int, groups: int) -> Tensor:
    """x [B, I, F], weight [O, I / groups, K] or packed, bias [O] -> [B, O, F - dilation (K - 1)]."""
    if weight.is_mkldnn:
        layout = ([0, 0], [1, 1], [1, dilation], groups)
        y: Tensor = _MKLDNN._convolution_pointwise(_plane(x), weight, bias, *layout, "none", [], "")
        return y.squeeze(2)
    if not _chosen_here(x, weight):
        return F.conv1d(x, weight, bias, dilation=dilation, groups=groups)
    if _is_product(weight, groups):
        few = max(0, _FEW - x.shape[2])
        y = torch.baddbmm(bias[:, None], weight[:, :, 0].expand(x.shape[0], -1, -1), F.pad(x, (0, few)) if few else x)
        return y[:, :, : x.shape[2]]
    y = torch.mkldnn_convolution(_plane(x), _plane(weight), bias, (0, 0), (1, 1), (1, dilation), groups)
    return y.squeeze(2)


def packed(weight: Tensor, columns: int, dilation: int, groups: int) -> Tensor:
    """The weight of `convolution` as oneDNN orders it for about so many columns of x, else anew in each call; unchanged
    where oneDNN is not used.
    """
    if not _chosen_here(weight, weight) or _is_product(weight, groups):
        return weight
    shape = [1, weight.shape[1] * groups, 1, columns]
    layout = ([0, 0], [1, 1], [1, dilation], groups)
    ordered: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight(_plane(weight).to_mkldnn(), *layout, shape)
    return ordered


def transposed_convolution(x: Tensor, weight: Tensor, bias: Tensor, stride: int, trim: int, extra: int) -> Tensor:
    """x [B, I, F], weight [I, O, K] or packed, bias [O] -> [B, O, stride (F - 1) + K - 2 trim + extra]."""
    if not weight.is_mkldnn and not _chosen_here(x, weight):
        return F.conv_transpose1d(x, weight, bias, stride, trim, extra)
    layout = _transposed_layout(stride, trim, extra)
    weight = weight if weight.is_mkldnn else _plane(weight)
    y: Tensor = _MKLDNN._convolution_transpose_pointwise(_plane(x), weight, bias, *layout, "none", [], "")
    return y.squeeze(2)


def packed_transposed(weight: Tensor, columns: int, stride: int, trim: int, extra: int) -> Tensor:
    """As `packed`, for `transposed_convolution`."""
    if not _chosen_here(weight, weight):
        return weight
    layout = _transposed_layout(stride, trim, extra)
    shape = [1, weight.shape[0], 1, columns]
    ordered: Tensor = _MKLDNN._reorder_convolution_transpose_weight(_plane(weight), *layout, shape)
    return ordered


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [..., I], weight [O, I], bias [O] -> [..., O]. Rows in a row, and never few: both are other routines."""
    rows = x.reshape(-1, x.shape[-1]).contiguous()
    few = max(0, _FEW - len(rows))
    y = F.linear(F.pad(rows, (0, 0, 0, few)) if few else rows, weight, bias)
    return y[: len(rows)].view(*x.shape[:-1], len(weight))


def _is_product(weight: Tensor, groups: int) -> bool:
    return weight.shape[2] == 1 and groups == 1


def _transposed_layout(stride: int, trim: int, extra: int) -> tuple[list[int], list[int], list[int], list[int], int]:
    """Padding, padding of the result, stride, dilation, groups."""
    return [0, trim], [0, extra], [1, stride], [1, 1], 1


def _plane(x: Tensor) -> Tensor:
    """[., ., F] -> [., ., 1, F]."""
    return x.unsqueeze(2)
