from collections.abc import Sequence

import numpy as np
import pytest

from bench.baseline.chunks import ChunkedDecoder, Chunking, Samples, cross_faded

HOP = 4
SMALL = Chunking(first=10, most=40, overlap=2)


class Decoder:
    """Decodes a code into HOP samples of its own value."""

    def __init__(self) -> None:
        self.chunks: list[int] = []

    def __call__(self, codes: Sequence[int]) -> Samples:
        self.chunks.append(len(codes))
        return np.repeat(np.asarray(codes, np.float32), HOP)


def spoken(codes: Sequence[int], decoder: Decoder, chunking: Chunking = SMALL) -> list[Samples]:
    chunked = ChunkedDecoder(decoder, HOP, chunking)
    chunks: list[Samples] = []
    for code in codes:
        chunked.add([code])
        while chunked.due:
            chunks.append(chunked.chunk())
    return [*chunks, chunked.end()]


@pytest.mark.parametrize("frames", [1, 2, 9, 10, 11, 12, 28, 29, 66, 67, 200])
def test_every_frame_is_heard_once(frames: int) -> None:
    """Where both decodes of the overlap agree, the cross-fade gives what they agree on."""
    codes = list(range(frames))
    heard = np.concatenate(spoken(codes, Decoder()))
    np.testing.assert_allclose(heard, np.repeat(np.asarray(codes, np.float32), HOP), rtol=1e-6)


def test_chunks_double_up_to_the_most() -> None:
    decoder = Decoder()
    spoken(range(130), decoder)
    assert decoder.chunks == [10, 20, 40, 40, 28]


def test_first_chunk_is_heard_without_its_overlap() -> None:
    assert len(spoken(range(50), Decoder())[0]) == (10 - 2) * HOP


def test_published_first_chunk_is_a_second() -> None:
    decoder = Decoder()
    spoken(range(60), decoder, Chunking())
    assert decoder.chunks[0] == 50


def test_cross_fade_goes_from_one_to_the_other_in_a_line() -> None:
    faded = cross_faded(np.ones(5, np.float32), np.zeros(8, np.float32))
    np.testing.assert_allclose(faded, [1, 0.75, 0.5, 0.25, 0, 0, 0, 0])


def test_chunk_shorter_than_its_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        Chunking(first=5, overlap=5)
