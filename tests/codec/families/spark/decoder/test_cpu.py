"""The compiled operations against torch's, with each kernel that this CPU has."""

from collections.abc import Iterator
from math import log10
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from services.codec.families.spark.decoder import Samples, SparkDetokenizer
from services.codec.families.spark.layers.cpu.columns import Columns, Place, Row, SnakePattern, States, room
from services.codec.families.spark.layers.cpu.convolution import Convolution, Depthwise, phases
from services.codec.families.spark.layers.cpu.library import Kind, Library
from services.runtime.compiled import CACHE

from .test_streaming import utterance

BUNDLED = Path(__file__).parents[5] / "models" / "voxline-small"
LOOK_AHEAD = 6
NEEDS = {
    Kind.AVX2: "avx2",
    Kind.AVX512: "avx512_vl",
    Kind.AVX512_BF16: "avx512_bf16",
    Kind.AMX_BF16: "amx_bf16",
    Kind.NEON: "neon",
}
# Inputs, outputs, taps, dilation: of both voices, and such as fill neither a panel nor a tile.
SHAPES = [(32, 32, 7, 3), (192, 160, 7, 1), (16, 8, 7, 9), (8, 1, 7, 1), (64, 384, 1, 1), (6, 21, 3, 2), (34, 40, 2, 1)]


@pytest.fixture(scope="module")
def library() -> Library:
    found = Library.load(CACHE)
    assert found, "without it these tests say nothing: apt-get install g++"
    return found


@pytest.fixture(params=Kind)
def kind(request: pytest.FixtureRequest) -> Kind:
    if not torch.cpu.get_capabilities().get(NEEDS[request.param]):
        pytest.skip(f"this CPU has no {request.param.name}")
    return Kind(request.param)


@pytest.fixture(params=SHAPES, ids=str)
def made(request: pytest.FixtureRequest, library: Library, kind: Kind) -> "Made":
    return Made(library, kind, *request.param)


class Made:
    """A convolution with random weights, by one kernel."""

    def __init__(self, library: Library, kind: Kind, inputs: int, outputs: int, taps: int, dilation: int) -> None:
        self.dtype = torch.bfloat16 if kind in (Kind.AVX512_BF16, Kind.AMX_BF16) else torch.float32
        library.kinds = {torch.float32: Kind.AVX2, self.dtype: kind}
        self.weight, self.bias = noise(outputs, inputs, taps) / (inputs * taps) ** 0.5, noise(outputs)
        self.inputs, self.taps, self.dilation = inputs, taps, dilation
        self.library = library
        self.convolution = self.with_threads(1)

    def with_threads(self, threads: int) -> Convolution:
        return Convolution(self.library, threads, self.weight, self.bias, dtype=self.dtype, dilation=self.dilation)

    def columns(self, rows: int, columns: int) -> Tensor:
        """Inputs for so many columns of output, [rows, I, F]."""
        return placed(noise(rows, self.inputs, columns + self.dilation * (self.taps - 1)), self.convolution.dtype)

    def expected(self, x: Tensor) -> Tensor:
        weight = self.weight.to(self.convolution.dtype).double()
        return F.conv1d(x.double(), weight, self.bias.double(), dilation=self.dilation)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def placed(x: Tensor, dtype: torch.dtype) -> Tensor:
    """As the operations want it."""
    rows, channels, columns = x.shape
    held = room(rows * columns, channels, dtype).view(rows, columns, channels)
    return held.copy_(x.transpose(1, 2)).transpose(1, 2)


def error(samples: Samples, exact: Samples) -> float:
    """In dB."""
    return 10 * log10(float(np.square(samples - exact).sum() / np.square(exact).sum()))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 17), (2, 100)])
def test_convolution_is_torchs(made: Made, rows: int, columns: int) -> None:
    x = made.columns(rows, columns)
    torch.testing.assert_close(made.convolution(x).double(), made.expected(x), rtol=0, atol=2e-5)


def test_column_depends_on_no_other_and_not_on_the_threads(made: Made) -> None:
    x = made.columns(3, 90)
    everything, width = made.convolution(x), made.dilation * (made.taps - 1)
    assert torch.equal(made.with_threads(2)(x), everything)
    for first, columns in ((0, 1), (0, 16), (5, 33), (31, 47), (89, 1)):
        alone = made.convolution(placed(x[1:2, :, first : first + columns + width], x.dtype))
        assert torch.equal(alone[0], everything[1, :, first : first + columns])


def test_rows_of_a_linear_map_are_torchs(library: Library, kind: Kind) -> None:
    made = Made(library, kind, 48, 50, 1, 1)
    x = noise(2, 9, 48)
    expected = made.expected(x.to(made.convolution.dtype).transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(made.convolution.rows(x).double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(16, 8), (11, 5), (4, 2), (3, 3), (10, 2), (9, 1)])
