"""The streaming layers against torch's own, whole and in chunks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.layers.convolution import Conv1d, ConvTranspose1d
from services.codec.families.spark.layers.frames import Frames, StateLayout
from services.codec.families.spark.layers.vocos import VocosBackbone
from services.codec.families.spark.layers.windows import Joint

Layer = Callable[[Frames], Frames]


def filled(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def signal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def chunked(layer: nn.Module, x: Tensor, chunk: int) -> Tensor:
    """x [1, C, F] through `layer` in chunks, the end told with the last."""
    layout = StateLayout(layer)
    state = layout.fresh()
    pieces = []
    for start in range(0, x.shape[2], chunk):
        new = x[:, :, start : start + chunk]
        feed = layout.feed([state], [start + chunk >= x.shape[2]], [0])
        pieces += layer(feed.frames(new, [new.shape[2]], [0])).rows()
        feed.commit()
    return torch.cat(pieces, 1)[None]


@pytest.mark.parametrize(("kernel", "dilation", "groups"), [(1, 1, 1), (7, 1, 1), (7, 9, 1), (3, 2, 6)])
@pytest.mark.parametrize("chunk", [1, 5, 40])
def test_convolution_is_torchs_same_convolution(kernel: int, dilation: int, groups: int, chunk: int) -> None:
    layer = Conv1d(6, 12, kernel, dilation=dilation, groups=groups)
    filled(layer)
    x = signal(1, 6, 40)
    expected = F.conv1d(x, layer.weight, layer.bias, padding="same", dilation=dilation, groups=groups)
    torch.testing.assert_close(layer(Frames.whole(x)).x, expected)
    torch.testing.assert_close(chunked(layer, x, chunk), expected)


@pytest.mark.parametrize(
    ("kernel", "stride"), [(16, 8), (11, 5), (8, 4), (4, 2), (3, 3), (1, 1), (10, 2), (5, 3), (9, 1)]
)
@pytest.mark.parametrize("chunk", [1, 5, 40])
def test_upsampling_is_torchs_transposed_convolution(kernel: int, stride: int, chunk: int) -> None:
    layer = ConvTranspose1d(6, 4, kernel, stride)
    filled(layer)
    x = signal(1, 6, 40)
    padding = (kernel - stride) // 2
    expected = F.conv_transpose1d(x, layer.weight, layer.bias, stride=stride, padding=padding)
    torch.testing.assert_close(layer(Frames.whole(x)).x, expected)
    torch.testing.assert_close(chunked(layer, x, chunk), expected)


@pytest.mark.parametrize("condition", [None, 5])
def test_rows_of_a_ragged_batch_are_as_if_alone(condition: int | None) -> None:
    backbone = VocosBackbone(4, 8, 12, 2, condition=condition)
    filled(backbone)
    lengths = [9, 30, 1, 30, 17]
    x = signal(5, 4, 30)
    for row, length in enumerate(lengths):
        x[row, :, length:] = 1e6
    modulation = backbone.modulate(signal(5, condition or 0))
    together = backbone(Frames.whole(x, lengths), modulation)
    assert together.lengths == lengths
    for row, length in enumerate(lengths):
        alone = backbone(Frames.whole(x[row : row + 1, :, :length]), modulation[row : row + 1])
        torch.testing.assert_close(together.rows()[row], alone.x[0])


def test_backbone_in_chunks_is_the_whole_backbone() -> None:
    backbone = VocosBackbone(4, 8, 12, 2)
    filled(backbone)
    x = signal(1, 4, 40)
    torch.testing.assert_close(chunked(backbone, x, 3), backbone(Frames.whole(x)).x)


def test_guessed_columns_are_given_out_but_not_kept() -> None:
    layer = Conv1d(6, 6, 7)
    filled(layer)
    x, wrong = signal(1, 6, 40), torch.full((1, 6, 5), 9.0)
    expected = layer(Frames.whole(x)).x
    layout = StateLayout(layer)
    state = layout.fresh()
    feed = layout.feed([state], [False], [0])
    first = layer(feed.frames(torch.cat((x[:, :, :20], wrong), 2), [25], [5]))
    feed.commit()
    assert (first.lengths, first.guessed) == ([22], [5])
    torch.testing.assert_close(first.x[:, :, :17], expected[:, :, :17])
    feed = layout.feed([state], [True], [0])
    second = layer(feed.frames(x[:, :, 20:], [20], [0]))
    torch.testing.assert_close(second.x, expected[:, :, 17:])


def test_a_joint_settles_guessed_columns_up_to_its_margin_and_drops_them_when_they_come_again() -> None:
    joint = Joint(reach=4, margin=1, rate=1)
    layout = StateLayout(joint)
    state = layout.fresh()
    columns = torch.arange(12.0).view(1, 1, 12)

    def fed(start: int, end: int, guessed: int, last: bool = False) -> tuple[list[float], int]:
        feed = layout.feed([state], [last], [2])
        out: Frames = joint(feed.frames(columns[:, :, start:end], [end - start], [guessed]))
        feed.commit()
        return out.rows()[0][0].tolist(), out.guessed[0]

    assert fed(0, 8, 6) == ([0, 1, 2, 3, 4, 5, 6, 7], 3)
    assert fed(2, 10, 4) == ([5, 6, 7, 8, 9], 3)
    assert fed(6, 6, 0) == ([], 0)
    assert fed(6, 12, 0, last=True) == ([7, 8, 9, 10, 11], 0)