def test_phases_are_a_transposed_convolution(kernel: int, stride: int) -> None:
    weight, x = noise(6, 4, kernel), noise(2, 6, 20)
    overlap = (kernel - 1) // stride
    plain = F.conv1d(x, phases(weight, stride)).transpose(1, 2).reshape(2, -1, 4).transpose(1, 2)
    whole = F.conv_transpose1d(x, weight, stride=stride)
    torch.testing.assert_close(plain, whole[:, :, overlap * stride : 20 * stride])


def test_depthwise_convolution_is_torchs(library: Library) -> None:
    weight, bias, x = noise(21, 1, 7), noise(21), noise(3, 21, 40)
    depthwise = Depthwise(library, 1, weight, bias)
    torch.testing.assert_close(depthwise(placed(x, torch.float32)), F.conv1d(x, weight, bias, groups=21))


@pytest.mark.parametrize("channels", [1, 3, 8, 64, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_snake_is_torchs(library: Library, channels: int, dtype: torch.dtype) -> None:
    """At angles of many turns too."""
    x, alpha = 30 * noise(2, channels, 50), noise(channels).abs() + 0.5
    pattern = SnakePattern(alpha, 1 / alpha)
    rows = [Row(held=0, fresh=50, tail=0, settled=50, kept=0)]
    nowhere = Place(channels, span=0, offset=0)
    states = States([torch.zeros(1)] * 2)
    made = Columns(library, 1).join(x, rows, nowhere, states, dtype, pattern)
    wide = x.double() + (x * alpha[:, None]).double().sin().square() / alpha.double()[:, None]
    torch.testing.assert_close(made, wide.to(dtype), rtol=0, atol=2e-5 if dtype == torch.float32 else 0.5)


def streamed(detokenizer: SparkDetokenizer, count: int, most: int) -> list[Samples]:
    """Utterances of several lengths, in pieces, `most` streams a step."""
    spoken = [utterance(detokenizer, 20 + 7 * seed, seed) for seed in range(count)]
    streams = [detokenizer.open(each.speaker, LOOK_AHEAD) for each in spoken]
    heard: list[list[Samples]] = [[] for _ in spoken]
    for place in range(0, 20 + 7 * count, 11):
        items = [
            (stream, each.codes[place : place + 11], place + 11 >= len(each.codes))
            for stream, each in zip(streams, spoken, strict=True)
        ]
        live = [index for index, each in enumerate(spoken) if place < len(each.codes)]
        for first in range(0, len(live), most):
            turn = live[first : first + most]
            for index, samples in zip(turn, detokenizer.step([items[index] for index in turn]), strict=True):
                heard[index].append(samples)
    return [np.concatenate(chunks) for chunks in heard]


@pytest.mark.parametrize("size", ["even", "odd", "narrow", "wide"])
def test_streams_are_as_torch_computes_them(size: str, checkpoints: dict[str, Path]) -> None:
    ours, torchs = (SparkDetokenizer.load(checkpoints[size], precision="f32", cache=cache) for cache in (CACHE, None))
    for one, other in zip(streamed(ours, 5, 5), streamed(torchs, 5, 5), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5)


def test_bundled_voice_is_as_torch_computes_it() -> None:
    ours, torchs = (SparkDetokenizer.load(BUNDLED, precision="f32", cache=cache) for cache in (CACHE, None))
    for one, other in zip(streamed(ours, 3, 3), streamed(torchs, 3, 3), strict=True):
        assert error(one, other) < -100


def test_bf16_is_near() -> None:
    if not torch.cpu.get_capabilities().get("amx_bf16"):
        pytest.skip("this CPU is not faster in bf16, or it is not known")
    halves, whole = (SparkDetokenizer.load(BUNDLED, precision=precision) for precision in ("bf16", "f32"))
    for one, other in zip(streamed(halves, 3, 3), streamed(whole, 3, 3), strict=True):
        assert -60 < error(one, other) < -38


@pytest.mark.parametrize("precision", ["f32", "auto"])
def test_threads_and_batch_mates_change_no_bit(precision: str) -> None:
    torch.set_num_threads(1)
    alone = streamed(SparkDetokenizer.load(BUNDLED, precision=precision), 5, 1)
    torch.set_num_threads(2)
    together = streamed(SparkDetokenizer.load(BUNDLED, precision=precision), 5, 5)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def test_without_a_compiler_torch_decodes(
    without_compiler: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = SparkDetokenizer.load(BUNDLED, cache=tmp_path).decode([1] * 8, [7] * 30)
    assert "g++" in caplog.text
    with pytest.raises(ValueError, match="g\\+\\+"):
        SparkDetokenizer.load(BUNDLED, precision="bf16", cache=tmp_path)
    without_compiler.undo()
    assert error(samples, SparkDetokenizer.load(BUNDLED, precision="f32").decode([1] * 8, [7] * 30)) < -100
